package tagfile

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// decimal is an exact number of picoseconds, num/den; den is at most 10^18. Of two
// that are added, the smaller den divides the larger one, as powers of ten do.
type decimal struct{ num, den uint64 }

const maxDigits = 18

// picoseconds is the time in ps that a floating-point number of seconds stands
// for: the shortest decimal number that is nearest to it. So 1e-12 is one
// picosecond and 1.249552e-8 is 12495.52 ps, which the binary number is not.
// Digits beyond 1e-18 ps are dropped.
func picoseconds(seconds float64) (decimal, error) {
	if !(seconds >= 1e-15 && seconds <= 1) {
		return decimal{}, fmt.Errorf("%g s, which is no resolution; it is between 1 fs and 1 s", seconds)
	}
	mantissa, exponent, _ := strings.Cut(strconv.FormatFloat(seconds, 'e', -1, 64), "e")
	whole, fraction, _ := strings.Cut(mantissa, ".")
	num, err := strconv.ParseUint(whole+fraction, 10, 64)
	if err != nil {
		return decimal{}, err
	}
	power, err := strconv.Atoi(exponent)
	if err != nil {
		return decimal{}, err
	}
	power += 12 - len(fraction)
	for ; power < -maxDigits; power++ {
		num /= 10
	}
	den := uint64(1)
	for ; power < 0; power++ {
		den *= 10
	}
	for ; power > 0; power-- {
		num *= 10 // at most 10^12, because seconds is at most 1
	}
	return decimal{num, den}, nil
}

// wholeIfNear is the whole number of picoseconds that a hardware's resolution
// means when it was computed with errors of rounding.
func (d decimal) wholeIfNear() decimal {
	ps := float64(d.num) / float64(d.den)
	if whole := math.Round(ps); whole >= 1 && math.Abs(ps-whole) < 1e-9*whole {
		return decimal{uint64(whole), 1}
	}
	return d
}

func (d decimal) float() float64 { return float64(d.num) / float64(d.den) }

// times is n times d: whole picoseconds and a rest, in units of 1/d.den. It is
// not ok when that is beyond 64 bits.
func (d decimal) times(n uint64) (ps, rest uint64, ok bool) {
	high, low := bits.Mul64(n, d.num)
	if high >= d.den {
		return 0, 0, false
	}
	if d.den == 1 { // no need to divide
		return low, 0, true
	}
	ps, rest = bits.Div64(high, low, d.den)
	return ps, rest, true
}

// sumTimes is n times a plus m times b, rounded to the nearest picosecond,
// halves up.
func sumTimes(n uint64, a decimal, m uint64, b decimal) (ps uint64, ok bool) {
	psA, restA, okA := a.times(n)
	psB, restB, okB := b.times(m)
	den := max(a.den, b.den)
	if restA > 0 && a.den < den {
		restA *= den / a.den
	}
	if restB > 0 && b.den < den {
		restB *= den / b.den
	}
	rest, whole := restA+restB, uint64(0) // below 2 den, which is at most 10^18
	if rest >= den {
		rest, whole = rest-den, 1
	}
	if rest >= den-den/2 {
		whole++
	}
	ps, overflow := bits.Add64(psA, psB, 0)
	ps, overflow2 := bits.Add64(ps, whole, 0)
	return ps, okA && okB && overflow == 0 && overflow2 == 0
}
