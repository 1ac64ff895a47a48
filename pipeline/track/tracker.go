package track

import (
	"math"

	"tsrun/sdk/quantity"
)

// tracker goes from slice to slice, in one direction of time.
type tracker struct {
	collector
	direction float64 // 1 or -1
	bank      *bank
	sigma     float64 // ps: width of the peak in a slice
	share     float64 // of the points in a window that are pairs
	misses    int     // slices without pairs since the last with
	last      int64   // ps since Reference: the last pairs
	doubt     *doubt
	work      float64 // differences of tags that may still be listed to find what was lost
	keep      bool    // slices keep their points
	residuals []float64
	counts    []uint32
	certain   [2]fix // what the last step has found
}

// doubt is a slice that lies where it should not. The next one says whether the
// clock has jumped or the slice is wrong.
type doubt struct {
	before *bank // without it
	slice  slice
}

// fix is a slice whose place is certain.
type fix struct {
	slice
	state state // after it, in true time
	leapt bool  // the clock jumped before it
	after int64 // ps since Reference: the pairs before the jump
	size  float64
	sd    float64 // of size, ps
}

const (
	gate       = 6.0   // standard deviations beyond which a slice is doubted
	narrow     = 500.0 // standard deviations of jitter: wider windows are searched by counting
	maxPoints  = 1 << 18
	maxPatient = 20
	seldom     = 64   // slices between searches for what is lost for long
	leastSpeed = 50.0 // ps/s: no seed knows the frequency better, because clocks wander
)

func newTracker(f frame, seed Seed, direction float64) *tracker {
	sd, at := seed.FrequencySD*second, f.since(seed.Line.Reference)
	s := state{
		x: quantity.Fine{Whole: seed.Line.Offset}.Minus(f.offsetAt(seed.Line.Reference)), xx: seed.OffsetSD*seed.OffsetSD + seed.Jitter*seed.Jitter/16,
		y: (float64(seed.Line.Frequency)/quantity.DriftUnit - f.slope) * second, yy: sd*sd + leastSpeed*leastSpeed,
	}
	if direction < 0 {
		s = s.mirrored()
	}
	return &tracker{
		collector: collector{frame: f}, direction: direction, sigma: seed.Jitter, share: 0.5,
		bank: newBank(direction*float64(at)/second, s), last: at,
	}
}

// predicted is the state at a time, in true time.
func (k *tracker) predicted(b *bank, at int64) state {
	s := b.at(k.direction * float64(at) / second)
	if k.direction < 0 {
		s = s.mirrored()
	}
	return s
}

// window is where to look for the pairs of a slice.
func (k *tracker) window(b *bank, from, to int64) aim {
	centre := from + (to-from)/2
	s := k.predicted(b, centre)
	half := max(6*k.sigma, 4*math.Sqrt(s.xx)+5*k.sigma) * float64(1+min(k.misses, maxPatient))
	half = max(min(half, narrow*k.sigma), k.grid.Reach(k.sigma, reachOfNormal))
	return aim{centre: centre, x: s.x, y: s.y / second, half: half}
}

// look measures a slice where a bank expects it.
func (k *tracker) look(b *bank, ta, tb []uint64, from, to int64) (slice, bool) {
	return k.measured(k.window(b, from, to), ta, tb, from, to)
}

func (k *tracker) measured(m aim, ta, tb []uint64, from, to int64) (slice, bool) {
	points, stride := k.collect(ta, tb, m, maxPoints)
	s, ok, used := measure(points, m, normal{sigma: k.sigma, share: k.share, grid: k.grid}, k.residuals)
	k.residuals = used
	if !ok {
		return s, false
	}
	s.n *= float64(stride)
	s.from, s.to, s.length = from, to, float64(to-from)/second
	if k.keep {
		s.points = make([]point, 0, int(1.1*s.n)+16)
		reach := k.grid.Reach(s.sigma, reachOfNormal)
		centre := aim{centre: m.centre, x: s.x - m.y*float64(s.at-m.centre), y: m.y}
		for _, p := range points {
			if math.Abs(centre.off(p)) <= reach {
				s.points = append(s.points, p)
			}
		}
	}
	return s, true
}

// step takes the next slice: A's tags in it, and B's tags. It returns the
// slices that have become certain: none, one, or two after a doubt. They hold
// until the next step.
func (k *tracker) step(ta, tb []uint64, from, to int64) []fix {
	if d := k.doubt; d != nil {
		k.doubt = nil
		if s, ok := k.look(k.bank, ta, tb, from, to); ok && k.nearer(s, d.before) {
			return append(k.certain[:0], k.leapt(d), k.accept(s))
		}
		k.bank = d.before // the doubted slice was wrong
		k.misses++
	}
	s, ok := k.look(k.bank, ta, tb, from, to)
	if !ok {
		k.misses++
		if !k.due() {
			return nil
		}
		if s, ok = k.search(ta, tb, from, to); !ok {
			return nil
		}
	}
	if k.deviation(k.bank, s) > gate {
		k.doubt = &doubt{k.bank.clone(), s}
		k.bank.leap(k.direction*s.t, &s)
		return nil
	}
	return append(k.certain[:0], k.accept(s))
}

