package correlate

import (
	"errors"
	"fmt"
	"math"
	"runtime"
)

// Scan is how many coincidences there are when B is moved: Counts[k] pairs
// have |B - A - d| <= Window/2 at the delay d = Start + k*Step. Windows of
// neighbouring delays overlap where Step is shorter than Window, so that a pair
// counts in each of them.
type Scan struct {
	Start   int64    `json:"start_ps"`
	Step    int64    `json:"step_ps"`
	Window  int64    `json:"window_ps"`
	Counts  []uint64 `json:"counts"`
	TagsA   uint64   `json:"tags_a"`
	TagsB   uint64   `json:"tags_b"`
	Overlap uint64   `json:"overlap_ps"` // the time both recorded, first to last tag, on A's scale
	Peak    *Peak    `json:"peak,omitempty"`
	NoPeak  string   `json:"no_peak,omitempty"` // why there can be none; empty where none stands out of chance
	// Periods are those that the light repeats after, in ps, shortest first. Chance
	// under the peak is then what is counted when B is moved by whole ones.
	Periods []float64 `json:"periods_ps,omitempty"`
	Warning string    `json:"warning,omitempty"` // why chance is not known
}

// ScanOptions say which delays to look at.
type ScanOptions struct {
	From, To int64 // ps: the first delay, and the one that none is beyond
	Step     int64 // ps, between delays
	Window   int64 // ps: pairs with |B - A - delay| <= Window/2, both ends included
}

const (
	maxDelays = 1 << 22
	fineBins  = 1 << 20 // of the histogram in which the peak is measured
)

// Check says what is wrong with the options.
func (o ScanOptions) Check() error {
	switch {
	case o.Step < 1:
		return fmt.Errorf("step is %d ps; it must be at least 1 ps", o.Step)
	case o.From > o.To:
		return fmt.Errorf("the scan goes from %d ps to %d ps; exchange the two", o.From, o.To)
	case o.From < -maxOffset || o.To > maxOffset || o.To-o.From > maxRange/8:
		return &LimitError{What: "scan", Value: fmt.Sprintf("%d ps to %d ps", o.From, o.To), Limit: "26 days, and 40 hours between the ends", Hint: "scan fewer delays"}
	case (o.To-o.From)/o.Step >= maxDelays:
		return &LimitError{What: "scan", Value: fmt.Sprintf("%d delays", (o.To-o.From)/o.Step+1), Limit: fmt.Sprintf("%d delays", maxDelays), Hint: "choose a longer step"}
	}
	return CoincidenceOptions{Window: o.Window}.Check()
}

// ScanDelays counts the coincidences of a and b at every delay, in one pass, and
// finds where most are. It holds only as many tags as the delays need.
func ScanDelays(a, b Channel, o ScanOptions) (Scan, error) {
	if err := errors.Join(o.Check(), differ([]Channel{a, b})); err != nil {
		return Scan{}, err
	}
	n := (o.To-o.From)/o.Step + 1
	half := o.Window / 2
	width := (n-1)*o.Step + 2*half + 1 // of all windows together
	b.Offset += o.From + width/2 - half
	g, err := newGather([]Channel{a, b}, width/2+1, firstTags, false)
	if err != nil {
		return Scan{}, err
	}
	defer g.close()
	s := scanner{
		low: -(width / 2), width: width, step: o.Step, window: 2 * half, changes: make([]int64, n+1),
		bin: (width + fineBins - 1) / fineBins,
	}
	s.fine = make([]uint64, (width+s.bin-1)/s.bin)
	s.toBin, s.toStep = newDivider(uint64(s.bin), uint64(width)), newDivider(uint64(s.step), uint64(width+s.step))
	sky, moved := s.elsewhere(g)
	s.grain = sky.step / float64(s.bin)
	for {
		more, err := g.more()
		if err == nil && !more {
			r := Scan{Start: o.From, Step: o.Step, Window: o.Window, TagsA: g.lanes[0].count, TagsB: g.lanes[1].count, Overlap: g.overlap()}
			r.Counts = s.counts()
			for _, p := range sky.periods {
				r.Periods = append(r.Periods, p.length)
			}
			r.Peak, r.Warning = s.peak(r, o.From-half, s.seen(g), repeatedOf(g, sky, moved))
			if r.Peak == nil {
				r.NoPeak = s.noPeak(r, g)
			}
			return r, nil
		}
		if err == nil {
			err = addOnAllCores(append(moved, &s), g.lanes[0].fixed[g.lanes[0].low:g.lanes[0].high], g.lanes[1].fixed)
		}
		if err != nil {
			return Scan{}, err
		}
	}
}

