package quantity

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"strings"
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

// Measured writes a value and its standard deviation for a person, both to the
// digit that is the deviation's second, at most twelve behind the point, with a
// space between thousands. Where there is no deviation, or none that is a number,
// it is three digits behind the point.
func Measured(value, sd float64) string {
	decimals := 3
	if sd > 0 && !math.IsInf(sd, 0) {
		decimals = int(min(max(1-math.Floor(math.Log10(sd)), 0), 12))
	}
	written := strconv.FormatFloat(value, 'f', decimals, 64)
	if strings.Trim(written, "-0.") == "" { // what is nothing to the last digit has no sign
		written = strings.TrimPrefix(written, "-")
	}
	return Thousands(written) + " ± " + Thousands(strconv.FormatFloat(sd, 'f', decimals, 64))
}

// Counted writes how many there are of what a word names: "1 tag", "2 tags".
func Counted[N ~int | ~int32 | ~int64 | ~uint32 | ~uint64](n N, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n) + " " + one + "s"
}

// Thousands puts a space between the thousands of a decimal number.
func Thousands(number string) string {
	whole, fraction, _ := strings.Cut(number, ".")
	sign := ""
	if strings.HasPrefix(whole, "-") || strings.HasPrefix(whole, "+") {
		sign, whole = whole[:1], whole[1:]
	}
	if whole == "" || whole[0] < '0' || whole[0] > '9' { // Inf, NaN
		return number
	}
	out := whole[:(len(whole)-1)%3+1]
	for at := len(out); at < len(whole); at += 3 {
		out += " " + whole[at:at+3]
	}
	if fraction != "" {
		out += "." + fraction
	}
	return sign + out
}
