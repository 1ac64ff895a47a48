package recipe

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// HasCompensation says how much of trigger.compensation.NODE a file of a recipe has:
// 3: the value; 2: the section of values; 1: the section trigger; 0: none of it.
func HasCompensation(f File, node string) (depth int) {
	n, problems := parseFile(f, 0)
	if problems != nil {
		return 0
	}
	for _, key := range []string{"trigger", "compensation", node} {
		if n = n.get(key); n == nil {
			return depth
		}
		depth++
	}
	return depth
}

// WithCompensation returns the text of a recipe's file in which trigger.compensation
// has other values, by node. Comments and layout stay. What else the file says is
// compared, before and after: where it is laid out so that this cannot be done, the
// error says so.
func WithCompensation(f File, values map[string]string) ([]byte, error) {
	text := f.Bytes
	for _, node := range slices.Sorted(maps.Keys(values)) {
		changed, err := withCompensationOf(newFile(f.Name, f.Path, text), node, values[node])
		if err != nil {
			return nil, fmt.Errorf("trigger.compensation.%s in %s: %w", node, f.Name, err)
		}
		text = changed
	}
	return text, nil
}

func withCompensationOf(f File, node, value string) ([]byte, error) {
	before, problems := parseFile(f, 0)
	if problems != nil {
		return nil, problems.sorted()
	}
	var document yaml.Node
	if err := yaml.Unmarshal(f.Bytes, &document); err != nil || len(document.Content) != 1 {
		return nil, fmt.Errorf("the file is no recipe: %w", err)
	}
	e := editor{lines: strings.Split(string(f.Bytes), "\n")}
	if err := e.put(document.Content[0], []string{"trigger", "compensation", node}, value); err != nil {
		return nil, err
	}
	text := []byte(strings.Join(e.lines, "\n"))
	after, problems := parseFile(newFile(f.Name, f.Path, text), 0)
	if problems != nil || override(before, tableWith(nil), []string{"trigger.compensation." + node + "=" + value}) != nil || !sameMeaning(before, after) {
		return nil, fmt.Errorf("the file is laid out in a way that cannot be changed without changing more")
	}
	return text, nil
}

// sameMeaning compares two trees, wherever their parts stand.
func sameMeaning(a, b *node) bool {
	if a.kind != b.kind || a.text != b.text || len(a.entries) != len(b.entries) || len(a.items) != len(b.items) {
		return false
	}
	for _, e := range a.entries {
		if other := b.get(e.key); other == nil || !sameMeaning(e.value, other) {
			return false
		}
	}
	for i := range a.items {
		if !sameMeaning(a.items[i], b.items[i]) {
			return false
		}
	}
	return true
}

// editor changes the lines of a YAML file where its nodes stand.
type editor struct{ lines []string }

// put writes a value at a path of keys below a section, making the sections on the way.
func (e *editor) put(section *yaml.Node, path []string, value string) error {
	if section.Kind != yaml.MappingNode {
		return fmt.Errorf("no section of keys stands there")
	}
	for i := 0; i+1 < len(section.Content); i += 2 {
		if section.Content[i].Value != path[0] {
			continue
		}
		if len(path) > 1 {
			return e.put(section.Content[i+1], path[1:], value)
		}
		return e.replace(section.Content[i+1], value)
	}
	entry := path[len(path)-1] + ": " + value
	for _, key := range slices.Backward(path[:len(path)-1]) {
		entry = key + ": {" + entry + "}"
	}
	return e.insert(section, entry)
}

// replace writes another value over one that stands on one line.
func (e *editor) replace(old *yaml.Node, value string) error {
	if old.Kind != yaml.ScalarNode || old.Anchor != "" {
		return fmt.Errorf("no plain value stands there")
	}
	if strings.Contains(old.Value, "${") {
		return fmt.Errorf("the value comes from a variable, %s", old.Value)
	}
	line, at := e.at(old)
	quote := map[yaml.Style]string{yaml.SingleQuotedStyle: "'", yaml.DoubleQuotedStyle: `"`}[old.Style]
	written := quote + old.Value + quote
	if !strings.HasPrefix((*line)[at:], written) {
		return fmt.Errorf("the value there is written in a way that cannot be replaced")
	}
	*line = (*line)[:at] + value + (*line)[at+len(written):]
	return nil
}

// insert adds an entry to a section: between { and } at its front, else on a line of
// its own behind the last.
func (e *editor) insert(section *yaml.Node, entry string) error {
	line, at := e.at(section)
	switch {
	case section.Style&yaml.FlowStyle != 0:
		if !strings.HasPrefix((*line)[at:], "{") {
			return fmt.Errorf("the section there has an anchor or a tag")
		}
		if len(section.Content) > 0 {
			entry += ", "
		}
		*line = (*line)[:at+1] + entry + (*line)[at+1:]
	case len(section.Content) == 0:
		return fmt.Errorf("the section there is empty")
	default:
		last := lastLine(section)
		ending := ""
		if strings.HasSuffix(e.lines[last-1], "\r") {
			ending = "\r"
		}
		e.lines = slices.Insert(e.lines, last, strings.Repeat(" ", section.Content[0].Column-1)+entry+ending)
	}
	return nil
}

// lastLine is the last line on which a part of a node begins, counted from 1.
func lastLine(n *yaml.Node) int {
	last := n.Line
	for _, below := range n.Content {
		last = max(last, lastLine(below))
	}
	return last
}

// at is the line of a node and the byte in it where the node begins.
func (e *editor) at(n *yaml.Node) (line *string, at int) {
	line = &e.lines[min(max(n.Line, 1), len(e.lines))-1]
	for range n.Column - 1 {
		_, size := utf8.DecodeRuneInString((*line)[at:])
		at += size
	}
	return line, at
}
