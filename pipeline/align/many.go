package align

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"tsrun/pipeline/correlate"
)

const (
	maxChannels = 64          // of one node
	delayReach  = 2_000_000.0 // ps: how far apart the peaks of two pairs of channels may be
	maxLeads    = 4           // pairs of channels from which the clock is tried to be followed
)

// ChannelPair is what one channel of A and one of B say together.
type ChannelPair struct {
	A            int     `json:"a"` // index among A's channels
	B            int     `json:"b"`
	Correlated   bool    `json:"correlated"`  // they have pairs; else only Significance is said
	Delay        float64 `json:"delay_ps"`    // of the pair's B minus A, beyond the common offset
	DelaySD      float64 `json:"delay_sd_ps"` // as its own pairs tell, beside a clock that is known
	Jitter       float64 `json:"jitter_ps"`
	Pairs        int64   `json:"pairs"`        // without what chance explains
	Significance float64 `json:"significance"` // in standard deviations of chance
}

// Channels is one clock, found from all channels of two nodes together.
//
// The common Alignment is that of the Lead, the pair of channels with the most
// evidence; for any other pair, B minus A is its Delay more: cables and
// detectors differ, the clock does not. All pairs together tell how the clock
// moves, but where the lead's peak is only its own pairs do.
type Channels struct {
	Alignment
	Lead         int           `json:"lead"`          // index of the pair
	ChannelPairs []ChannelPair `json:"channel_pairs"` // of every channel of A with every channel of B
}

// AlignMany is [Align] for nodes with several channels each. One clock is found
// with one delay for every pair of channels; pairs of channels that do not
// correlate are said to be so. Peaks may lie up to 2 us from that of the lead.
func AlignMany(ctx context.Context, a, b [][]uint64, o Options) (Channels, error) {
	if err := o.Check(); err != nil {
		return Channels{}, err
	}
	if err := checkChannels(len(a), len(b)); err != nil {
		return Channels{}, err
	}
	m := &many{ctx: ctx, options: o, a: a, b: b}
	if err := m.prepare(); err != nil {
		return Channels{}, err
	}
	lead, err := m.lead()
	if err != nil {
		return Channels{}, err
	}
	return m.together(lead)
}

func checkChannels(a, b int) error {
	if a == 0 || b == 0 || a > maxChannels || b > maxChannels {
		return &correlate.LimitError{What: "channels", Value: fmt.Sprintf("%d of A and %d of B", a, b),
			Limit: fmt.Sprintf("1 to %d of each", maxChannels), Hint: "name the channels that may see pairs"}
	}
	return nil
}

// many holds what all steps of an alignment of several channels need.
type many struct {
	ctx     context.Context
	options Options
	a, b    [][]uint64
	pairs   []*searcher // of every pair of channels, A's first; nil: too few tags
}

func (m *many) at(i, k int) *searcher { return m.pairs[i*len(m.b)+k] }

// prepare makes a searcher of each pair of channels that has tags for one.
func (m *many) prepare() error {
	var refused error
	any := false
	for _, a := range m.a {
		for _, b := range m.b {
			s, err := newSearcher(m.ctx, a, b, m.options)
			var refusal *Refusal
			switch {
			case errors.As(err, &refusal):
				refused = err
			case err != nil:
				return err
			default:
				any = true
			}
			m.pairs = append(m.pairs, s)
		}
	}
	if !any {
		return refused
	}
	return nil
}

// leading is the alignment of one pair of channels.
type leading struct {
	a, b int
	Alignment
}

