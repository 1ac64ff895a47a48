package correlate

import (
	"cmp"
	"math"
	"slices"
)

// light is what the first tags of the channels tell of how their light comes.
type light struct {
	periods []period    // that it repeats after, shortest first
	blind   int64       // ps: how long a detector sees nothing after a tag, the longest of all
	blindOf []blindness // by channel
	rate    float64     // tags of all channels per ps
	step    float64     // ps, by which differences of tags come; 0: none that matters
	given   bool        // whether the first period is not found but said
	seen    bool        // whether the tags show the one that was said
	other   float64     // ps: a period that the one given does not explain; 0: none
	uneven  []uneven    // by pair of channels, as newCounters has them: how chance differs near zero
}

// period is one of them, as well as it is known up to reach.
type period struct {
	length float64 // ps
	reach  float64 // ps
	power  float64 // of its line, in lags up to reach
	share  float64 // of that, one lag's
}

const (
	mostPeriods = 3
	aliases     = 16 // of a frequency, that bins may show in its place
	mostParts   = 12 // of a period that a line may be
)

// look finds how the light comes from what has been read of the channels, and by
// how much to move them for chance.
func (g *gather) look(o CoincidenceOptions) (l light, at places) {
	tags, stretch := g.read()
	if o.Period > 0 {
		l.give(o.Period)
	}
	if stretch < 2*firstLine*finestBin {
		return l, g.placesFor(o, l)
	}
	for _, t := range tags {
		blind, dead := blindAfter(t)
		l.blind = max(l.blind, blind)
		l.blindOf = append(l.blindOf, blindness{dead: float64(dead)})
		l.rate += float64(len(t)) / float64(stretch)
	}
	for i := range tags[1:] {
		l.step = max(l.step, commonStep(tags[0], tags[i+1]))
	}
	all := lagsOf(stretch, l.step)
	for i := range tags {
		for j := range i {
			l.ofPair(tags[j], tags[i], all, o.Window/2)
		}
	}
	l.sort()
	at = g.placesFor(o, l)
	for i, t := range tags {
		l.blindOf[i].look(t, at, o.Window/2, len(l.periods) == 0)
	}
	near := all[len(all)-1]
	for i := len(all) - 1; i > 0 && all[i-1].reach > 9*at[shiftsEachSide+1]/2; i-- {
		near = all[i-1]
	}
	for i := range tags {
		for _, t := range tags[i+1:] {
			beside := near.besideOf(o.Window / 2)
			if len(tags) > 2 { // of two, they are taken
				near.takeFrom(tags[i], t, beside)
			}
			l.uneven = append(l.uneven, near.unevenness(at, l, float64(o.Window/2), float64(beside)))
		}
	}
	return l, at
}

// sort puts the shortest period first; one that was given stands alone where it
// does not explain the light.
func (l *light) sort() {
	if l.other > 0 {
		l.periods = l.periods[:1]
	}
	slices.SortFunc(l.periods, func(p, q period) int { return cmp.Compare(p.length, q.length) })
}

// give takes a period as known to a picosecond.
func (l *light) give(length float64) {
	const unsure, shown = 0.6, 0.025 // ps; of the lags, by which light that comes in pulses shows it
	l.periods = []period{{length: length, reach: length * length / (2 * unsure), power: certainLine, share: shown}}
	l.given = true
}

// read are the tags of each lane that lie in the time read of all, in ps.
func (g *gather) read() (tags [][]uint64, stretch int64) {
	to := int64(math.MaxInt64)
	for _, l := range g.lanes {
		if l.count == 0 {
			return nil, 0
		}
		to = min(to, g.since(l.fixed[len(l.fixed)-1]))
	}
	to = g.firstBreak(to)
	for _, l := range g.lanes {
		first := search(len(l.fixed), func(i int) bool { return g.since(l.fixed[i]) >= g.from })
		last := search(len(l.fixed), func(i int) bool { return g.since(l.fixed[i]) > to })
		tags = append(tags, l.fixed[first:max(first, last)])
	}
	return tags, to - g.from
}

// lagsOf are lags of ever wider reaches in a stretch of so many ps, of tags that come in
// such steps, not taken yet.
func lagsOf(stretch int64, step float64) (all []lags) {
	for bin := int64(finestBin); ; bin *= coarser {
		reach := min(bin*lagBins/2, stretch/2)
		if all = append(all, lags{reach: reach, stretch: stretch, step: step}); reach == stretch/2 {
			return all
		}
	}
}

// besideOf is what about zero is left out, where pairs lie within half.
func (l *lags) besideOf(half int64) int64 {
	return half + finestBin + 2*l.reach/lagBins + int64(math.Ceil(l.step))
}

// ofPair looks for periods in the differences of two channels, up to ever wider
// reaches, and makes those that are known finer.
func (l *light) ofPair(a, b []uint64, all []lags, half int64) {
	spectra := make([][]line, len(all))
	Each(len(all), func(i int) {
		beside := all[i].besideOf(half)
		if all[i].takeFrom(a, b, beside); beside < all[i].reach/4 {
			spectra[i] = all[i].lines()
		}
	})
	for i := range all {
		l.refine(&all[i])
		l.explain(&all[i], spectra[i])
	}
}

// refine makes known periods finer by lags of a wider reach.
func (l *light) refine(of *lags) {
	for i := range l.periods {
		if p := &l.periods[i]; of.width() > p.reach && p.length < of.width()/4 {
			about, least := p.share*float64(len(of.of)), certainLine/2
			said := l.given && i == 0
			if said && !l.seen {
				least = certainLine // of what was only said, chance shows half as much at one of so many frequencies
			}
			if f, power := of.sharpen(1/p.length, min(0.5, 3/math.Sqrt(p.power))/p.reach, about); power > least {
				l.seen = l.seen || said
				if said {
					about = certainLine // it may show less
				}
				*p = period{length: 1 / f, reach: of.width(), power: max(about, certainLine), share: p.share}
			}
		}
	}
}

