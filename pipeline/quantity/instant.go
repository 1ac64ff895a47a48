package quantity

import (
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"strconv"
)

// Instant is when something happened on a clock, in ps from the clock's zero. It
// holds every tag, which may be up to 2^64 ps, and every tag that was moved to
// another clock, which may lie before that clock's zero or beyond 2^64 ps.
type Instant struct {
	high int64 // of a two's complement of 128 bits
	low  uint64
}

// InstantOf returns the instant of a tag.
func InstantOf(tag uint64) Instant { return Instant{low: tag} }

// Add returns the instant so many ps later.
func (t Instant) Add(ps int64) Instant {
	low, carry := bits.Add64(t.low, uint64(ps), 0)
	return Instant{t.high + ps>>63 + int64(carry), low}
}

// Minus returns how many ps t is after u. Those that do not fit into 64 bits give
// the nearest that do.
func (t Instant) Minus(u Instant) int64 {
	low, borrow := bits.Sub64(t.low, u.low, 0)
	switch high := t.high - u.high - int64(borrow); {
	case high == int64(low)>>63:
		return int64(low)
	case high < 0:
		return math.MinInt64
	}
	return math.MaxInt64
}

// Since returns how many ps lie between the last whole multiple of a step, which
// is above 0, and t: 0 to below the step.
func (t Instant) Since(step int64) int64 {
	high := uint64(t.high % step)
	if t.high < 0 {
		high = uint64(t.high%step+step) % uint64(step)
	}
	_, rest := bits.Div64(high, t.low, uint64(step))
	return int64(rest)
}

// Float returns the nearest float, in ps.
func (t Instant) Float() float64 {
	if t.high < 0 {
		low, borrow := bits.Sub64(0, t.low, 0)
		return -(float64(-t.high-int64(borrow))*0x1p64 + float64(low))
	}
	return float64(t.high)*0x1p64 + float64(t.low)
}

// String returns ps, with a sign where they are before zero.
func (t Instant) String() string {
	switch {
	case t.high == 0:
		return strconv.FormatUint(t.low, 10)
	case t.high == -1 && t.low != 0:
		return "-" + strconv.FormatUint(-t.low, 10)
	}
	n := new(big.Int).Lsh(big.NewInt(t.high), 64)
	return n.Add(n, new(big.Int).SetUint64(t.low)).String()
}

// MarshalJSON gives a whole number of ps.
func (t Instant) MarshalJSON() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalJSON reads a whole number of ps.
func (t *Instant) UnmarshalJSON(text []byte) error {
	n, ok := new(big.Int).SetString(string(text), 10)
	if !ok || n.BitLen() > 126 {
		return fmt.Errorf("read an instant in ps: %q is no whole number of 126 bits", text)
	}
	high := new(big.Int).Rsh(n, 64) // rounds down, so what is left is not negative
	low := new(big.Int).Sub(n, new(big.Int).Lsh(high, 64))
	*t = Instant{high.Int64(), low.Uint64()}
	return nil
}
