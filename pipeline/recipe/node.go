package recipe

import (
	"fmt"
	"slices"

	"gopkg.in/yaml.v3"
)

const (
	maxDepth = 24   // of nesting
	maxNodes = 9999 // keys and values in one file after aliases are written out
	maxText  = 4096 // bytes of one text
)

type nodeKind int

const (
	scalarNode nodeKind = iota
	mapNode
	listNode
	nullNode
)

func (k nodeKind) String() string {
	return [...]string{"a single value", "a section of keys", "a list", "nothing"}[k]
}

// node is a YAML value with its place. Aliases are written out, so that a
// change to one value changes no other.
type node struct {
	kind    nodeKind
	at      place
	text    string  // scalar: as written, without quotes
	quoted  bool    // scalar: was in quotes, so it is text
	env     string  // scalar: the variable it was made from
	entries []entry // map: in order
	items   []*node // list
}

type entry struct {
	key   string
	keyAt place
	value *node
}

func (n *node) get(key string) *node {
	if e := n.entry(key); e != nil {
		return e.value
	}
	return nil
}

func (n *node) entry(key string) *entry {
	i := slices.IndexFunc(n.entries, func(e entry) bool { return e.key == key })
	if i < 0 {
		return nil
	}
	return &n.entries[i]
}

// put sets a key, at its old place in the order if it is there.
func (n *node) put(e entry) {
	if old := n.entry(e.key); old != nil {
		*old = e
		return
	}
	n.entries = append(n.entries, e)
}

func (n *node) remove(key string) {
	n.entries = slices.DeleteFunc(n.entries, func(e entry) bool { return e.key == key })
}

// converter turns the YAML library's nodes into ours and refuses what a recipe
// has no use for.
type converter struct {
	src      *source
	fixed    *place // stands for every place: that of an override
	count    int
	full     bool         // the limit was reported
	open     []*yaml.Node // anchors being written out
	problems Problems
}

func convert(src *source, document *yaml.Node) (*node, Problems) {
	c := &converter{src: src}
	root := c.node(document.Content[0], 0)
	if len(c.problems) > 0 {
		return nil, c.problems
	}
	if root.kind != mapNode {
		return nil, Problems{root.at.problem("", codeType, "a recipe is a section of keys, not "+root.kind.String(), "start with: version: 1")}
	}
	return root, nil
}

func (c *converter) at(y *yaml.Node) place {
	if c.fixed != nil {
		return *c.fixed
	}
	return place{c.src, max(1, y.Line), max(1, y.Column)}
}

func (c *converter) fail(y *yaml.Node, code, message, hint string) {
	c.problems = append(c.problems, c.at(y).problem("", code, message, hint))
}

// node converts one value. It returns a null node for what it refuses.
func (c *converter) node(y *yaml.Node, depth int) *node {
	n := &node{kind: nullNode, at: c.at(y)}
	if !c.room(y, depth) {
		return n
	}
	switch y.Kind {
	case yaml.AliasNode:
		if slices.Contains(c.open, y.Alias) {
			c.fail(y, codeSyntax, "an alias inside of what it stands for", "write the value out")
			return n
		}
		c.open = append(c.open, y.Alias)
		n = c.node(y.Alias, depth+1)
		c.open = c.open[:len(c.open)-1]
	case yaml.MappingNode:
		n.kind = mapNode
		c.entries(y, n, depth)
	case yaml.SequenceNode:
		n.kind = listNode
		for _, item := range y.Content {
			n.items = append(n.items, c.node(item, depth+1))
		}
	case yaml.ScalarNode:
		c.scalar(y, n)
	}
	return n
}

// room counts a value, and reports once that there are too many.
func (c *converter) room(y *yaml.Node, depth int) bool {
	c.count++
	if !c.full && (c.count > maxNodes || depth > maxDepth) {
		c.full = true
		c.fail(y, codeTooLarge, fmt.Sprintf("more than %d keys and values or %d levels, aliases written out", maxNodes, maxDepth), "a recipe is small: write fewer aliases")
	}
	return !c.full
}

func (c *converter) scalar(y *yaml.Node, n *node) {
	if y.Style&yaml.TaggedStyle != 0 {
		c.fail(y, codeSyntax, "a YAML tag ("+y.Tag+")", "write the plain value")
		return
	}
	if len(y.Value) > maxText {
		c.fail(y, codeTooLarge, fmt.Sprintf("a text of %d bytes", len(y.Value)), fmt.Sprintf("write up to %d", maxText))
		return
	}
	n.text = y.Value
	n.quoted = y.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0
	if n.quoted || y.ShortTag() != "!!null" {
		n.kind = scalarNode
	}
}

func (c *converter) entries(y *yaml.Node, n *node, depth int) {
	for i := 0; i+1 < len(y.Content); i += 2 {
		key, value := y.Content[i], y.Content[i+1]
		if !c.room(key, depth) {
			return
		}
		if key.Kind != yaml.ScalarNode || len(key.Value) > maxText {
			c.fail(key, codeSyntax, "a key that is not a single word", "write a plain key")
			continue
		}
		if key.ShortTag() == "!!merge" {
			c.fail(key, codeSyntax, "a merge key (<<)", "use extends: for a parent recipe, or write the keys out")
			continue
		}
		if first := n.entry(key.Value); first != nil {
			c.fail(key, codeDuplicate, fmt.Sprintf("key %q is already on line %d", key.Value, first.keyAt.line), "keep one of them")
			continue
		}
		n.entries = append(n.entries, entry{key.Value, c.at(key), c.node(value, depth+1)})
	}
}