// due says whether it is time for a wide search: soon after a loss, and then
// ever more seldom.
func (k *tracker) due() bool {
	return k.misses == 2 || k.misses == 8 || k.misses == 32 || k.misses > 0 && k.misses%seldom == 0
}

// leapt is a doubted slice, when the clock has jumped.
func (k *tracker) leapt(d *doubt) fix {
	expected := k.predicted(d.before, d.slice.at)
	return fix{
		slice: d.slice, state: k.stateAt(d.slice.at), leapt: true, after: k.last,
		size: d.slice.x - expected.x, sd: math.Sqrt(expected.xx + d.slice.v),
	}
}

// nearer says whether a slice agrees with the bank, and better than with
// another.
func (k *tracker) nearer(s slice, other *bank) bool {
	d := k.deviation(k.bank, s)
	return d <= gate && d < k.deviation(other, s)
}

// deviation is how far a slice is off a bank's prediction, in standard
// deviations.
func (k *tracker) deviation(b *bank, s slice) float64 {
	p := k.predicted(b, s.at)
	return math.Abs(s.x-p.x) / math.Sqrt(p.xx+s.v)
}

func (k *tracker) accept(s slice) fix {
	k.bank.update(k.direction*s.t, &s)
	k.misses, k.last = 0, s.at
	k.share = min(max(s.share, 0.1), 0.999)
	if s.sigma < 3*k.sigma {
		k.sigma = 0.9*k.sigma + 0.1*s.sigma
	}
	return fix{slice: s, state: k.stateAt(s.at)}
}

func (k *tracker) stateAt(at int64) state { return k.predicted(k.bank, at) }

const (
	furthest   = 5e9     // ps: a clock that jumped further is not looked for
	growth     = 32.0    // from one window of a search to the next
	maxBins    = 1 << 21 // of a search
	mostListed = 1 << 21 // differences of tags in one window
	certain    = 14.0    // log likelihood beyond chance of a place found so
)

// search looks for lost pairs of a slice in ever wider windows, by counting
// differences of tags in bins: after a jump, or a long time without pairs.
func (k *tracker) search(ta, tb []uint64, from, to int64) (slice, bool) {
	m := k.window(k.bank, from, to)
	p := k.predicted(k.bank, m.centre)
	for half := m.half * growth; ; half = min(half*growth, furthest) {
		m.x, m.half = p.x, half
		if at, bin, ok := k.count(ta, tb, m); ok {
			m.x, m.half = at, max(2*bin, k.grid.Reach(k.sigma, 8))
			return k.measured(m, ta, tb, from, to)
		}
		if half >= furthest || k.work <= 0 {
			return slice{}, false
		}
	}
}

// count finds the fullest two neighbouring bins of the differences within an
// aim. Not more than mostListed are looked at, of the first tags of A.
func (k *tracker) count(ta, tb []uint64, m aim) (at, bin float64, ok bool) {
	if len(ta) == 0 || len(tb) == 0 || k.work <= 0 {
		return 0, 0, false
	}
	_, width := k.shift(ta, m)
	shift := 0
	for float64(uint64(1)<<shift) < 2*k.sigma || width>>shift >= maxBins {
		shift++
	}
	bins := int(width>>shift) + 2
	if len(k.counts) < bins {
		k.counts = make([]uint32, bins)
	}
	counts := k.counts[:bins]
	clear(counts)
	listed := k.tally(counts, tb, width, shift)
	k.work -= float64(listed) + float64(bins)/8
	best, place := uint32(0), 0
	for i := 1; i < bins; i++ {
		if c := counts[i-1] + counts[i]; c > best {
			best, place = c, i
		}
	}
	chance := max(2*float64(listed-int(best))/float64(bins), 1e-3)
	bin = float64(uint64(1) << shift)
	at = m.x - m.half - 2 + float64(place)*bin
	return at, bin, best >= leastPairs && surprise(float64(best), chance)-math.Log(float64(bins)) > certain
}

func (k *tracker) tally(counts []uint32, tb []uint64, width uint64, shift int) (listed int) {
	from := k.shifted
	j := search(tb, from[0])
	for _, low := range from {
		for j < len(tb) && int64(tb[j]-low) < 0 {
			j++
		}
		for _, t := range tb[j:] {
			d := t - low
			if d > width {
				break
			}
			counts[d>>shift]++
			listed++
		}
		if listed > mostListed {
			return listed
		}
	}
	return listed
}