// scanner counts the differences that lie in [low, low+width), low being the
// first that the first window holds. Windows are window+1 picoseconds wide.
type scanner struct {
	low, width   int64   // ps
	step, window int64   // ps
	changes      []int64 // nil: not asked for
	fine         []uint64
	bin          int64   // ps: width of the bins of fine
	by           int64   // ps: how far B is moved to count chance
	grain        float64 // bins of fine, by which differences come; 0: none that matters
	pairs        uint64

	toBin, toStep divider
}

// addOnAllCores has all scanners count the pairs of a, of which each core takes a part where
// a tag has many partners.
func addOnAllCores(all []*scanner, a, b []uint64) error {
	const many = 1 << 10 // partners of a tag, that are worth counters of their own
	cores := runtime.GOMAXPROCS(0)
	if len(a) < 16*cores || len(b) < 2 || float64(all[0].width)/float64(b[len(b)-1]-b[0]+1)*float64(len(b)) < many {
		cores = 1
	}
	parts, errs := make([]*scanner, cores*len(all)), make([]error, cores*len(all))
	Each(len(parts), func(i int) {
		s, core := *all[i/cores], i%cores
		from, to := span(len(a), cores, core)
		if core > 0 {
			s.fine, s.pairs = make([]uint64, len(s.fine)), 0
			if s.changes != nil {
				s.changes = make([]int64, len(s.changes))
			}
		}
		errs[i] = s.add(a[from:to], b)
		parts[i] = &s
	})
	for i, p := range parts {
		s := all[i/cores]
		if i%cores == 0 {
			s.pairs = p.pairs
			continue
		}
		s.pairs += p.pairs
		for k, n := range p.fine {
			s.fine[k] += n
		}
		for k, n := range p.changes {
			s.changes[k] += n
		}
	}
	return errors.Join(errs...)
}

func (s *scanner) add(a, b []uint64) error {
	if len(a) == 0 {
		return nil
	}
	from := search(len(b), func(i int) bool { return int64(b[i]-a[0]) >= s.low })
	for i := 0; i < len(a); {
		t, same := a[i], int64(1)
		for i++; i < len(a) && a[i] == t; i++ {
			same++
		}
		for from < len(b) && int64(b[from]-t) < s.low {
			from++
		}
		k := from
		for ; k < len(b); k++ {
			d := int64(b[k]-t) - s.low
			if d >= s.width {
				break
			}
			s.count(d, same)
		}
		if s.pairs += uint64(same) * uint64(k-from); s.pairs > maxPairs {
			return &LimitError{What: "number of pairs in the scan", Value: "more than 68 thousand million", Limit: "that",
				Hint: "scan fewer delays, or check the files for tags that repeat"}
		}
	}
	return nil
}

// count enters pairs whose difference is d beyond low. The delays k whose
// windows hold it, k*step <= d <= k*step + window, follow one another, so only
// where they begin and where they end is noted.
func (s *scanner) count(d, same int64) {
	s.fine[s.toBin.by(uint64(d))] += uint64(same)
	if s.changes == nil {
		return
	}
	first := int64(0)
	if d > s.window {
		first = int64(s.toStep.by(uint64(d - s.window + s.step - 1)))
	}
	last := min(int64(s.toStep.by(uint64(d))), int64(len(s.changes))-2)
	if first <= last {
		s.changes[first] += same
		s.changes[last+1] -= same
	}
}

func (s *scanner) counts() []uint64 {
	counts := make([]uint64, len(s.changes)-1)
	n := int64(0)
	for k := range counts {
		n += s.changes[k]
		counts[k] = uint64(n)
	}
	return counts
}

// repeated is chance of light that is pulsed or gated: what a scan counts in all
// when B is moved by whole periods. Its fine is nil for other light.
type repeated struct {
	fine   []uint64
	parts  float64 // of the time at no shift that these shifts leave, together
	period float64 // ps, the shortest
}

// elsewhere finds how the light repeats, and scanners that count the same
// differences with B moved by whole periods; none for light that does not repeat.
func (s *scanner) elsewhere(g *gather) (sky light, moved []*scanner) {
	sky, _ = g.look(CoincidenceOptions{Window: s.window})
	if len(sky.periods) == 0 {
		return sky, nil
	}
	at := sky.wholly(max(minShift, s.width, sky.blind+sky.blind/4))
	g.reach += at[len(at)-1]
	for place, by := range at {
		if place != shiftsEachSide {
			moved = append(moved, &scanner{low: s.low + by, width: s.width, bin: s.bin, toBin: s.toBin, fine: make([]uint64, len(s.fine)), by: by})
		}
	}
	return sky, moved
}

