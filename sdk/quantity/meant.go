package quantity

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"
)

// meant are words that people write for units, and how many of which unit each is.
// Of a kind that lacks that unit they mean nothing.
var meant = map[string]struct {
	unit  string
	times int64
}{
	"m": {"min", 1}, "mins": {"min", 1}, "minute": {"min", 1}, "minutes": {"min", 1},
	"sec": {"s", 1}, "secs": {"s", 1}, "second": {"s", 1}, "seconds": {"s", 1},
	"hr": {"h", 1}, "hrs": {"h", 1}, "hour": {"h", 1}, "hours": {"h", 1},
	"d": {"h", 24}, "day": {"h", 24}, "days": {"h", 24},
	"w": {"h", 168}, "week": {"h", 168}, "weeks": {"h", 168},
	"msec": {"ms", 1}, "usec": {"us", 1}, "nsec": {"ns", 1}, "psec": {"ps", 1},
	"volt": {"V", 1}, "volts": {"V", 1}, "byte": {"B", 1}, "bytes": {"B", 1}, "percent": {"%", 1},
}

// suggest is what to write in place of a number with a name that is no unit: with
// the unit that is meant, where one is, and the units there are.
func (k *kind) suggest(number, name string) string {
	if u, times, ok := k.meantBy(name); ok {
		if value, ok := new(big.Rat).SetString(number); ok {
			text := value.Mul(value, new(big.Rat).SetInt64(times)).FloatString(len(number) + 3)
			if strings.Contains(text, ".") {
				text = strings.TrimRight(strings.TrimRight(text, "0"), ".")
			}
			return fmt.Sprintf("write %s %s; the units are %s", text, u.name, k.unitNames())
		}
	}
	return "write one of " + k.unitNames()
}

// meantBy finds the unit that a name stands for: by a word that people use, or by
// the letters alone where only one unit has them.
func (k *kind) meantBy(name string) (u unit, times int64, ok bool) {
	folded := strings.ToLower(micro.Replace(name))
	if m, known := meant[folded]; known && (name == folded || len(name) > 1) { // M and D may be anything
		u, ok = k.lookup(m.unit)
		return u, m.times, ok
	}
	for _, one := range k.units {
		if strings.EqualFold(one.name, folded) {
			if ok {
				return u, 0, false
			}
			u, times, ok = one, 1, true
		}
	}
	return u, times, ok
}

// isDate tells a date of YAML or of ISO 8601 from a number.
var isDate = regexp.MustCompile(`^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}`).MatchString
