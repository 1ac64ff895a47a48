package recipe

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gopkg.in/yaml.v3"
)

// checker compares nodes with the table of fields. It goes on after a
// mistake, so that all are found at once.
type checker struct {
	problems Problems
	broken   map[string]bool // paths that were reported: what depends on them is not judged
	values   map[string]*value
}

func newChecker() *checker {
	return &checker{broken: map[string]bool{}, values: map[string]*value{}}
}

// fail reports a problem of a path.
func (c *checker) fail(at place, path, code, message, hint string) {
	c.broken[path] = true
	c.problems = append(c.problems, at.problem(path, code, message, hint))
}

// check returns the value of a node by its field, or nil when it is wrong.
func (c *checker) check(f *Field, n *node, name, path string, keyAt place) *value {
	v := &value{node: n, field: f, name: name, path: path, keyAt: keyAt, text: n.text}
	if why := f.later[""]; why != "" {
		c.fail(keyAt, path, codeUnsupported, strconv.Quote(f.name)+" is not supported yet", why)
		return nil
	}
	if n.kind == nullNode {
		c.fail(keyAt, path, codeMissing, "has no value", "write one, or remove the key; null deletes only what a parent recipe says")
		return nil
	}
	ok := false
	switch f.shape {
	case shapeObject:
		ok = c.is(v, mapNode) && c.object(v)
	case shapeMap, shapeNamed:
		ok = c.is(v, mapNode) && c.elements(v)
	case shapeList:
		if f.lone && n.kind == scalarNode {
			ok = c.scalar(f.each, v)
			break
		}
		ok = c.is(v, listNode) && c.list(v)
	case shapeConfig:
		ok = c.is(v, mapNode) && c.free(v)
	default:
		ok = c.is(v, scalarNode) && c.scalar(f, v)
	}
	if !ok {
		c.broken[path] = true
		return nil
	}
	c.values[path] = v
	return v
}

// is compares the kind of a node with what is due.
func (c *checker) is(v *value, want nodeKind) bool {
	if v.kind == want {
		return true
	}
	hint := map[nodeKind]string{
		scalarNode: "write " + v.name + ": VALUE",
		listNode:   "write " + v.name + ": [A, B]",
		mapNode:    "write keys and values below " + v.name + ":",
	}[want]
	if v.name == "" { // of a list
		hint = "write one value, without brackets and keys"
	}
	if len(v.field.keys) > 0 && want == mapNode {
		hint = "its keys are " + strings.Join(names(v.field.keys), ", ")
	}
	c.fail(v.at, v.path, codeType, fmt.Sprintf("%s is due here, not %s", want, v.kind), hint)
	return false
}

// object checks a section with known keys and fills in defaults. It returns
// true even when keys are wrong: what is right is still worth checking.
func (c *checker) object(v *value) bool {
	f := v.field
	misspelt := map[string]bool{}
	for _, e := range v.entries {
		path := join(v.path, e.key)
		key := f.find(e.key)
		switch {
		case key != nil && (key.shape == shapeVariant || v.chooses(key)):
			c.variant(key, v, e)
			continue
		case key == nil && f.others != nil:
			key = f.others
			if message, hint := key.form.check(e.key); message != "" { // what stands below is checked all the same
				c.fail(e.keyAt, path, codeValue, message, hint)
				c.check(key, e.value, e.key, path, e.keyAt)
				continue
			}
		case key == nil:
			c.fail(e.keyAt, path, codeUnknownKey, fmt.Sprintf("unknown key %q", e.key), didOr(e.key, names(f.keys)))
			if meant := nearest(e.key, names(f.keys)); meant != "" {
				misspelt[meant] = true
			}
			continue
		}
		if child := c.check(key, e.value, e.key, path, e.keyAt); child != nil {
			child.other = key == f.others
			v.keys = append(v.keys, child)
		}
	}
	c.complete(v, misspelt)
	return true
}

// chooses reports whether a sibling chooses the keys of what else any may stand in.
func (v *value) chooses(f *Field) bool {
	chosen := v.node.get(f.selector)
	return chosen != nil && f.variants[chosen.text] != nil
}

