package quantity

import (
	"math/bits"
	"regexp"
	"strings"

	"github.com/invopop/jsonschema"
)

// kind is one sort of quantity: everything that parsing, printing, errors and
// schemas need to know about it.
type kind struct {
	name    string // the schema's name for it: "time"
	article string // "a time"
	units   []unit // from the smallest to the largest; the first has scale 1
	zero    string // the unit that 0 is written in
	advise  string // the unit for a number that has none
	signed  bool
	example []any
}

// unit is one way to write a quantity.
type unit struct {
	name  string
	scale int64 // in the kind's smallest unit
	whole bool  // written only without a fraction: nobody writes 90 s as 1.5 min
}

var (
	timeKind = kind{
		name: "time", article: "a time", zero: "s", advise: "s", signed: true,
		units:   []unit{{name: "ps", scale: 1}, {name: "ns", scale: 1e3}, {name: "us", scale: 1e6}, {name: "ms", scale: 1e9}, {name: "s", scale: 1e12}, {name: "min", scale: 60e12, whole: true}, {name: "h", scale: 3600e12, whole: true}},
		example: []any{"5 s", "48.2 ns"},
	}
	voltageKind = kind{
		name: "voltage", article: "a voltage", zero: "V", advise: "mV", signed: true,
		units:   []unit{{name: "uV", scale: 1}, {name: "mV", scale: 1e3}, {name: "V", scale: 1e6}},
		example: []any{"120 mV", "-0.5 V"},
	}
	frequencyKind = kind{
		name: "frequency", article: "a frequency", zero: "Hz", advise: "Hz",
		units:   []unit{{name: "mHz", scale: 1}, {name: "Hz", scale: 1e3}, {name: "kHz", scale: 1e6}, {name: "MHz", scale: 1e9}, {name: "GHz", scale: 1e12}},
		example: []any{"20 kHz", "0.5 Hz"},
	}
	sizeKind = kind{
		name: "size", article: "a size", zero: "B", advise: "MiB",
		units: []unit{
			{name: "B", scale: 1}, {name: "kB", scale: 1e3}, {name: "KiB", scale: 1 << 10}, {name: "MB", scale: 1e6}, {name: "MiB", scale: 1 << 20},
			{name: "GB", scale: 1e9}, {name: "GiB", scale: 1 << 30}, {name: "TB", scale: 1e12}, {name: "TiB", scale: 1 << 40},
		},
		example: []any{"1 MiB", "64 KiB"},
	}
	shareKind = kind{
		name: "share", article: "a share", zero: "%", advise: "%",
		units:   []unit{{name: "ppm", scale: 1}, {name: "%", scale: 1e4}},
		example: []any{"60 %", "99.5 %"},
	}
	driftKind = kind{
		name: "drift", article: "a drift", zero: "ppb", advise: "ppb", signed: true,
		units:   []unit{{name: "ppt", scale: 1e3}, {name: "ppb", scale: 1e6}, {name: "ppm", scale: 1e9}},
		example: []any{"12 ppb", "-3.5 ppm"},
	}
	periodKind = kind{
		name: "period", article: "a period", zero: "s", advise: "ns",
		units:   []unit{{name: "fs", scale: 1}, {name: "ps", scale: 1e3}, {name: "ns", scale: 1e6}, {name: "us", scale: 1e9}, {name: "ms", scale: 1e12}, {name: "s", scale: 1e15}},
		example: []any{"13.157894 ns", "10 us"},
	}
	kinds = []*kind{&timeKind, &voltageKind, &frequencyKind, &sizeKind, &shareKind, &driftKind, &periodKind}
)

// micro folds the two letters for "micro" into the one in the tables.
var micro = strings.NewReplacer("µ", "u", "μ", "u")

// lookup finds a unit by its exact name; case matters (mHz is not MHz).
func (k *kind) lookup(name string) (unit, bool) {
	name = micro.Replace(name)
	for _, u := range k.units {
		if u.name == name {
			return u, true
		}
	}
	return unit{}, false
}

// unitNames lists the units for a message: "ps, ns, us".
func (k *kind) unitNames() string {
	names := make([]string, len(k.units))
	for i, u := range k.units {
		names[i] = u.name
	}
	return strings.Join(names, ", ")
}

// pattern is a regular expression, in the dialect that JSON Schema and Go
// share, of the texts that may be this quantity.
func (k *kind) pattern() string {
	sign := ""
	if k.signed {
		sign = "[+-]?"
	}
	names := make([]string, len(k.units))
	for i, u := range k.units {
		names[i] = regexp.QuoteMeta(u.name)
		if strings.HasPrefix(u.name, "u") {
			names[i] = "[uµμ]" + u.name[1:]
		}
	}
	return "^" + sign + `[0-9]+(\.[0-9]+)? *(` + strings.Join(names, "|") + ")$"
}

func (k *kind) schema() *jsonschema.Schema {
	return &jsonschema.Schema{Type: "string", Format: k.schemaFormat(), Pattern: k.pattern(), Examples: k.example}
}

// schemaFormat is the value of a schema's "format" keyword.
func (k *kind) schemaFormat() string { return "quantity-" + k.name }

// Formats returns a check for each value of the schema keyword "format" that
// quantities use, so that a validator of such a schema reports what
// this package would say.
func Formats() map[string]func(text string) error {
	checks := make(map[string]func(string) error, len(kinds))
	for _, k := range kinds {
		checks[k.schemaFormat()] = func(text string) error {
			_, err := k.parse(text)
			return err
		}
	}
	return checks
}

// DriftUnit is how many of a Drift's units are a whole: parts in 1e15.
const DriftUnit = 1_000_000_000_000_000

// Of returns d times v, rounded to the nearest integer, halves away from zero:
// by how much a clock that is d fast has gained in v of true time. It goes
// through a product of 128 bits, so nothing is lost; |d| is below 1e15.
func (d Drift) Of(v int64) int64 {
	hi, lo := bits.Mul64(Magnitude(v), Magnitude(int64(d)))
	lo, carry := bits.Add64(lo, DriftUnit/2, 0)
	q, _ := bits.Div64(hi+carry, lo, DriftUnit)
	if (v < 0) != (d < 0) {
		return -int64(q)
	}
	return int64(q)
}

// FineOf returns d times v like Of, and keeps what Of rounds away, for a sum
// that is rounded only once.
func (d Drift) FineOf(v int64) Fine {
	hi, lo := bits.Mul64(Magnitude(v), Magnitude(int64(d)))
	q, rest := bits.Div64(hi, lo, DriftUnit)
	whole, part := int64(q), float64(rest)/DriftUnit
	if (v < 0) != (d < 0) {
		whole, part = -whole, -part
	}
	return NewFine(whole, part)
}

// Magnitude returns |v|, of the lowest integer too.
func Magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}
