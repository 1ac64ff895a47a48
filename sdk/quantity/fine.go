package quantity

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Fine is a time that is known finer than a picosecond, such as the mean of
// many: Whole ps plus Part, which lies from -0.5 to 0.5. One float could not
// hold both an offset of hours and its thousandths of a picosecond.
type Fine struct {
	Whole int64   // ps
	Part  float64 // ps
}

// NewFine returns whole + part; part is finite and may be of any size that,
// added to whole, stays within 64 bits.
func NewFine(whole int64, part float64) Fine {
	r := math.Round(part)
	return Fine{whole + int64(r), part - r}
}

// Plus returns f + ps.
func (f Fine) Plus(ps float64) Fine { return NewFine(f.Whole, f.Part+ps) }

// Minus returns f - g, in ps.
func (f Fine) Minus(g Fine) float64 { return float64(f.Whole-g.Whole) + (f.Part - g.Part) }

// Float returns the nearest float, in ps; beyond 2^53 ps it is coarser than a
// picosecond.
func (f Fine) Float() float64 { return float64(f.Whole) + f.Part }

// String returns ps with three decimals.
func (f Fine) String() string {
	thousandths := int64(math.Round(f.Part * 1000))
	whole := f.Whole
	if whole > 0 && thousandths < 0 {
		whole, thousandths = whole-1, thousandths+1000
	} else if whole < 0 && thousandths > 0 {
		whole, thousandths = whole+1, thousandths-1000
	}
	sign := ""
	if whole < 0 || thousandths < 0 {
		sign = "-"
	}
	return fmt.Sprintf("%s%d.%03d", sign, Magnitude(whole), Magnitude(thousandths))
}

// MarshalJSON gives a number in ps with three decimals.
func (f Fine) MarshalJSON() ([]byte, error) { return []byte(f.String()), nil }

// UnmarshalJSON reads a number in ps.
func (f *Fine) UnmarshalJSON(text []byte) error {
	var n json.Number
	if err := json.Unmarshal(text, &n); err != nil {
		return fmt.Errorf("read a time in ps: %w", err)
	}
	if whole, err := strconv.ParseInt(n.String(), 10, 64); err == nil {
		*f = Fine{Whole: whole}
		return nil
	}
	whole, part, ok := splitDecimal(n.String())
	if !ok {
		return fmt.Errorf("read a time in ps: %q is not a decimal number of 64 bits", n)
	}
	*f = NewFine(whole, part)
	return nil
}

// splitDecimal reads "-12.345" as -12 and -0.345.
func splitDecimal(text string) (whole int64, part float64, ok bool) {
	for i := range text {
		if text[i] != '.' {
			continue
		}
		whole, err := strconv.ParseInt(text[:i], 10, 64)
		part, failed := strconv.ParseFloat("0"+text[i:], 64)
		if text[0] == '-' {
			part = -part
		}
		return whole, part, err == nil && failed == nil && part > -1 && part < 1
	}
	return 0, 0, false
}