// complete reports missing keys and adds defaults, in the table's order. A key
// that stands there misspelt was reported.
func (c *checker) complete(v *value, misspelt map[string]bool) {
	for _, key := range v.field.keys {
		if v.entry(key.name) != nil || key.later[""] != "" {
			continue
		}
		path := join(v.path, key.name)
		switch {
		case misspelt[key.name]:
			c.broken[path] = true
		case key.required:
			c.fail(v.keyAt, path, codeMissing, fmt.Sprintf("missing key %q", key.name), whatFor(key))
		case v.chooses(key):
			c.variant(key, v, entry{key.name, v.keyAt, &node{kind: mapNode}})
		case key.implied || key.initial == "{}":
			c.adopt(v, c.check(key, &node{kind: mapNode}, key.name, path, place{}))
		case key.initial != "":
			c.adopt(v, c.check(key, &node{kind: scalarNode, text: key.initial}, key.name, path, place{}))
		}
	}
}

func (c *checker) adopt(parent, child *value) {
	if child != nil {
		parent.keys = append(parent.keys, child)
	}
}

// whatFor says in a missing key's hint what it is and how it looks.
func whatFor(f *Field) string {
	hint := strings.ToLower(f.doc[:1]) + strings.TrimSuffix(f.doc[1:], ".")
	if f.amount != nil {
		hint += fmt.Sprintf("; like %s: %v", f.name, f.amount.schema.Examples[0])
	}
	return hint
}

// variant checks an object whose keys depend on a sibling of it.
func (c *checker) variant(f *Field, v *value, e entry) {
	path := join(v.path, e.key)
	chosen := v.node.get(f.selector)
	if chosen == nil || f.variants[chosen.text] == nil {
		c.broken[path] = true // the sibling is reported where it stands
		return
	}
	concrete := &Field{name: f.name, doc: f.doc, shape: shapeObject, keys: f.variants[chosen.text], encode: f.encode}
	if child := c.check(concrete, e.value, e.key, path, e.keyAt); child != nil {
		child.variant = chosen.text
		v.keys = append(v.keys, child)
	}
}

// elements checks a map from names to values of one kind.
func (c *checker) elements(v *value) bool {
	f := v.field
	if len(v.entries) == 0 {
		c.fail(v.keyAt, v.path, codeMissing, "is empty", "name at least one "+strings.ToLower(f.each.name)+", or remove the key")
		return false
	}
	for _, e := range v.entries {
		path := join(v.path, e.key)
		message, hint := f.form.check(e.key)
		if message != "" { // what stands below is checked all the same
			c.fail(e.keyAt, path, codeValue, message, hint)
		}
		if child := c.check(f.each, e.value, e.key, path, e.keyAt); child != nil && message == "" {
			v.keys = append(v.keys, child)
		}
	}
	return true
}

func (c *checker) list(v *value) bool {
	f, items := v.field, v.node.items
	if l := f.limits; l != nil && (int64(len(items)) < l.min || int64(len(items)) > l.max) {
		due := fmt.Sprintf("%d to %d", l.min, l.max)
		if l.min == l.max {
			due = strconv.FormatInt(l.min, 10)
		}
		c.fail(v.at, v.path, codeValue, fmt.Sprintf("a list of %d", len(items)), "write "+due+" entries")
	}
	for i, item := range items {
		child := c.check(f.each, item, "", index(v.path, i), item.at)
		if child == nil { // a hole: the others keep their places, and are judged
			child = &value{node: &node{at: item.at}, path: index(v.path, i), keyAt: item.at}
		}
		v.items = append(v.items, child)
	}
	return len(v.items) > 0 || !c.broken[v.path]
}

// scalar checks a single value and sets its canonical text and JSON.
func (c *checker) scalar(f *Field, v *value) bool {
	if hint := f.later[v.node.text]; hint != "" {
		c.fail(v.at, v.path, codeUnsupported, strconv.Quote(v.node.text)+" is not supported yet", hint)
		return false
	}
	switch f.shape {
	case shapeInteger:
		return c.integer(f, v)
	case shapeQuantity:
		return c.quantity(f, v)
	case shapeChoice:
		return c.choice(f, v)
	}
	if message, hint := "", ""; f.form != nil {
		if message, hint = f.form.check(v.node.text); message != "" {
			c.fail(v.at, v.path, codeValue, message, hint)
			return false
		}
	}
	if v.node.text == "" {
		c.fail(v.at, v.path, codeValue, "an empty text", "write one, or remove the key")
		return false
	}
	if f.path && !filepath.IsAbs(v.node.text) && v.at.src != nil {
		v.text = filepath.Join(v.at.src.dir, v.node.text)
	}
	v.scalar = v.text
	return true
}