// sharpen finds the frequency, within so much of one that is known, at which the
// lags repeat most, and then by its overtones, which tell it better. The line's
// power is about known.
func (l *lags) sharpen(frequency, within, about float64) (best, power float64) {
	some := l.enough(about)
	step := 1 / (4 * l.width())
	n := min(int(math.Ceil(within/step)), 4*coarser)
	best = frequency
	for i := -n; i <= n; i++ {
		if p := some.power(frequency + float64(i)*step); p > power {
			best, power = frequency+float64(i)*step, p
		}
	}
	for overtone := 1.0; overtone <= 1<<20; overtone *= 2 { // pulses of a millionth of the period have so many
		by := step / 2 / overtone
		x, y, z := some.power((best-by)*overtone), some.power(best*overtone), some.power((best+by)*overtone)
		if overtone > 1 && y < certainLine {
			break
		}
		best += by * math.Max(-1, math.Min(1, 2*middleOf(x, y, z)))
	}
	return best, power
}

// explain adds the periods of lines that known ones do not explain.
func (l *light) explain(of *lags, lines []line) {
	var longer []float64 // frequencies of periods that a wider reach tells
	for _, found := range lines {
		if len(l.periods) == mostPeriods || l.other > 0 {
			return
		}
		if l.imaged(found.frequency, of) || overtone(found.frequency, longer, of.width()) {
			continue
		}
		if found = of.unaliased(found); l.known(found.frequency, of.width()) {
			continue
		}
		f, _ := of.sharpen(found.frequency, 0.5/of.width(), found.power)
		f /= float64(of.parts(f, found.noise))
		if 1/f > of.longest() {
			longer = append(longer, f)
			continue
		}
		if l.known(f, of.width()) {
			continue
		}
		if ratio := 1 / f / l.periodGiven(); l.given && ratio > 0.25 && ratio < 4 {
			l.other = 1 / f
		} else {
			l.periods = append(l.periods, period{length: 1 / f, reach: of.width(), power: found.power, share: found.power / float64(len(of.of))})
		}
	}
}

// overtone says whether a frequency is, as well as lags up to reach tell, a
// multiple of one of others.
func overtone(frequency float64, of []float64, reach float64) bool {
	for _, f := range of {
		if turns := frequency / f; turns > 1.5 && math.Abs(turns-math.Round(turns)) < min(0.25, 1/(f*reach)) {
			return true
		}
	}
	return false
}

// longest is the longest period that the lags tell from fractions of it, whose lines
// lie too near each other beyond; a wider reach tells it, where there is one.
func (l *lags) longest() float64 {
	if l.reach < l.stretch/2 {
		return l.width() / 16
	}
	return l.width() / 8
}

// periodGiven is the period that was said, if one was.
func (l *light) periodGiven() float64 {
	if !l.given {
		return math.Inf(1)
	}
	return l.periods[0].length
}

// known says whether a frequency is that of a known period or an overtone of it.
func (l *light) known(frequency, reach float64) bool {
	for _, p := range l.periods {
		turns := frequency * p.length
		unsure := p.length/reach + turns*p.length/(8*p.reach)
		if math.Round(turns) >= 1 && math.Abs(turns-math.Round(turns)) < min(unsure, 0.5) {
			return true
		}
	}
	return false
}

// imaged says whether a line is of a known period, or the image of one that bins
// show in its place. Bins show overtones of sharp pulses far beyond what they
// resolve: at x per bin all lags together with a power of at most 1 / (pi x)^2.
func (l *light) imaged(frequency float64, of *lags) bool {
	reach := of.width()
	rate := lagBins / (2 * reach)
	images := int(math.Sqrt(2*float64(len(of.of))/certainLine)/math.Pi) + 2
	for i := range max(images, aliases) + 1 {
		if at := float64(i) * rate; l.known(at+frequency, reach) || i > 0 && l.known(at-frequency, reach) {
			return true
		}
	}
	return false
}

// unaliased returns the frequency of which a line in a spectrum of bins may only
// be the image: the one that the lags themselves repeat by most.
func (l *lags) unaliased(found line) line {
	some := l.enough(found.power)
	rate := lagBins / (2 * l.width())
	best, power := found.frequency, some.power(found.frequency)*1.5
	for i := 1.0; i <= aliases && rate*i < 0.5/finestBin; i++ {
		for _, f := range []float64{rate*i - found.frequency, rate*i + found.frequency} {
			if p := some.power(f); p > power {
				best, power = f, p
			}
		}
	}
	found.frequency = best
	return found
}

// parts is into how many parts the line divides the period: lines at fractions of
// its frequency tell.
func (l *lags) parts(frequency, noise float64) int {
	some := l.atMost(1 << 14)
	n := 1
	for k := 2; k <= mostParts; k++ {
		if common := n * k / divisor(n, k); frequency/float64(common) < firstLine/(2*l.width())/2 || common == n {
			continue
		}
		for m := 1; m < k; m++ {
			if divisor(m, k) == 1 && some.power(frequency*float64(m)/float64(k)) > certainLine*noise {
				n = n * k / divisor(n, k)
				break
			}
		}
	}
	return n
}

// divisor is the greatest that two numbers have in common.
func divisor[N int | uint64](a, b N) N {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}
