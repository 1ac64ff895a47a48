package quantity

import (
	"bytes"
	"math"
	"strconv"
)

// Number is what was measured, or [None] where nothing was: JSON has null then,
// and a table an empty cell.
type Number float64

// None is no value.
func None() Number { return Number(math.NaN()) }

// Known says whether there is a value; one that is infinite is none.
func (n Number) Known() bool { return !math.IsNaN(float64(n)) && !math.IsInf(float64(n), 0) }

// AppendCell appends the number with so many significant digits to a line of a
// table, nothing for no value.
func (n Number) AppendCell(line []byte, digits int) []byte {
	if !n.Known() {
		return line
	}
	return strconv.AppendFloat(line, float64(n), 'g', digits, 64)
}

// MarshalJSON gives all digits, and null for no value.
func (n Number) MarshalJSON() ([]byte, error) {
	if !n.Known() {
		return []byte("null"), nil
	}
	return n.AppendCell(nil, -1), nil
}

// UnmarshalJSON reads a number or null.
func (n *Number) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte("null")) {
		*n = None()
		return nil
	}
	v, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return err
	}
	*n = Number(v)
	return nil
}
