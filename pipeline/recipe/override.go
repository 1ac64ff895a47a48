package recipe

import (
	"os"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

const overrideName = "--set"

// override applies "path=value" texts to a merged recipe. A path is keys with
// dots between; in a list it is an index from 0, or the name of a stage. Values
// are typed by the table: what is due there is not parsed as YAML, so nothing
// needs quotes. Mistakes in keys are left to the checker, which knows them.
func override(root *node, table *Field, texts []string) (problems Problems) {
	dir, err := os.Getwd()
	if err != nil {
		dir = "."
	}
	src := &source{name: overrideName, dir: dir, lines: texts, order: maxParents + 2}
	for i, text := range texts {
		path, value, found := strings.Cut(text, "=")
		at := place{src, i + 1, utf8.RuneCountInString(path) + 2}
		start := place{src, i + 1, 1}
		switch {
		case !found || path == "":
			problems = append(problems, start.problem("", codeOverride, "no path=value", "write it like acquire.duration=10 s"))
		case !utf8.ValidString(text) || len(text) > maxText:
			problems = append(problems, start.problem("", codeOverride, "not a short UTF-8 text", ""))
		case path == "extends" || path == "version":
			problems = append(problems, start.problem(path, codeOverride, path+" is a matter of the file", "change it there"))
		default:
			problems = append(problems, set(root, table, steps(path, start), value, at)...)
		}
	}
	return problems
}

// step is one key of a path, with its place.
type step struct {
	key string
	at  place
}

func steps(path string, at place) (out []step) {
	for key := range strings.SplitSeq(path, ".") {
		out = append(out, step{key, at})
		at.column += utf8.RuneCountInString(key) + 1
	}
	return out
}

// set walks to the section that holds the last step, making sections on the
// way, and puts the value there.
func set(root *node, table *Field, path []step, text string, at place) Problems {
	n, f := root, table
	for {
		here := path[0]
		path = path[1:]
		if f != nil && f.shape == shapeMap && f.form == channelForm && len(path) > 0 {
			here.key += "." + path[0].key // a channel's name holds a dot
			path = path[1:]
		}
		f = below(f, n, here.key)
		if len(path) == 0 {
			return assign(n, f, here, text, at)
		}
		next := child(n, here.key)
		if next == nil || next.kind == scalarNode || next.kind == nullNode {
			if n.kind != mapNode {
				return Problems{here.at.problem(here.key, codeOverride, "no such entry in the list", "write its index from 0, or the name of a stage")}
			}
			next = &node{kind: mapNode, at: here.at}
			n.put(entry{here.key, here.at, next})
		}
		n = next
	}
}

// child finds a key of a section or an entry of a list.
func child(n *node, key string) *node {
	if n.kind == mapNode {
		return n.get(key)
	}
	if i := position(n, key); i >= 0 {
		return n.items[i]
	}
	return nil
}

// position finds an entry of a list by index or name, or returns -1.
func position(n *node, key string) int {
	if i, err := strconv.Atoi(key); err == nil && i >= 0 && i < len(n.items) {
		return i
	}
	return slices.IndexFunc(n.items, func(item *node) bool {
		name := item.get("name")
		if name == nil {
			name = item.get("stage") // what a stage without a name is called
		}
		return name != nil && name.text == key
	})
}

// below returns the field of a key, or nil inside a plugin's config.
func below(f *Field, n *node, key string) *Field {
	switch {
	case f == nil || f.shape == shapeConfig:
		return nil
	case f.each != nil:
		return f.each
	case f.find(key) == nil:
		return f.others
	}
	found := f.find(key)
	if found.variants == nil {
		return found
	}
	chosen := n.get(found.selector)
	switch {
	case chosen != nil && found.variants[chosen.text] != nil:
		return &Field{shape: shapeObject, keys: found.variants[chosen.text]}
	case found.shape == shapeConfig:
		return found
	}
	return nil
}

func assign(n *node, f *Field, here step, text string, at place) Problems {
	value, problems := typed(f, text, at)
	switch {
	case problems != nil:
		return problems
	case n.kind == listNode:
		i := position(n, here.key)
		if i < 0 {
			return Problems{here.at.problem(here.key, codeOverride, "no such entry in the list", "write its index from 0, or the name of a stage")}
		}
		n.items[i] = value
	case value.kind == nullNode && n.get(here.key) != nil:
		n.remove(here.key)
	default:
		n.put(entry{here.key, here.at, value})
	}
	return nil
}

// typed makes a node of the text of an override.
func typed(f *Field, text string, at place) (*node, Problems) {
	if text == "null" {
		return &node{kind: nullNode, at: at}, nil
	}
	if f != nil {
		switch f.shape {
		case shapeText, shapeInteger, shapeQuantity, shapeChoice:
			return &node{kind: scalarNode, at: at, text: text}, nil
		}
	}
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil || len(document.Content) == 0 {
		return nil, Problems{at.problem("", codeOverride, "not a YAML value", "write a section as {key: value} and a list as [a, b]")}
	}
	c := &converter{src: at.src, fixed: &at}
	n := c.node(document.Content[0], 0)
	return n, c.problems
}
