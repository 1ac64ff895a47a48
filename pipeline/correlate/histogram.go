package correlate

import (
	"fmt"
	"runtime"
)

// Histogram is how often each difference B minus A occurred: Counts[k] pairs
// had a difference in [Start + k*Bin, Start + (k+1)*Bin).
type Histogram struct {
	Start  int64    `json:"start_ps"`
	Bin    int64    `json:"bin_ps"`
	Counts []uint64 `json:"counts"`
	TagsA  uint64   `json:"tags_a"`
	TagsB  uint64   `json:"tags_b"`
	Pairs  uint64   `json:"pairs"` // the sum of Counts

	SelfPairs uint64 `json:"self_pairs,omitempty"` // of a record against itself: pairs of a tag with itself, left out
}

// Middle is the centre of bin k, in whole ps.
func (h Histogram) Middle(k int) int64 { return h.Start + int64(k)*h.Bin + h.Bin/2 }

// Highest is the bin of most counts, the first of equals; ok is false without
// pairs.
func (h Histogram) Highest() (k int, ok bool) {
	for i, n := range h.Counts {
		if n > h.Counts[k] {
			k = i
		}
	}
	return k, h.Pairs > 0
}

// HistogramOptions say which differences to count.
type HistogramOptions struct {
	Range      int64 // ps: differences in [-Range, Range); a whole number of bins
	Bin        int64 // ps: width of a bin; a difference d falls into bin floor(d/Bin)
	Correction Correction
}

// MaxBins is how many bins a histogram has at most, as a stage or a command: 80 MB of counts.
const MaxBins = 10_000_000

const (
	maxRange = int64(1) << 60 // ps
	maxPairs = uint64(1) << 36
)

// Check says what is wrong with the options.
func (o HistogramOptions) Check() error {
	switch {
	case o.Bin < 1:
		return fmt.Errorf("bin is %d ps; it must be at least 1 ps", o.Bin)
	case o.Range < o.Bin:
		return fmt.Errorf("range of %d ps is shorter than one bin of %d ps; choose a longer range or a finer bin", o.Range, o.Bin)
	case o.Range > maxRange:
		return &LimitError{What: "range", Value: fmt.Sprintf("%d ps", o.Range), Limit: "13 days", Hint: "choose a shorter range"}
	case o.Range%o.Bin != 0:
		return fmt.Errorf("range of %d ps is not a whole number of bins of %d ps; a range of %d ps is",
			o.Range, o.Bin, (o.Range/o.Bin+1)*o.Bin)
	case o.Range/o.Bin > MaxBins/2:
		return &LimitError{What: "histogram", Value: fmt.Sprintf("%d bins", 2*(o.Range/o.Bin)), Limit: fmt.Sprintf("%d bins", MaxBins), Hint: "choose a shorter range or a wider bin"}
	}
	return nil
}

// CountStreams counts the differences of every tag of a with every tag of b, both
// in order of time and of any length. It holds only as many tags as the range
// needs. It reads both streams ahead, at the same time, while it
// counts on all cores; when it returns, nothing reads them any more.
func CountStreams(a, b Stream, o HistogramOptions) (Histogram, error) {
	if err := o.Check(); err != nil {
		return Histogram{}, err
	}
	g, err := newGather([]Channel{{Tags: a}, {Tags: b, Correction: o.Correction}}, o.Range, chunk, false)
	if err != nil {
		return Histogram{}, err
	}
	defer g.close()
	of := newTallies(-o.Range, o.Bin, int(2*(o.Range/o.Bin)))
	if err := of.count(g); err != nil {
		return Histogram{}, err
	}
	h := Histogram{Start: -o.Range, Bin: o.Bin, TagsA: g.lanes[0].count, TagsB: g.lanes[1].count}
	h.Counts, h.Pairs = of.sum()
	return h, nil
}

// tallies count pairs on all cores, each of them its own; which core counts what makes
// no difference to the sum.
type tallies []tally

const privateBins = 1 << 22 // of all tallies together: 32 MiB

// newTallies returns those of differences from lo on, in bins of bin ps.
func newTallies(lo, bin int64, bins int) tallies {
	all := make(tallies, max(1, min(runtime.GOMAXPROCS(0), privateBins/bins)))
	width := uint64(bins) * uint64(bin)
	for i := range all {
		all[i] = tally{lo: uint64(lo), width: width, divide: newDivider(uint64(bin), width), counts: make([]uint64, bins)}
	}
	return all
}

// beside is a part of a span of A and what of B is in its reach.
type beside struct {
	span  int // its number
	a, b  []uint64
	pairs uint64
}

// count counts all that is gathered.
func (y tallies) count(g *gather) error {
	pairs := uint64(0)
	cores := newCrew(len(y), func(core int, p *beside) {
		before := y[core].pairs
		y[core].add(p.a, p.b)
		p.pairs = y[core].pairs - before
	}, func(p *beside) error {
		g.used = p.span
		if pairs += p.pairs; pairs > maxPairs {
			return &LimitError{What: "number of pairs in the range", Value: "more than 68 thousand million", Limit: "that",
				Hint: "choose a shorter range, or check the files for tags that repeat"}
		}
		return nil
	})
	defer cores.stop()
	for {
		more, err := g.another()
		if err != nil {
			return err
		}
		if !more {
			return cores.finish()
		}
		before := cores.given
		for a := range g.lanes[0].pieces(len(y)) {
			p, err := cores.next()
			if err != nil {
				return err
			}
			own := a.fixed[a.low:a.high]
			reach := g.lanes[1].within(own[0]+y[0].lo, own[len(own)-1]+y[0].lo+y[0].width-1)
			p.span, p.a, p.b = g.spans, own, reach.fixed
			if err := cores.give(); err != nil {
				return err
			}
		}
		if err := cores.passed(g, before); err != nil {
			return err
		}
	}
}

// sum adds up what was counted.
func (y tallies) sum() (counts []uint64, pairs uint64) {
	counts = y[0].counts
	for i := range y {
		pairs += y[i].pairs
		if i > 0 {
			for k, n := range y[i].counts {
				counts[k] += n
			}
		}
	}
	return counts, pairs
}

// selfPairs counts, in the bins of a histogram, the pairs that the tags of one
// record make with themselves: they say nothing of the light.
type selfPairs struct {
	from   Stream
	o      HistogramOptions
	fixed  []uint64
	counts []uint64
	all    uint64
}

func (s *selfPairs) Next(buf []uint64) (int, error) {
	n, err := s.from.Next(buf)
	if s.o.Correction.IsZero() {
		s.add(0, uint64(n))
		return n, err
	}
	s.fixed = s.o.Correction.ApplyAll(s.fixed[:0], buf[:n])
	for i, t := range s.fixed {
		s.add(int64(t-buf[i]), 1)
	}
	return n, err
}

func (s *selfPairs) add(difference int64, n uint64) {
	if difference >= -s.o.Range && difference < s.o.Range {
		s.counts[(difference+s.o.Range)/s.o.Bin] += n
		s.all += n
	}
}

func (s *selfPairs) leaveOut(h *Histogram) {
	for k, n := range s.counts {
		h.Counts[k] -= n
	}
	h.Pairs -= s.all
	h.SelfPairs = s.all
}
