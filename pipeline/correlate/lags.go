package correlate

import (
	"math"
	"slices"
)

const (
	lagBins   = 1 << 13
	lagBudget = 1 << 16 // differences that tell enough of the light at one reach
	finestBin = 125     // ps: periods from three of it on are found
	coarser   = 64      // times, a reach is wider than the one before
)

// lags are the differences of two channels' tags, up to reach to both sides but
// for those within beside of zero, where pairs are. Each weighs less the nearer it
// is to the reach, by J. von Hann's window, so that a strong line in the spectrum
// leaves nothing beside itself.
type lags struct {
	reach   int64   // ps
	stretch int64   // ps: how long both recorded
	time    float64 // ps: how much of that was looked at
	of      []float64
	weight  []float64 // none: not asked for yet
	sum     float64   // of the weights' squares
}

func (l *lags) width() float64 { return float64(l.reach) }

// takeFrom takes some of the differences of a and b. Where there are more than
// enough, it looks at a part of the stretch, if that is still long against the
// reach, and then leaves out tags at random, but the same ones every time.
func (l *lags) takeFrom(a, b []uint64, beside int64) {
	const long = 64 // times the reach
	l.time, l.weight = float64(l.stretch), l.weight[:0]
	l.of = slices.Grow(l.of[:0], 2*lagBudget)
	expected := float64(len(a)) * float64(len(b)) * math.Min(1, 2*l.width()/l.time)
	if part := max(lagBudget/expected, long*l.width()/l.time); part < 1 {
		a, b, l.time, expected = begun(a, part), begun(b, part), l.time*part, expected*part
	}
	for keep := min(1, math.Sqrt(lagBudget/expected)); !l.take(thinned(a, keep, 1), thinned(b, keep, 2), beside); {
		keep /= 2
	}
}

// begun are the tags of the first part of their time.
func begun(tags []uint64, part float64) []uint64 {
	if len(tags) == 0 {
		return nil
	}
	most := uint64(part * float64(tags[len(tags)-1]-tags[0]))
	return tags[:search(len(tags), func(i int) bool { return tags[i]-tags[0] > most })]
}

// weigh gives every lag its weight.
func (l *lags) weigh() {
	if len(l.weight) == len(l.of) {
		return
	}
	l.weight, l.sum = slices.Grow(l.weight[:0], len(l.of)), 0
	for _, d := range l.of {
		w := (1 + math.Cos(math.Pi*d/l.width())) / 2
		l.weight = append(l.weight, w)
		l.sum += w * w
	}
}

// take lists the differences; false where they are many more than enough, as those
// of light that comes in bursts.
func (l *lags) take(a, b []uint64, beside int64) bool {
	l.of = l.of[:0]
	from := 0
	for _, t := range a {
		for from < len(b) && int64(b[from]-t) < -l.reach {
			from++
		}
		for _, u := range b[from:] {
			d := int64(u - t)
			if d > l.reach {
				break
			}
			if d < -beside || d > beside {
				l.of = append(l.of, float64(d))
			}
		}
		if len(l.of) > 3*lagBudget/2 {
			return false
		}
	}
	return true
}

// thinned leaves of tags about the part keep, by a hash of their times.
func thinned(tags []uint64, keep float64, salt uint64) []uint64 {
	if keep >= 1 {
		return tags
	}
	limit := uint64(keep * (1 << 32))
	left := make([]uint64, 0, int(keep*1.1*float64(len(tags)))+64)
	for _, t := range tags {
		h := (t ^ salt<<61) * 0x9e3779b97f4a7c15
		if h ^= h >> 31; h*0xbf58476d1ce4e5b9>>32 < limit {
			left = append(left, t)
		}
	}
	return left
}

// power is how much of the lags repeats so often per ps: 1 in the mean of light
// without structure.
func (l *lags) power(frequency float64) float64 {
	l.weigh()
	re, im := 0.0, 0.0
	for i, d := range l.of {
		turns := d * frequency
		sin, cos := math.Sincos(2 * math.Pi * (turns - math.Floor(turns)))
		re, im = re+l.weight[i]*cos, im+l.weight[i]*sin
	}
	return (re*re + im*im) / max(l.sum, 1e-9)
}

// enough returns as many of the lags as show a line of such a power clearly.
func (l *lags) enough(power float64) *lags {
	const clear, least = 200.0, 1 << 11
	return l.atMost(max(least, int(float64(len(l.of))*min(1, clear/power))))
}

// atMost returns n of the lags, or all.
func (l *lags) atMost(n int) *lags {
	if n >= len(l.of) {
		return l
	}
	s := &lags{reach: l.reach, stretch: l.stretch, time: l.time, of: make([]float64, n)}
	for i := range s.of {
		s.of[i] = l.of[i*len(l.of)/n]
	}
	return s
}

// line is one frequency at which lags repeat.
type line struct {
	frequency float64 // per ps
	power     float64
	noise     float64 // of frequencies about it; at least 1
}

// lines are the frequencies that stand out of those about them, the strongest
// first. What is broad, such as echoes and light that flickers, has none.
func (l *lags) lines() (found []line) {
	bin := 2 * l.width() / lagBins
	f := newFFT(lagBins)
	mean := float64(len(l.of)) / lagBins
	counts := make([]float32, lagBins)
	for _, d := range l.of {
		counts[min(int((d+l.width())/bin), lagBins-1)]++
	}
	sum := 0.0 // of the weights' squares
	for i, n := range counts {
		w := (1 - math.Cos(2*math.Pi*(float64(i)+0.5)/lagBins)) / 2
		f.z[i] = complex((n-float32(mean))*float32(w), 0)
		sum += w * w * float64(n)
	}
	f.transform()
	power := make([]float64, lagBins/2)
	for k := range power {
		re, im := float64(real(f.z[k])), float64(imag(f.z[k]))
		power[k] = (re*re + im*im) / max(sum, 1e-9)
	}
	least := certainLine
	if l.width() > l.time/16 { // few independent stretches: the spectrum of each channel scatters by itself
		least = certainLine * 5
	}
	for k := firstLine; k+1 < len(power); k++ {
		p := power[k]
		if p < least || p < power[k-1] || p < power[k+1] {
			continue
		}
		if noise := noiseAbout(power, k); p > least*noise {
			at := float64(k) + middleOf(power[k-1], p, power[k+1])
			found = append(found, line{frequency: at / (2 * l.width()), power: p, noise: noise})
		}
	}
	slices.SortStableFunc(found, func(x, y line) int {
		if x.power > y.power {
			return -1
		}
		return 1
	})
	return found[:min(len(found), mostLines)]
}

const (
	certainLine = 25.0 // of the mean power: chance shows such a line once in 10^7 spectra
	mostLines   = 16
	firstLine   = 12 // bins of a spectrum: of 6 periods in the reach
)

// noiseAbout is the mean power about a line, from the median; at least 1.
func noiseAbout(power []float64, k int) float64 {
	var about []float64
	for i := max(2, k-24); i <= min(len(power)-1, k+24); i++ {
		if i < k-3 || i > k+3 {
			about = append(about, power[i])
		}
	}
	slices.Sort(about)
	return max(1, about[len(about)/2]/math.Ln2)
}

// middleOf is where, in steps from the middle, the parabola through three points
// is highest; their logs are nearer to one.
func middleOf(x, y, z float64) float64 {
	x, y, z = math.Log(x+1e-9), math.Log(y+1e-9), math.Log(z+1e-9)
	if bend := x - 2*y + z; bend < 0 {
		return math.Max(-0.5, math.Min(0.5, (x-z)/(2*bend)))
	}
	return 0
}
