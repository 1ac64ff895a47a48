package correlate

import (
	"fmt"
	"io"
	"math/bits"

	"tsrun/pipeline/tag"
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
}

// HistogramOptions say which differences to count.
type HistogramOptions struct {
	Range      int64 // ps: differences in [-Range, Range); a whole number of bins
	Bin        int64 // ps: width of a bin; a difference d falls into bin floor(d/Bin)
	Correction Correction
}

const (
	maxBins  = 1 << 24
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
	case o.Range/o.Bin > maxBins/2:
		return &LimitError{What: "histogram", Value: fmt.Sprintf("%d bins", 2*(o.Range/o.Bin)), Limit: fmt.Sprintf("%d bins", maxBins), Hint: "choose a shorter range or a wider bin"}
	}
	return nil
}

// Count counts the differences of every tag of a with every tag of b. Both
// must be in order of time.
func Count(a, b []uint64, o HistogramOptions) (Histogram, error) {
	return CountStreams(tag.NewReader(a), tag.NewReader(b), o)
}

// CountStreams is [Count] for streams of any length; it holds only as many
// tags as the range needs.
func CountStreams(a, b Stream, o HistogramOptions) (Histogram, error) {
	if err := o.Check(); err != nil {
		return Histogram{}, err
	}
	j := newJoin(a, b, -o.Range, o.Range-1, o.Correction)
	h := Histogram{Start: -o.Range, Bin: o.Bin, Counts: make([]uint64, 2*(o.Range/o.Bin))}
	for {
		block, _, window, err := j.next()
		if err == io.EOF {
			h.TagsA, h.TagsB = j.a.count, j.b.count
			return h, nil
		}
		if err != nil {
			return Histogram{}, err
		}
		if err := h.add(block, window); err != nil {
			return Histogram{}, err
		}
	}
}

// add sweeps one block of A over its window of B with two pointers. Both hold
// times whose differences modulo 2^64 are true, see maxSpan.
func (h *Histogram) add(a, b []uint64) error {
	lo, width := uint64(h.Start), uint64(len(h.Counts))*uint64(h.Bin)
	divide := newDivider(uint64(h.Bin), width)
	from := search(len(b), func(i int) bool { return int64(b[i]-a[0]-lo) >= 0 })
	for i := 0; i < len(a); {
		s, same := a[i]+lo, uint64(1) // tags of one time are counted together, or a file of zeros would take for ever
		for i++; i < len(a) && a[i] == a[i-1]; i++ {
			same++
		}
		for from < len(b) && int64(b[from]-s) < 0 {
			from++
		}
		k := from
		for ; k < len(b); k++ {
			d := b[k] - s
			if d >= width {
				break
			}
			h.Counts[divide.by(d)] += same
		}
		h.Pairs += same * uint64(k-from)
		if h.Pairs > maxPairs {
			return &LimitError{What: "number of pairs in the range", Value: "more than 68 thousand million", Limit: "that",
				Hint: "choose a shorter range, or check the files for tags that repeat"}
		}
	}
	return nil
}

// divider divides by a constant n with one multiplication: the high word of
// d*r, where r = floor((2^64-1)/n) + 1. r exceeds 2^64/n by at most 1, so d*r
// exceeds 2^64*d/n by at most d, which for d, n < 2^32 is less than the 2^64/n
// that would reach the next integer.
type divider struct{ n, reciprocal uint64 }

func newDivider(n, limit uint64) divider {
	if n < 2 || limit > 1<<32 {
		return divider{n: n}
	}
	return divider{n: n, reciprocal: ^uint64(0)/n + 1}
}

func (v divider) by(d uint64) uint64 {
	if v.reciprocal == 0 {
		return d / v.n
	}
	q, _ := bits.Mul64(d, v.reciprocal)
	return q
}
