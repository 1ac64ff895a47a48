package recipe

import (
	"fmt"
	"maps"
	"regexp"
	"slices"

	"github.com/invopop/jsonschema"

	"tsrun/sdk/quantity"
)

// Field describes one key of a recipe. The table of fields (fields.go) is the
// only description there is: the checker, the defaults, the editors' schema,
// `tsrun show` and the reference in docs/recipe.md are made from it.
type Field struct {
	name  string // the key; for the elements of a map or list, what docs call one
	doc   string // for the schema and the docs
	shape shape

	required    bool
	neededWhere string // a key that is required in some recipes, as their plugins say: in which
	initial     string // the default, as a recipe would write it; "" is none
	implied     bool   // an object that is filled with defaults where it is left out

	choices     []string          // shapeChoice
	later       map[string]string // values (or, under "", the key itself) that are not supported yet: what works instead
	amount      *amount           // shapeQuantity
	limits      *limits           // of integers and quantities, in the smallest unit
	nanoseconds bool              // a time that the program's clocks must hold: no finer than 1 ns
	auto        bool              // a time that may be auto, or auto and a time more or less
	form        *form             // of texts, and of the keys of a map
	numeric     bool              // a text that may be a number
	listed      bool              // shapeConfig: a list may stand there too
	path        bool              // a text that is a path, relative to the file it is written in

	keys     []*Field            // shapeObject
	others   *Field              // shapeObject: any further key is an element of this kind
	each     *Field              // shapeMap, shapeNamed, shapeList: the elements
	lone     bool                // shapeList: one element may stand without brackets
	selector string              // shapeVariant: the sibling that chooses
	variants map[string][]*Field // shapeVariant: the keys for each choice; shapeConfig: of what is no plugin

	encode func(v *value, into map[string]any) // how the value enters its parent's JSON, where its name and JSON do not say it
}

// anyOther stands in field.later for every value that is not a choice.
const anyOther = "*"

type shape int

const (
	shapeText shape = iota
	shapeInteger
	shapeQuantity
	shapeChoice
	shapeObject
	shapeMap     // names to values; a JSON object
	shapeNamed   // names to objects; a JSON list of objects that know their name, in the recipe's order
	shapeList    // a list
	shapeConfig  // whatever a plugin's schema allows
	shapeVariant // an object whose keys depend on a sibling
)

// limits are inclusive.
type limits struct{ min, max int64 }

func between[T ~int64](low, high T) *limits { return &limits{int64(low), int64(high)} }

// form is what a text must look like.
type form struct {
	pattern  *regexp.Regexp
	what     string // "a name"
	like     string // what to write instead
	reserved []reserved
}

// check returns a message and a hint, or "" when the text is fine.
func (f *form) check(text string) (message, hint string) {
	if !f.pattern.MatchString(text) {
		return fmt.Sprintf("%q is not %s", text, f.what), f.like
	}
	for _, r := range f.reserved {
		if r.pattern.MatchString(text) {
			return fmt.Sprintf("%q is taken: %s", text, r.why), "take another name"
		}
	}
	return "", ""
}

// amount reads, writes and describes one kind of quantity.
type amount struct {
	parse  func(text string) (int64, error)
	format func(v int64) string
	schema *jsonschema.Schema
}

func amountOf[T interface {
	~int64
	String() string
	JSONSchema() *jsonschema.Schema
}](parse func(string) (T, error)) *amount {
	var zero T
	return &amount{
		parse:  func(text string) (int64, error) { v, err := parse(text); return int64(v), err },
		format: func(v int64) string { return T(v).String() },
		schema: zero.JSONSchema(),
	}
}

var (
	times       = amountOf(quantity.ParseTime)
	voltages    = amountOf(quantity.ParseVoltage)
	frequencies = amountOf(quantity.ParseFrequency)
	sizes       = amountOf(quantity.ParseSize)
	drifts      = amountOf(quantity.ParseDrift)
	shares      = amountOf(quantity.ParseShare)
	periods     = amountOf(quantity.ParsePeriod)
)

// find returns the key of an object, or nil.
func (f *Field) find(name string) *Field {
	for _, k := range f.keys {
		if k.name == name {
			return k
		}
	}
	return nil
}

// names lists the keys of an object that may be written.
func names(keys []*Field) (out []string) {
	for _, k := range keys {
		if k.later[""] == "" {
			out = append(out, k.name)
		}
	}
	return out
}

// choicesOfVariant lists the choices that a variant has keys for, in order.
func (f *Field) choicesOfVariant() []string { return slices.Sorted(maps.Keys(f.variants)) }

// CheckNode says why a text cannot be the name of a node, or the host of a
// master; nil where it can.
func CheckNode(name string) error { return nodeForm.err(name) }

// CheckHost is [CheckNode] for the master's host.
func CheckHost(host string) error { return hostForm.err(host) }

func (f *form) err(text string) error {
	if message, hint := f.check(text); message != "" {
		return fmt.Errorf("%s; %s", message, hint)
	}
	return nil
}
