package correlate

import (
	"fmt"
	"math"

	"tsrun/sdk/quantity"
)

// Pulse is what a pulsed source gives in one period about a multiple of it.
type Pulse struct {
	Number int             `json:"pulse"` // the delay is this many periods
	Counts uint64          `json:"counts"`
	G2     quantity.Number `json:"g2"` // over the mean of all pulses but number 0; none where these are empty
	SD     quantity.Number `json:"g2_sd"`
}

// lightOf finds from their first tags how the light of two records comes. A period
// that is given, if not 0, is made finer.
func lightOf(a, b *ends, period float64) (l light) {
	const half = 500 // ps: pairs are hardly further apart
	if period > 0 {
		l.give(period)
	}
	x, y := a.correct.ApplyAll(nil, a.first), b.correct.ApplyAll(nil, b.first)
	if len(x) == 0 || len(y) == 0 {
		return l
	}
	since := func(t uint64) int64 { return int64(t - x[0]) }
	from, to := max(0, since(y[0])), min(since(x[len(x)-1]), since(y[len(y)-1]))
	if to-from < 2*firstLine*finestBin {
		return l
	}
	common := func(tags []uint64) []uint64 {
		low := search(len(tags), func(i int) bool { return since(tags[i]) >= from })
		return tags[low:search(len(tags), func(i int) bool { return since(tags[i]) > to })]
	}
	l.ofPair(common(x), common(y), lagsOf(to-from), half)
	l.sort()
	return l
}

// pulsed sums up the pulses of light that comes in pulses, and says where it cannot.
func (r *G2) pulsed(l light, o G2Options) {
	const resolved, alike = 2, 20 // bins in a period; periods in a bin, which then holds about as many as others
	r.Unseen = l.given && !l.seen
	for _, p := range l.periods {
		r.Periods = append(r.Periods, p.length)
	}
	for _, period := range r.Periods {
		said := o.Period > 0 && math.Abs(period-o.Period) < 1e-3*o.Period
		if said || o.Period == 0 && r.Pulses == nil && period >= float64(resolved*r.Bin) && float64(o.Range) >= 1.5*period {
			r.Pulses = pulses(r.Histogram, period)
		}
	}
	const over = "so bins over mean rates are not what uncorrelated light gives"
	switch {
	case l.other > 0:
		r.Warning = fmt.Sprintf("the light repeats after %.9g ps, which the period given does not explain; leave the period out, or give this one", l.other)
	case r.Pulses != nil:
		r.Warning = unevenPulses(r.Pulses)
	case len(r.Periods) == 0 || o.Far > 0:
	case r.Periods[0] >= float64(resolved*r.Bin):
		r.Warning = fmt.Sprintf("the light repeats after %.9g ps, %s; choose a range of at least 1.5 periods, which compares its pulses", r.Periods[0], over)
	case r.Periods[0] >= float64(r.Bin)/alike:
		r.Warning = fmt.Sprintf("the light repeats after %.9g ps, %s: bins of %d ps hold more or fewer pulses; choose bins of half a period or less", r.Periods[0], over, r.Bin)
	}
}

// unevenPulses says why the mean of all pulses but number 0 is not what uncorrelated
// light gives; empty where nothing speaks against it.
func unevenPulses(list []Pulse) string {
	const certainly, much = 8, 0.05 // standard deviations; of the mean
	n, total := 0.0, 0.0
	for _, p := range list {
		if p.Number != 0 {
			n, total = n+1, total+float64(p.Counts)
		}
	}
	mean, square := total/n, 0.0
	if n < 2 || total == 0 {
		return ""
	}
	for _, p := range list {
		if p.Number != 0 {
			square += (float64(p.Counts) - mean) * (float64(p.Counts) - mean) / mean
		}
	}
	beyond := square - (n - 1)
	if scatter := math.Sqrt(max(0, beyond) / (n - 1) / mean); beyond > certainly*math.Sqrt(n*(2+1/mean)) && scatter > much {
		return fmt.Sprintf("the pulses beside that at zero differ by %.2g of their mean from one another, more than chance lets them, so their mean is not what uncorrelated light gives; "+
			"give the offset at which the pulse of zero delay is at zero, or choose a range without what makes them differ", scatter)
	}
	return ""
}

// pulses sums the bins whose middle is nearest to a multiple of the period, of
// those multiples whose period lies within the histogram.
func pulses(h Histogram, period float64) []Pulse {
	most := int((float64(-h.Start) - period/2) / period)
	list := make([]Pulse, 2*most+1)
	for i := range list {
		list[i] = Pulse{Number: i - most, G2: quantity.None(), SD: quantity.None()}
	}
	for k, n := range h.Counts {
		number := int(math.Floor(float64(h.Middle(k))/period + 0.5))
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
			n := float64(list[i].Counts)
			list[i].G2 = quantity.Number(n / mean)
			list[i].SD = quantity.Number(math.Hypot(deviation(n, mean, 0), n/math.Sqrt(others)) / mean)
		}
	}
	return list
}