// lead finds the clock from one pair of channels: in all tags of both nodes
// together first, because that is where a short stretch shows most, then in
// pair after pair, those with most tags first.
func (m *many) lead() (leading, error) {
	allA, allB := merged(m.a, nil), merged(m.b, nil)
	defer allA.release()
	defer allB.release()
	all, err := newSearcher(m.ctx, allA.tags, allB.tags, m.options)
	if err != nil {
		return leading{}, err
	}
	l, refused := all.found()
	if refused == nil {
		for n, p := range m.ranked(l) {
			if n == maxLeads {
				break
			}
			line := l
			line.Line = moved(l.Line, p.x, 0)
			r, err := m.at(p.a, p.b).settle(line)
			if err == nil {
				return leading{p.a, p.b, r}, nil
			}
			refused = err
		}
	}
	for n, p := range m.largest() {
		if n == maxLeads || m.ctx.Err() != nil {
			break
		}
		s := m.at(p[0], p[1])
		if line, err := s.found(); err == nil {
			if r, err := s.settle(line); err == nil {
				return leading{p[0], p[1], r}, nil
			}
		}
	}
	if err := m.ctx.Err(); err != nil {
		return leading{}, err
	}
	return leading{}, refused
}

// stake is how much evidence one pair of channels has near a line.
type stake struct {
	a, b  int
	x, ll float64
}

