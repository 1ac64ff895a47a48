package main

import "math"

// beyond3 is the part of a normal variable's values that lie beyond three
// standard deviations.
const beyond3 = 0.0027

// atLeast is the probability of k or more of n when each has p.
func atLeast(k, n int, p float64) float64 {
	sum := 0.0
	for i := k; i <= n; i++ {
		more := math.Exp(logChoose(n, i) + float64(i)*math.Log(p) + float64(n-i)*math.Log1p(-p))
		if sum += more; more < 1e-12*sum && float64(i) > float64(n)*p {
			break
		}
	}
	return min(1, sum)
}

func logChoose(n, k int) float64 {
	a, _ := math.Lgamma(float64(n + 1))
	b, _ := math.Lgamma(float64(k + 1))
	c, _ := math.Lgamma(float64(n - k + 1))
	return a - b - c
}

// mostOf is how many of n are beyond three deviations, by chance, in the worst of
// so many bins: as many or more in every second such lot of bins.
func mostOf(n, bins int) int {
	k := 0
	for k < n && -math.Expm1(float64(bins)*math.Log1p(-min(atLeast(k+1, n, beyond3), 1-1e-15))) >= 0.5 {
		k++
	}
	return k
}
