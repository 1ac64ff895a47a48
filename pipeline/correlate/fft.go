package correlate

import (
	"math"
)

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
