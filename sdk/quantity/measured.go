package quantity

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Measured writes a value and its standard deviation for a person, both to the
// digit that is the deviation's second, at most twelve behind the point, with a
// space between thousands. Where there is no deviation, or none that is a number,
// it is three digits behind the point.
func Measured(value, sd float64) string {
	decimals := 3
	if sd > 0 && !math.IsInf(sd, 0) {
		decimals = int(min(max(1-math.Floor(math.Log10(sd)), 0), 12))
	}
	return Thousands(strconv.FormatFloat(value, 'f', decimals, 64)) + " ± " + Thousands(strconv.FormatFloat(sd, 'f', decimals, 64))
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
