package scatter

import "math"

// A normal distribution with a background of its own density weighs each
// difference by the probability that it belongs to the peak. Of a peak that is
// not normal, what its tails weigh would then depend on the background, and so
// would its centre. So no less than Least of the height of the peak is taken for
// the background: z standard deviations from the centre the weight is
//
//	1 / (1 + Least*exp(z^2/2))
//
// which is a half at 2.65. It costs 2 % of the deviation of a normal peak. Only
// where the background itself is higher does it count.
const Least = 0.03

// Of a normal peak weighed so, and of one standard deviation: the mean weight,
// the mean of weight*z^2 and of weight^2*z^2; and of an even background of one
// tag per standard deviation, the sums of the same.
var Mean, Square, Spread, EvenMean, EvenSquare, EvenSpread = integrals()

func integrals() (n, rr, ss, evenN, evenRR, evenSS float64) {
	const dz = 1e-3
	for k := range 8000 {
		z := (float64(k) + 0.5) * dz
		w := 1 / (1 + Least*math.Exp(z*z/2))
		p := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
		n, rr, ss = n+2*dz*p*w, rr+2*dz*p*w*z*z, ss+2*dz*p*w*w*z*z
		evenN, evenRR, evenSS = evenN+2*dz*w, evenRR+2*dz*w*z*z, evenSS+2*dz*w*w*z*z
	}
	return n, rr, ss, evenN, evenRR, evenSS
}
