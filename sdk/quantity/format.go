package quantity

import (
	"strconv"
	"strings"
)

// maxDecimals is enough for an exact fraction in every unit: 2^40 is the
// largest power of two in the tables.
const maxDecimals = 40

// format writes v exactly, in the unit that needs the fewest digits; of equals,
// the larger unit. Units that v does not fill once are
// left out, so 100 ms stays 100 ms.
func (k *kind) format(v int64) string {
	if v == 0 {
		return "0 " + k.zero
	}
	sign, magnitude := "", uint64(v)
	if v < 0 {
		sign, magnitude = "-", -magnitude
	}
	best, name := "", ""
	for i, u := range k.units {
		scale := uint64(u.scale)
		if i > 0 && magnitude < scale {
			continue
		}
		number, exact := decimal(magnitude, scale)
		if u.whole && strings.Contains(number, ".") {
			continue
		}
		if exact && (best == "" || digits(number) <= digits(best)) {
			best, name = number, u.name
		}
	}
	return sign + best + " " + name
}

func digits(number string) int { return len(number) - strings.Count(number, ".") }

// decimal writes magnitude/scale and reports whether the digits end. No scale
// exceeds 2^60, so ten times a remainder fits.
func decimal(magnitude, scale uint64) (string, bool) {
	number := strconv.AppendUint(nil, magnitude/scale, 10)
	rest := magnitude % scale
	if rest == 0 {
		return string(number), true
	}
	number = append(number, '.')
	for range maxDecimals {
		rest *= 10
		number = append(number, '0'+byte(rest/scale))
		if rest %= scale; rest == 0 {
			return string(number), true
		}
	}
	return "", false
}
