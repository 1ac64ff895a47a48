package run

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"
)

// Rate is tags over time in millihertz (1e-3 Hz). In JSON it is in hertz, a
// number with up to three decimals, all of them exact.
type Rate int64

// RateOf is tags over ps, rounded down to 1e-3 Hz: nil for no time at all, the
// largest int64 where it does not fit.
func RateOf(tags, ps uint64) *Rate {
	const milliPerPs = 1_000_000_000_000_000 // 1e12 ps in a second, 1e3 mHz in a Hz
	if ps == 0 {
		return nil
	}
	hi, lo := bits.Mul64(tags, milliPerPs)
	if hi >= ps {
		return new(Rate(math.MaxInt64))
	}
	q, _ := bits.Div64(hi, lo, ps)
	return new(Rate(min(q, math.MaxInt64)))
}

// Millihertz is the rate in millihertz, 0 where there is none.
func (r *Rate) Millihertz() int64 {
	if r == nil {
		return 0
	}
	return int64(*r)
}

// MarshalJSON writes hertz.
func (r Rate) MarshalJSON() ([]byte, error) {
	if r < 0 {
		return nil, fmt.Errorf("a rate of %d mHz is below 0", int64(r))
	}
	text := fmt.Sprintf("%d.%03d", r/1000, r%1000)
	return []byte(strings.TrimSuffix(strings.TrimRight(text, "0"), ".")), nil
}

// UnmarshalJSON reads hertz; what is finer than 1e-3 is cut off.
func (r *Rate) UnmarshalJSON(text []byte) error {
	whole, part, _ := strings.Cut(string(text), ".")
	hertz, err := strconv.ParseInt(whole, 10, 64)
	if err != nil || hertz < 0 || hertz > math.MaxInt64/1000 {
		return fmt.Errorf("%q is no rate in hertz", text)
	}
	milli, err := strconv.ParseUint((part + "000")[:3], 10, 64)
	if err != nil || uint64(hertz)*1000+milli > math.MaxInt64 {
		return fmt.Errorf("%q is no rate in hertz", text)
	}
	*r = Rate(uint64(hertz)*1000 + milli)
	return nil
}
