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
	step    float64 // ps, by which they come: they are spread evenly over it, or it would be a period
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
				l.of = append(l.of, max(-l.width(), min(l.width(), float64(d)+l.evenly(len(l.of)))))
			}
		}
		if len(l.of) > 3*lagBudget/2 {
			return false
		}
	}
	return true
}

// evenly is where in a step the i-th difference is laid: one after another fills it.
func (l *lags) evenly(i int) float64 {
	const golden = 0.6180339887498949
	_, part := math.Modf(float64(i) * golden)
	return (part - 0.5) * l.step
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
	s := &lags{reach: l.reach, stretch: l.stretch, time: l.time, step: l.step, of: make([]float64, n)}
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

// fft transforms arrays of n complex numbers, n a power of two, by Stockham's
// algorithm in radix 4: each step reads one array in order and writes the
// other in order, so nothing is shuffled. Single precision is ample for
// counts: its error is 1e-8 of the largest value.
type fft struct {
	n      int
	roots  []complex64 // exp(-2 pi i k/n), the first quarter of the circle
	z, aux []complex64
}

func newFFT(n int) *fft {
	f := &fft{n: n, roots: make([]complex64, n/4), z: make([]complex64, n), aux: make([]complex64, n)}
	for k := range f.roots {
		sin, cos := math.Sincos(-2 * math.Pi * float64(k) / float64(n))
		f.roots[k] = complex(float32(cos), float32(sin))
	}
	return f
}

// transform replaces z by its transform; aux is overwritten.
func (f *fft) transform() {
	const part = 1 << 14 // butterflies of one step that are worth a core's attention
	stride := 1
	left := f.n
	for ; left >= 4; left, stride = left/4, stride*4 {
		quarter := left / 4
		parts := max(1, f.n/4/part)
		Each(parts, func(i int) {
			from, to := span(quarter*stride, parts, i) // both powers of two
			if stride == 1 {
				f.first(from, to)
				return
			}
			for k := from / stride; k*stride < to; k++ {
				lo, hi := max(from, k*stride), min(to, (k+1)*stride)
				f.butterflies(k, quarter, stride, lo-k*stride, hi-k*stride)
			}
		})
		f.z, f.aux = f.aux, f.z
	}
	if left == 2 {
		x0, x1 := f.z[:stride], f.z[stride:]
		for r := range stride {
			f.aux[r], f.aux[stride+r] = x0[r]+x1[r], x0[r]-x1[r]
		}
		f.z, f.aux = f.aux, f.z
	}
}

// first does the k-th butterflies, from <= k < to, of the first step.
func (f *fft) first(from, to int) {
	quarter := f.n / 4
	a, b := f.z[from:to], f.z[from+quarter:to+quarter]
	c, d := f.z[from+2*quarter:to+2*quarter], f.z[from+3*quarter:to+3*quarter]
	roots, out := f.roots[from:to], f.aux[4*from:4*to]
	for k := range a {
		ac, bd := a[k]+c[k], b[k]+d[k]
		amc, bmd := a[k]-c[k], b[k]-d[k]
		turned := complex(imag(bmd), -real(bmd)) // -i (b-d)
		w1 := roots[k]
		w2 := w1 * w1
		o := out[4*k : 4*k+4 : 4*k+4]
		o[0] = ac + bd
		o[1] = w1 * (amc + turned)
		o[2] = w2 * (ac - bd)
		o[3] = w1 * w2 * (amc - turned)
	}
}

// butterflies does those from lo to hi of the k-th group of one radix-4 step.
func (f *fft) butterflies(k, quarter, s, lo, hi int) {
	w1 := f.roots[k*s]
	w2 := w1 * w1
	w3 := w1 * w2
	a, b := f.z[s*k:s*k+s], f.z[s*(k+quarter):s*(k+quarter)+s]
	c, d := f.z[s*(k+2*quarter):s*(k+2*quarter)+s], f.z[s*(k+3*quarter):s*(k+3*quarter)+s]
	out := f.aux[4*s*k : 4*s*k+4*s]
	o0, o1, o2, o3 := out[lo:hi], out[s+lo:s+hi], out[2*s+lo:2*s+hi], out[3*s+lo:3*s+hi]
	a, b, c, d = a[lo:hi], b[lo:hi], c[lo:hi], d[lo:hi]
	for r := range a {
		ac, bd := a[r]+c[r], b[r]+d[r]
		amc, bmd := a[r]-c[r], b[r]-d[r]
		turned := complex(imag(bmd), -real(bmd)) // -i (b-d)
		o0[r] = ac + bd
		o1[r] = w1 * (amc + turned)
		o2[r] = w2 * (ac - bd)
		o3[r] = w3 * (amc - turned)
	}
}

// PowerSpectrum returns the squares of the first half of the transform of values,
// of which there are a power of two and at least 4.
func PowerSpectrum(v []float32) []float32 {
	f := newFFT(len(v))
	for i, x := range v {
		f.z[i] = complex(x, 0)
	}
	f.transform()
	power := make([]float32, len(v)/2)
	for k := range power {
		re, im := real(f.z[k]), imag(f.z[k])
		power[k] = re*re + im*im
	}
	return power
}

// CrossCorrelation returns c[l] = sum over n of a[n]*b[n+l], indices modulo
// len(a), which is a power of two of at least 4. Two real inputs share one
// complex transform: with z = a + ib, A(k) = (Z(k)+Z*(-k))/2 and
// B(k) = (Z(k)-Z*(-k))/2i. Inputs should be near zero on average, because
// single precision loses what is small beside a large mean.
func CrossCorrelation(a, b []float32) []float32 {
	n := len(a)
	f := newFFT(n)
	for i := range a {
		f.z[i] = complex(a[i], b[i])
	}
	f.transform()
	parts := max(1, n>>16)
	Each(parts, func(i int) {
		from, to := span(n, parts, i)
		for k := from; k < to; k++ {
			z, m := f.z[k], f.z[(n-k)&(n-1)]
			ar, ai := (real(z)+real(m))/2, (imag(z)-imag(m))/2
			br, bi := (imag(z)+imag(m))/2, (real(m)-real(z))/2
			// The inverse transform of C = A*B is the conjugate of the forward
			// transform of C's conjugate, and c is real.
			f.aux[k] = complex(ar*br+ai*bi, ai*br-ar*bi)
		}
	})
	f.z, f.aux = f.aux, f.z
	f.transform()
	c := make([]float32, n)
	for i := range c {
		c[i] = real(f.z[i]) / float32(n)
	}
	return c
}

// span returns the limits of the i-th of parts about equal parts of n things.
func span(n, parts, i int) (from, to int) { return n * i / parts, n * (i + 1) / parts }
