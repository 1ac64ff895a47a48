package tag

import (
	"fmt"
	"strconv"
)

// Moment is a reading of a clock in ps as it is shown to people and written to
// results: it may lie before the clock's zero, and beyond 2^63.
type Moment struct {
	Ps     uint64
	Before bool // Ps before the clock's zero
}

// MomentAt is x after, or before, the reading base.
func MomentAt(base uint64, x int64) Moment {
	if x >= 0 || uint64(-x) <= base {
		return Moment{Ps: base + uint64(x)}
	}
	return Moment{Ps: uint64(-x) - base, Before: true}
}

// MomentOf is what a tag stands for whose times were all raised by the same.
func MomentOf(tag, raised uint64) Moment {
	if tag < raised {
		return Moment{Ps: raised - tag, Before: true}
	}
	return Moment{Ps: tag - raised}
}

// String returns the whole number of ps.
func (m Moment) String() string {
	if m.Before {
		return "-" + strconv.FormatUint(m.Ps, 10)
	}
	return strconv.FormatUint(m.Ps, 10)
}

// Clock returns the moment in seconds, exactly.
func (m Moment) Clock() string {
	const second = 1_000_000_000_000
	sign := ""
	if m.Before {
		sign = "-"
	}
	return fmt.Sprintf("%s%d.%012d s", sign, m.Ps/second, m.Ps%second)
}

// MarshalJSON writes the number of ps.
func (m Moment) MarshalJSON() ([]byte, error) { return []byte(m.String()), nil }