// repeatedOf is what the moved scanners counted.
func repeatedOf(g *gather, sky light, moved []*scanner) repeated {
	if len(moved) == 0 {
		return repeated{}
	}
	a, b, half := g.lanes[0].record(g), g.lanes[1].record(g), float64(moved[0].width)/2
	whole := timeOver(a, b, -half, half)
	r := repeated{fine: moved[0].fine, period: sky.periods[0].length}
	for i, m := range moved {
		for k, n := range m.fine {
			if i > 0 {
				r.fine[k] += n
			}
		}
		if whole > 0 {
			r.parts += timeOver(a, b, float64(m.by)-half, float64(m.by)+half) / whole
		}
	}
	return r
}

// short says that the record is too short to count chance of light that repeats;
// empty where it is not.
func (r repeated) short() string {
	if r.fine == nil || r.parts >= 1 {
		return ""
	}
	return fmt.Sprintf("the light repeats after %.9g ps, and the record is too short to move B by whole periods beyond the scan, so what is chance is not known", r.period)
}

// under is chance in a bin.
func (m *moments) under(k int) float64 {
	if m.chance.fine == nil {
		return m.level * m.seenOf(k, k+1)
	}
	return float64(m.chance.fine[k]) / m.chance.parts
}

// within is chance in bins, of which the first and the last may be parts.
func (m *moments) within(from, to float64) (sum float64) {
	least := 0.0
	if m.chance.fine == nil && m.seen == nil {
		return m.level * (to - from)
	} else if m.chance.fine != nil {
		least = 0.5 / m.chance.parts
	}
	for k := int(from); float64(k) < to && k < len(m.fine); k++ {
		sum += m.under(k) * (min(to, float64(k+1)) - max(from, float64(k)))
	}
	return max(sum, least)
}

// doubt says why chance beside the peak is not what it is taken for; empty where
// nothing speaks against it.
func (m *moments) doubt() string {
	const much = 0.05 // of chance
	if m.chance.fine != nil {
		if short := m.chance.short(); short != "" {
			return short
		}
		moved := 0.0
		for k, n := range m.chance.fine {
			if k < m.low || k >= m.high {
				moved += float64(n)
			}
		}
		if u := compare(m.beyond, 1, moved, m.chance.parts); u.certain() && math.Abs(u.part) > much {
			return fmt.Sprintf("beside the peak there are %.3g times as many pairs as when B is moved by whole periods of %.9g ps, so what is chance is not known", 1+u.part, m.chance.period)
		}
		return ""
	}
	if s := m.scatter(); s > much {
		return fmt.Sprintf("counts beside the peak differ by %.2g of their mean from one another, more than chance lets them: there are other peaks, or the light is pulsed or gated, so what is chance is not known; scan a part without other peaks, or see coincidences", s)
	}
	return ""
}

// scatter is the standard deviation of counts in stretches beside the peak that are
// as long as it, beyond that of chance and over their mean; 0 where chance may do it.
func (m *moments) scatter() float64 {
	const certainly, most, little, many = 8, 1 << 12, 0.05, 32 // standard deviations; stretches; of the time, that a stretch was seen; steps
	long := max(m.high-m.low, len(m.fine)/most, 1)
	if m.grain > 0 { // as many steps in each, but for one of many
		long = int(math.Round(math.Ceil(max(float64(long)/m.grain, many)) * m.grain))
	}
	n, total, square, rare := 0.0, 0.0, 0.0, 0.0
	for _, side := range [][2]int{{0, m.low}, {m.high, len(m.fine)}} {
		for k := side[0]; k+long <= side[1]; k += long {
			part := m.seenOf(k, k+long)
			counted, due := 0.0, m.level*part
			for _, c := range m.fine[k : k+long] {
				counted += float64(c)
			}
			if part > little*float64(long) {
				n, total = n+1, total+counted
				square += (counted - due) * (counted - due) / due
				rare += 1 / due
			}
		}
	}
	if n < 3 || total == 0 {
		return 0
	}
	beyond := square - (n - 1)
	if beyond < certainly*math.Sqrt(n*2+rare) {
		return 0
	}
	return math.Sqrt(beyond / (n - 1) * n / total)
}
