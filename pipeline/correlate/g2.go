package correlate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"

	"tsrun/sdk/quantity"
)

// G2 is a histogram of B minus A over what uncorrelated light would give: G2[k]
// is 1 where detections are independent, less where one makes the
// other rarer, and no value where nothing was recorded by both.
//
// Uncorrelated light of the rates that were recorded gives in a bin
//
//	rate A x rate B x integral over the bin of (time in which A recorded and B recorded that much later)
//
// The time is shorter the larger the delay. What a channel recorded is told by its
// tags: from as much before the first as two are apart in the mean to as much after
// the last. Every tag counts for the rate alone, and as much as any other.
type G2 struct {
	Histogram
	Overlap  uint64            `json:"overlap_ps"` // the time both recorded, at the delay 0
	Scale    quantity.Number   `json:"scale"`      // what uncorrelated light was multiplied by: 1, or the mean of the far bins; none where these are empty
	Expected []quantity.Number `json:"expected"`   // counts of uncorrelated light, scaled
	G2       []quantity.Number `json:"g2"`         // Counts over Expected
	SD       []quantity.Number `json:"g2_sd"`
	Periods  []float64         `json:"periods_ps,omitempty"` // that the light repeats after, shortest first
	Pulses   []Pulse           `json:"pulses,omitempty"`     // of the shortest of them that bins and range let be seen
	Warning  string            `json:"warning,omitempty"`    // why this is not what uncorrelated light is divided by

	Unseen bool `json:"-"` // whether the period was given, and the first tags do not show it

	known bool // whether the rates of both channels are
}

// G2Options say how to count and what to divide by.
type G2Options struct {
	Range, Bin int64   // ps, as in [HistogramOptions]
	Far        int64   // ps: if not 0, bins at least so far from 0 are 1 in the mean: for light whose power varies
	Period     float64 // ps: if not 0, that of a pulsed source, as which it is found otherwise: sum up the bins of each pulse as well
}

// Check says what is wrong with the options.
func (o G2Options) Check() error {
	switch {
	case o.Far < 0 || o.Far >= o.Range && o.Range > 0:
		return fmt.Errorf("far is %d ps; it must lie within the range of %d ps", o.Far, o.Range)
	case o.Period < 0 || o.Period > 0 && o.Period < 2*float64(o.Bin):
		return fmt.Errorf("period is %.9g ps; it must be at least two bins of %d ps", o.Period, o.Bin)
	case o.Period > 0 && float64(o.Range) < 1.5*o.Period:
		return fmt.Errorf("a range of %d ps holds no pulse beside that at 0; choose at least 1.5 periods of %.9g ps", o.Range, o.Period)
	}
	return HistogramOptions{Range: o.Range, Bin: o.Bin}.Check()
}

// CountG2 makes the histogram of b minus a, whose streams may be of any length,
// and normalises it. Where both are interrupted, each stretch gives its part of both.
func CountG2(a, b Channel, o G2Options) (G2, error) {
	if err := o.Check(); err != nil {
		return G2{}, err
	}
	correctA, errA := a.toCommon()
	correctB, errB := b.toCommon()
	if err := errors.Join(errA, errB); err != nil {
		return G2{}, err
	}
	self := a.sameRecord(b)
	stretchesA, stretchesB := &broken{from: a.Tags, breaks: a.Breaks}, &broken{from: b.Tags, breaks: b.Breaks}
	if len(a.Breaks) != len(b.Breaks) {
		stretchesA.breaks, stretchesB.breaks = nil, nil // which belong together is not known
	}
	var r G2
	var lit light // as the first stretch that both recorded tells it
	told := false
	var parts stretches
	for again := true; again; {
		endsA, endsB := &ends{from: stretchesA, correct: correctA}, &ends{from: stretchesB, correct: correctB}
		a.Tags, b.Tags = endsA, endsB
		h, err := CountChannels(a, b, HistogramOptions{Range: o.Range, Bin: o.Bin})
		if err != nil {
			return G2{}, err
		}
		r.add(h)
		if h.TagsA > 0 && h.TagsB > 0 {
			inA, okA := endsA.steady(endsA.zero())
			inB, okB := endsB.steady(endsA.zero())
			if okA && okB {
				parts = append(parts, uncorrelated{a: inA, b: inB, self: self})
			}
		}
		if !told {
			lit, told = lightOf(endsA, endsB, o.Period), len(parts) > 0
		}
		again = stretchesA.goOn() && stretchesB.goOn()
	}
	r.Scale, r.Expected = 1, slices.Repeat([]quantity.Number{quantity.None()}, len(r.Counts))
	r.G2, r.SD = slices.Clone(r.Expected), slices.Clone(r.Expected)
	if len(parts) > 0 {
		r.normalise(parts, o.Far)
	}
	r.pulsed(lit, o)
	r.Warning = cmp.Or(r.Warning, r.besideSteps(lit.step))
	return r, nil
}

