// Package text writes numbers, times and what others have said, for people.
package text

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"

	"tsrun/sdk/quantity"
)

// Printable is one line, without what could move a terminal's cursor or change its
// colours: text of devices, plugins and other PCs is shown, never obeyed. Several lines,
// such as several errors at once, become one with semicolons.
func Printable(text string) string {
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "; ")
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, text)
}

// PrintableLines is Printable for a message of several lines.
func PrintableLines(message string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return '\uFFFD'
	}, message)
}

// grouped writes an integer with a space between thousands.
func Grouped(n int64) string { return quantity.Thousands(strconv.FormatInt(n, 10)) }

// Hertz writes millihertz with four significant digits.
func Hertz(mHz int64) string {
	v := float64(mHz) / 1000
	for _, u := range []struct {
		scale float64
		name  string
	}{{1e9, "GHz"}, {1e6, "MHz"}, {1e3, "kHz"}} {
		if v >= u.scale {
			return Significant(v/u.scale) + " " + u.name
		}
	}
	return Significant(v) + " Hz"
}

// significant writes four digits, or all of those before the point.
func Significant(v float64) string {
	decimals := 3
	for limit := 10.0; decimals > 0 && v >= limit; limit *= 10 {
		decimals--
	}
	return strconv.FormatFloat(v, 'f', decimals, 64)
}

// picoseconds writes a time exactly, in ps below 100 ns and in ns above.
func Picoseconds(ps int64) string {
	if ps > -100_000 && ps < 100_000 {
		return Grouped(ps) + " ps"
	}
	text := Grouped(ps/1000) + "." + fmt.Sprintf("%03d", Magnitude(ps%1000))
	return strings.TrimSuffix(strings.TrimRight(text, "0"), ".") + " ns"
}

// bounded writes a time and how far it may be off, both of ns and not below 0, in
// one unit: us where that is 10 us or more. The bound is rounded up.
func Bounded(ns, bound int64) string {
	if bound < 10_000 {
		return Grouped(ns) + " ± " + Grouped(bound) + " ns"
	}
	return Grouped((ns+500)/1000) + " ± " + Grouped((bound+999)/1000) + " us"
}

// seconds writes a length of an acquisition to the millisecond.
func Seconds(ps uint64) string {
	return fmt.Sprintf("%d.%03d s", ps/1e12, ps%1e12/1e9)
}

func Magnitude(n int64) int64 { return max(n, -n) }

// rounded is the nearest integer, and the nearest end of the range for what
// does not fit.
func Rounded(v float64) int64 {
	switch v = math.Round(v); {
	case math.IsNaN(v):
		return 0
	case v >= math.MaxInt64:
		return math.MaxInt64
	case v <= math.MinInt64:
		return math.MinInt64
	}
	return int64(v)
}

// count writes a number of tags.
func Count(n uint64) string { return Grouped(int64(min(n, math.MaxInt64))) }

// plural is a word for n things.
func Plural(what string, n int) string {
	if n == 1 {
		return what
	}
	return what + "s"
}

// Measured writes a value and its standard deviation, both of the unit behind
// them and to the digits that the deviation allows.
func Measured[V, D ~float64](value V, sd D, unit string) string {
	return strings.TrimSuffix(quantity.Measured(float64(value), float64(sd))+" "+unit, " ")
}

// Certain says whether a value is other than none, which three of its deviations would
// hold in 99 %.
func Certain(value, sd float64) bool { return math.Abs(value) > 3*sd }

// MeasuredOr is [Measured] of a value, and otherwise why there is none.
func MeasuredOr(value, sd quantity.Number, unit, why string) string {
	if !value.Known() {
		return "no value: " + why
	}
	return Measured(value, sd, unit)
}