func (c *checker) integer(f *Field, v *value) bool {
	i, err := strconv.ParseInt(v.node.text, 10, 64)
	if err != nil || v.quoted {
		c.fail(v.at, v.path, codeType, fmt.Sprintf("%q is not a whole number", v.node.text), "write digits only, without quotes")
		return false
	}
	if f.name == "version" && i > 1 {
		c.fail(v.at, v.path, codeVersion, fmt.Sprintf("this recipe is of version %d; this release of tsrun reads version 1", i), "use a newer release of tsrun")
		return false
	}
	if l := f.limits; l != nil && (i < l.min || i > l.max) {
		c.fail(v.at, v.path, codeValue, fmt.Sprintf("%d is out of range", i), fmt.Sprintf("write %d to %d", l.min, l.max))
		return false
	}
	v.text = strconv.FormatInt(i, 10)
	v.scalar = number(v.text)
	return true
}

func (c *checker) quantity(f *Field, v *value) bool {
	text, auto, sign := v.node.text, "", int64(1)
	if found, negative, rest := cutAuto(text); f.auto && found {
		if v.text, v.scalar, text = autoWord, autoWord, rest; rest == "" {
			return true
		}
		if auto = autoWord + " + "; negative {
			auto, sign = autoWord+" - ", -1
		}
	}
	q, err := f.amount.parse(text)
	if err != nil {
		message, hint := splitAdvice(err)
		c.fail(v.at, v.path, codeQuantity, message, hint)
		return false
	}
	if l := f.limits; l != nil && (sign*q < l.min || sign*q > l.max) {
		c.fail(v.at, v.path, codeValue, f.amount.format(q)+" is out of range", fmt.Sprintf("write %s to %s", f.amount.format(l.min), f.amount.format(l.max)))
		return false
	}
	if f.nanoseconds && q%1000 != 0 {
		c.fail(v.at, v.path, codeQuantity, f.amount.format(q)+" is finer than the clocks of computers", "write whole nanoseconds")
		return false
	}
	v.text = auto + f.amount.format(q)
	v.scalar = v.text
	return true
}

// splitAdvice parts what is wrong from what to do in an error of a quantity.
func splitAdvice(err error) (message, hint string) {
	text := err.Error()
	if message, advice, found := strings.Cut(text, ": write "); found {
		return message, "write " + advice
	}
	message, hint, _ = strings.Cut(text, "; ")
	return message, hint
}

func (c *checker) choice(f *Field, v *value) bool {
	if slices.Contains(f.choices, v.node.text) {
		v.scalar = v.node.text
		return true
	}
	if hint := f.later[anyOther]; hint != "" {
		c.fail(v.at, v.path, codeUnsupported, strconv.Quote(v.node.text)+" is not supported yet", hint)
	} else {
		c.fail(v.at, v.path, codeValue, fmt.Sprintf("%q is not %s", v.node.text, oneOf(f.choices)), didOr(v.node.text, f.choices))
	}
	return false
}

// free takes what stands in a plugin's config, typed as YAML does.
func (c *checker) free(v *value) bool {
	ok := true
	switch v.kind {
	case mapNode:
		for _, e := range v.entries {
			child := &value{node: e.value, name: e.key, path: join(v.path, e.key), keyAt: e.keyAt, text: e.value.text}
			ok = c.free(child) && ok
			v.keys = append(v.keys, child)
		}
	case listNode:
		for i, item := range v.node.items {
			child := &value{node: item, path: index(v.path, i), keyAt: item.at, text: item.text}
			ok = c.free(child) && ok
			v.items = append(v.items, child)
		}
	case nullNode:
		c.fail(v.keyAt, v.path, codeMissing, "has no value", "write one, or remove the key")
		return false
	case scalarNode:
		ok = c.freeScalar(v)
	}
	c.values[v.path] = v
	return ok
}

func (c *checker) freeScalar(v *value) bool {
	if v.scalar = v.node.text; v.quoted {
		return true
	}
	y := yaml.Node{Kind: yaml.ScalarNode, Value: v.node.text}
	switch tag := y.ShortTag(); tag {
	case "!!bool", "!!int", "!!float":
		var scalar any
		if err := y.Decode(&scalar); err != nil {
			c.fail(v.at, v.path, codeType, fmt.Sprintf("%q is not a number that fits", v.node.text), "quote it if it is a text")
			return false
		}
		if f, ok := scalar.(float64); ok && (math.IsNaN(f) || math.IsInf(f, 0)) {
			c.fail(v.at, v.path, codeType, fmt.Sprintf("%q is no number", v.node.text), "quote it if it is a text")
			return false
		}
		v.scalar = scalar
	}
	return true
}
