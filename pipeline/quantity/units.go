package quantity

import (
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
	zero    string // the unit that 0 is written in, and that advice uses
	signed  bool
	example []any
}

// unit is one way to write a quantity.
type unit struct {
	name  string
	scale int64 // in the kind's smallest unit
}

var (
	timeKind = kind{
		name: "time", article: "a time", zero: "s", signed: true,
		units:   []unit{{"ps", 1}, {"ns", 1e3}, {"us", 1e6}, {"ms", 1e9}, {"s", 1e12}, {"min", 60e12}, {"h", 3600e12}},
		example: []any{"5 s", "48.2 ns"},
	}
	voltageKind = kind{
		name: "voltage", article: "a voltage", zero: "V", signed: true,
		units:   []unit{{"uV", 1}, {"mV", 1e3}, {"V", 1e6}},
		example: []any{"120 mV", "-0.5 V"},
	}
	frequencyKind = kind{
		name: "frequency", article: "a frequency", zero: "Hz",
		units:   []unit{{"mHz", 1}, {"Hz", 1e3}, {"kHz", 1e6}, {"MHz", 1e9}, {"GHz", 1e12}},
		example: []any{"20 kHz", "0.5 Hz"},
	}
	sizeKind = kind{
		name: "size", article: "a size", zero: "B",
		units: []unit{
			{"B", 1}, {"kB", 1e3}, {"KiB", 1 << 10}, {"MB", 1e6}, {"MiB", 1 << 20},
			{"GB", 1e9}, {"GiB", 1 << 30}, {"TB", 1e12}, {"TiB", 1 << 40},
		},
		example: []any{"1 MiB", "64 KiB"},
	}
	shareKind = kind{
		name: "share", article: "a share", zero: "%",
		units:   []unit{{"ppm", 1}, {"%", 1e4}},
		example: []any{"60 %", "99.5 %"},
	}
	driftKind = kind{
		name: "drift", article: "a drift", zero: "ppb", signed: true,
		units:   []unit{{"ppt", 1e3}, {"ppb", 1e6}, {"ppm", 1e9}},
		example: []any{"12 ppb", "-3.5 ppm"},
	}
	kinds = []*kind{&timeKind, &voltageKind, &frequencyKind, &sizeKind, &shareKind, &driftKind}
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
// quantities use, so that whoever validates against such a schema reports what
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