// ranked returns the pairs of channels by their evidence near a line that is
// known about one place.
func (m *many) ranked(l line) []stake {
	var all []stake
	for i := range m.a {
		for k := range m.b {
			if s := m.at(i, k); s != nil {
				points, _ := s.collect(l.Line, l.length, delayReach, maxPoints)
				p := hough(points, delayReach, 0, 0, max(l.bin, bestBin))
				all = append(all, stake{i, k, p.x, p.ll})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y stake) int { return cmp.Compare(y.ll, x.ll) })
	return all
}

// largest returns the pairs of channels by the product of their tags.
func (m *many) largest() (all [][2]int) {
	for i := range m.a {
		for k := range m.b {
			if m.at(i, k) != nil {
				all = append(all, [2]int{i, k})
			}
		}
	}
	slices.SortStableFunc(all, func(x, y [2]int) int {
		return cmp.Compare(len(m.a[y[0]])*len(m.b[y[1]]), len(m.a[x[0]])*len(m.b[x[1]]))
	})
	return all
}

// together measures every pair of channels against the lead's clock, and then
// the clock with the pairs of all.
func (m *many) together(lead leading) (Channels, error) {
	pairs := m.measured(lead.Alignment)
	delaysA, delaysB, joined := delays(pairs, lead, len(m.a), len(m.b))
	r := lead.Alignment
	if joined > 1 {
		allA, allB := merged(m.a, delaysA), merged(m.b, delaysB)
		defer allA.release()
		defer allB.release()
		all, err := newSearcher(m.ctx, allA.tags, allB.tags, m.options)
		if err != nil {
			return Channels{}, err
		}
		at := r.Reference
		offset, _ := r.OffsetAt(at)
		l := line{Line: correlate.Line{Reference: at, Offset: offset.Whole, Frequency: r.Line().Frequency},
			length: min(int64(r.Overlap), minSegment), ux: 4 * r.Jitter, uy: 10e-9*r.FrequencySD + wander, bin: r.Jitter}
		if r, err = all.settle(l); err != nil {
			return Channels{}, err
		}
		pairs = m.measured(r)
	}
	c := Channels{Alignment: r, Lead: lead.a*len(m.b) + lead.b, ChannelPairs: pairs}
	if joined > 1 {
		c.ofLead()
	}
	return c, nil
}

// ofLead makes an alignment of the pairs of all channels, as if their delays
// had been known, that of the lead. The delays were taken from the lead, so its
// error is in all of them, and in their mean.
func (c *Channels) ofLead() {
	lead := c.ChannelPairs[c.Lead]
	others := 1 - float64(lead.Pairs)/float64(max(c.Pairs, lead.Pairs))
	sd := lead.DelaySD * math.Sqrt(others)
	c.OffsetSD, c.StartSD = math.Hypot(c.OffsetSD, sd), math.Hypot(c.StartSD, sd)
	if c.Track != nil {
		c.Track = c.Track.Widen(sd)
	}
}

// measured looks for the peak of each pair of channels beside a clock.
func (m *many) measured(r Alignment) []ChannelPair {
	correction := r.Correction()
	found := make([]ChannelPair, 0, len(m.pairs))
	for i := range m.a {
		for k := range m.b {
			p := ChannelPair{A: i, B: k}
			if s := m.at(i, k); s != nil {
				s.measure(&p, correction, r, len(m.pairs))
			}
			found = append(found, p)
		}
	}
	return found
}

// measure fills in what the pairs of one pair of channels, of so many that are
// tried, say beside a clock.
func (s *searcher) measure(p *ChannelPair, c fixer, r Alignment, trials int) {
	points, stride := s.collectIn(r.Start, r.Start+uint64(r.Overlap)+1, c, delayReach, maxFitPoints)
	bin := s.grid.Bin(2 * max(r.Jitter, 1))
	peak := hough(points, delayReach, 0, 0, bin)
	peak.ll -= math.Log(float64(trials))
	p.Significance = math.Sqrt(2 * max(peak.ll, 0))
	if peak.count < 8 || peak.ll < convincedLL {
		return
	}
	half := s.grid.Reach(max(r.Jitter, s.grid.Floor(), 5), fitReach)
	var near []point
	for _, q := range points {
		if d := q.d - peak.x; math.Abs(d) <= half {
			near = append(near, point{q.t, d})
		}
	}
	f, ok := fitLine(near, half, r.Jitter, 1, true, s.grid)
	if !ok {
		return
	}
	f.widen(1)
	p.Correlated, p.Delay, p.DelaySD = true, peak.x+f.x, math.Sqrt(f.vx)
	p.Jitter, p.Pairs = f.sigma, int64(math.Round(f.n*float64(stride)))
}

// delays gives each channel a delay of its own from those of the pairs, the
// strongest first, so that all peaks lie in the mean where the lead's does.
// Channels that no pair leads to have none: NaN. joined is how many pairs are
// explained.
func delays(pairs []ChannelPair, lead leading, na, nb int) (ofA, ofB []float64, joined int) {
	ofA, ofB = make([]float64, na), make([]float64, nb)
	for i := range ofA {
		ofA[i] = math.NaN()
	}
	for k := range ofB {
		ofB[k] = math.NaN()
	}
	ofA[lead.a], ofB[lead.b] = 0, 0
	strongest := slices.Clone(pairs)
	// The lead's alignment need not be at the mean of its pairs, where those of
	// all others are measured.
	own := pairs[lead.a*nb+lead.b].Delay
	for i := range strongest {
		strongest[i].Delay -= own
	}
	slices.SortStableFunc(strongest, func(x, y ChannelPair) int { return cmp.Compare(y.Pairs, x.Pairs) })
	settle := func() bool { // one more channel from a pair with the other known
		for _, p := range strongest {
			switch x, y := ofA[p.A], ofB[p.B]; {
			case !p.Correlated || math.IsNaN(x) == math.IsNaN(y):
			case math.IsNaN(y):
				ofB[p.B] = p.Delay + x
				return true
			default:
				ofA[p.A] = y - p.Delay
				return true
			}
		}
		for _, p := range strongest { // a group of its own
			if p.Correlated && math.IsNaN(ofA[p.A]) && math.IsNaN(ofB[p.B]) {
				ofA[p.A], ofB[p.B] = 0, p.Delay
				return true
			}
		}
		return false
	}
	for settle() {
	}
	// Each pair has its say in the mean, that of the lead counts.
	var beside, weight float64
	for _, p := range strongest {
		if p.Correlated {
			joined++
			beside += float64(p.Pairs) * (p.Delay - ofB[p.B] + ofA[p.A])
			weight += float64(p.Pairs)
		}
	}
	for k := range ofB {
		if weight > 0 {
			ofB[k] += beside / weight
		}
	}
	return ofA, ofB, joined
}