// add adds what a stretch of the records holds.
func (r *G2) add(h Histogram) {
	if r.Counts == nil {
		r.Histogram = h
		return
	}
	for k, n := range h.Counts {
		r.Counts[k] += n
	}
	r.TagsA, r.TagsB, r.Pairs, r.SelfPairs = r.TagsA+h.TagsA, r.TagsB+h.TagsB, r.Pairs+h.Pairs, r.SelfPairs+h.SelfPairs
}

// normalise divides the counts by what is expected of uncorrelated light.
func (r *G2) normalise(light stretches, far int64) {
	r.known, r.Overlap = true, uint64(light.time(0))
	scale, variance := 1.0, 0.0
	if far > 0 {
		if scale, variance = r.farScale(light, far); scale == 0 {
			r.Scale = quantity.None()
			return
		}
		r.Scale = quantity.Number(scale)
	}
	for k, n := range r.Counts {
		low, high := r.edges(k)
		unscaled := light.pairs(low, high)
		e := scale * unscaled
		if !(e > 0) {
			continue
		}
		excess := scale * scale * light.excess(low, high)
		g2 := float64(n) / e
		r.Expected[k], r.G2[k] = quantity.Number(e), quantity.Number(g2)
		r.SD[k] = quantity.Number(math.Hypot(deviation(float64(n), e, excess)/e, g2*math.Sqrt(variance)))
	}
}

// edges are those of a bin: a whole ps stands for the nearest times.
func (r *G2) edges(k int) (low, high float64) {
	at := r.Start + int64(k)*r.Bin
	return float64(at) - 0.5, float64(at+r.Bin) - 0.5
}

// farScale is the mean g2 of the bins at least so far from 0, and its relative
// variance; 0 where these are empty.
func (r *G2) farScale(light stretches, far int64) (scale, variance float64) {
	bins, nearest := len(r.Counts), int((far+r.Bin-1)/r.Bin) // from the middle
	var counted, due, excess float64
	for _, side := range [][2]int{{0, bins/2 - nearest}, {bins/2 + nearest, bins}} {
		if side[0] >= side[1] {
			continue
		}
		for k := side[0]; k < side[1]; k++ {
			counted += float64(r.Counts[k])
		}
		low, _ := r.edges(side[0])
		_, high := r.edges(side[1] - 1)
		pairs := light.pairs(low, high)
		due, excess = due+pairs, excess+light.excess(low, high)
	}
	if counted == 0 || due == 0 {
		return 0, 0
	}
	return counted / due, 1/counted + excess/(due*due)
}

// AtZero is the bin that begins at 0.
func (r *G2) AtZero() int { return len(r.Counts) / 2 }

// NoValue says why the bin at zero has no value, "" where it has one. The channels
// are called a and b.
func (r *G2) NoValue(a, b string) string {
	nothing := Nothing([]string{a, b}, []uint64{r.TagsA, r.TagsB})
	switch {
	case len(r.G2) > 0 && r.G2[r.AtZero()].Known():
		return ""
	case nothing != "":
		return nothing
	case !r.Scale.Known():
		return "there are no pairs in the far bins, which are to be 1 in the mean"
	case r.known:
		return fmt.Sprintf("nothing was recorded by both %s and %s at that delay", a, b)
	}
	return fmt.Sprintf("the tags of %s or %s are of one moment, which tells no rate", a, b)
}

// Nothing says which of the channels recorded nothing, "" for none.
func Nothing(names []string, tags []uint64) string {
	var empty []string
	for i, n := range tags {
		if n == 0 && !slices.Contains(empty, names[i]) {
			empty = append(empty, names[i])
		}
	}
	if len(empty) == 0 {
		return ""
	}
	return "nothing was recorded by " + strings.Join(empty, " and ")
}

// Highest is the bin where g2 is highest, the first of equals; ok is false where
// none has a value.
func (r *G2) Highest() (k int, ok bool) {
	for i, g := range r.G2 {
		if g.Known() && (!ok || g > r.G2[k]) {
			k, ok = i, true
		}
	}
	return k, ok
}

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
	inX, inY := common(x), common(y)
	l.step = commonStep(inX, inY)
	l.ofPair(inX, inY, lagsOf(to-from, l.step), half)
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

// besideSteps says that bins hold other numbers of the steps of tags than one another, by
// more than counts scatter; empty where they do not.
func (r *G2) besideSteps(step float64) string {
	bins, pairs := float64(len(r.Counts)), float64(r.Pairs)
	if step == 0 || pairs == 0 {
		return ""
	}
	steps := float64(r.Bin) / step
	off := math.Abs(steps - math.Round(steps))
	if steps > 0.5 && off*bins < 0.5 || 1/steps < math.Sqrt(bins/pairs)/2 {
		return ""
	}
	return fmt.Sprintf("tags come in steps of %.6g ps, and bins of %d ps hold more or fewer of them, so g2 of a bin is not that of the light; choose bins of whole steps", step, r.Bin)
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
