package correlate

import (
	"errors"
	"fmt"
	"math"
)

// G2 is a histogram of B minus A over what uncorrelated light would give: G2[k]
// is 1 where detections know nothing of each other, less where one makes the
// other rarer. SD comes from the counts, sqrt(max(counts, 1)).
//
// Uncorrelated light of the rates that were recorded gives in a bin
//
//	rate A x rate B x integral over the bin of (time in which A recorded and B recorded that much later)
//
// The time is shorter the larger the delay. A record is known from its first tag to
// its last: rates are of the tags between, and these two are taken where they are,
// so that records that hardly meet give 1 as well.
type G2 struct {
	Histogram
	Overlap uint64    `json:"overlap_ps"` // the time both recorded, at the delay 0
	Scale   float64   `json:"scale"`      // what uncorrelated light was multiplied by: 1, or the mean of the far bins
	G2      []float64 `json:"g2"`         // 0 where no time was recorded by both
	SD      []float64 `json:"g2_sd"`
	Pulses  []Pulse   `json:"pulses,omitempty"`
}

// Pulse is what a pulsed source gives in one period about a multiple of it.
type Pulse struct {
	Number int     `json:"pulse"` // the delay is this many periods
	Counts uint64  `json:"counts"`
	G2     float64 `json:"g2"` // over the mean of all pulses but number 0
	SD     float64 `json:"g2_sd"`
}

// G2Options say how to count and what to divide by.
type G2Options struct {
	Range, Bin int64 // ps, as in [HistogramOptions]
	Far        int64 // ps: if not 0, bins at least so far from 0 are 1 in the mean: for light whose power varies
	Period     int64 // ps: if not 0, that of a pulsed source: sum up the bins of each pulse as well
}

// Check says what is wrong with the options.
func (o G2Options) Check() error {
	switch {
	case o.Far < 0 || o.Far >= o.Range && o.Range > 0:
		return fmt.Errorf("far is %d ps; it must lie within the range of %d ps", o.Far, o.Range)
	case o.Period < 0 || o.Period > 0 && o.Period < 2*o.Bin:
		return fmt.Errorf("period is %d ps; it must be at least two bins of %d ps", o.Period, o.Bin)
	case o.Period > 0 && o.Range < o.Period+o.Period/2:
		return fmt.Errorf("a range of %d ps holds no pulse beside that at 0; choose at least 1.5 periods of %d ps", o.Range, o.Period)
	}
	return HistogramOptions{Range: o.Range, Bin: o.Bin}.Check()
}

// CountG2 makes the histogram of b minus a, whose streams may be of any length,
// and normalises it.
func CountG2(a, b Channel, o G2Options) (G2, error) {
	if err := o.Check(); err != nil {
		return G2{}, err
	}
	correctA, errA := a.toCommon()
	correctB, errB := b.toCommon()
	if err := errors.Join(errA, errB); err != nil {
		return G2{}, err
	}
	endsA, endsB := &ends{from: a.Tags, correct: correctA}, &ends{from: b.Tags, correct: correctB}
	a.Tags, b.Tags = endsA, endsB
	h, err := CountChannels(a, b, HistogramOptions{Range: o.Range, Bin: o.Bin})
	if err != nil {
		return G2{}, err
	}
	r := G2{Histogram: h, Scale: 1, G2: make([]float64, len(h.Counts)), SD: make([]float64, len(h.Counts))}
	if h.TagsA == 0 || h.TagsB == 0 {
		return r, nil
	}
	light := uncorrelated{a: endsA.record(h.TagsA, endsA.first), b: endsB.record(h.TagsB, endsA.first)}
	r.Overlap = uint64(max(0, light.time(0)))
	r.normalise(light, o.Far)
	if o.Period > 0 {
		r.Pulses = pulses(h, o.Period)
	}
	return r, nil
}

// normalise divides the counts by what is expected of uncorrelated light.
func (r *G2) normalise(light uncorrelated, far int64) {
	expected := make([]float64, len(r.Counts))
	counted, due := 0.0, 0.0
	for k, n := range r.Counts {
		low := r.Start + int64(k)*r.Bin
		expected[k] = light.pairs(float64(low)-0.5, float64(low+r.Bin)-0.5) // a whole ps stands for the nearest times
		if low >= far || low+r.Bin <= -far {
			counted, due = counted+float64(n), due+expected[k]
		}
	}
	if far > 0 && due > 0 && counted > 0 {
		r.Scale = counted / due
	}
	for k, n := range r.Counts {
		if e := expected[k] * r.Scale; e > 0 {
			r.G2[k], r.SD[k] = float64(n)/e, math.Sqrt(float64(max(n, 1)))/e
		}
	}
}

// pulses sums the bins whose middle is nearest to a multiple of the period, of
// those multiples whose period lies within the histogram.
func pulses(h Histogram, period int64) []Pulse {
	most := int((-h.Start - period/2) / period)
	list := make([]Pulse, 2*most+1)
	for i := range list {
		list[i].Number = i - most
	}
	for k, n := range h.Counts {
		middle := h.Start + int64(k)*h.Bin + h.Bin/2
		number := int(math.Floor(float64(middle)/float64(period) + 0.5))
		if number >= -most && number <= most {
			list[number+most].Counts += n
		}
	}
	others := 0.0
	for _, p := range list {
		if p.Number != 0 {
			others += float64(p.Counts)
		}
	}
	if mean := others / float64(len(list)-1); mean > 0 {
		for i := range list {
			n := list[i].Counts
			list[i].G2, list[i].SD = float64(n)/mean, math.Sqrt(float64(max(n, 1)))/mean
		}
	}
	return list
}
