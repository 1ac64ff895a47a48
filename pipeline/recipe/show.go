package recipe

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// YAML returns the resolved recipe as a recipe, with the origin of each value
// beside it. Reading it again gives the same recipe.
func (r *Resolved) YAML() []byte {
	p := &printer{}
	p.keys(r.root, "")
	width := 0
	for _, line := range p.lines {
		if n := utf8.RuneCountInString(line.text); line.from != "" && n <= widestAligned {
			width = max(width, n)
		}
	}
	var out bytes.Buffer
	for _, line := range p.lines {
		out.WriteString(line.text)
		if line.from != "" {
			fill := max(0, width-utf8.RuneCountInString(line.text))
			out.WriteString(strings.Repeat(" ", fill) + "  # " + line.from)
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// widestAligned keeps one long text from pushing all comments to the right.
const widestAligned = 60

// printer collects lines and their comments, which are aligned at the end.
type printer struct{ lines []printedLine }

type printedLine struct{ text, from string }

func (p *printer) line(text, from string) { p.lines = append(p.lines, printedLine{text, from}) }

// keys prints a section: the keys of the table in its order, then others in
// the recipe's.
func (p *printer) keys(v *value, indent string) {
	for _, k := range v.ordered() {
		key := indent + plainKey(k.name) + ":"
		switch {
		case k.kind == scalarNode:
			p.line(key+" "+k.print(), k.origin())
		case k.kind == mapNode && len(k.keys) == 0:
			p.line(key+" {}", k.origin())
		case k.kind == mapNode:
			p.line(key, "")
			p.keys(k, indent+"  ")
		case k.flat():
			p.line(key+" ["+k.flow()+"]", k.origin())
		default:
			p.line(key, "")
			p.items(k, indent+"  ")
		}
	}
}

// items prints a list of sections, or of lists.
func (p *printer) items(v *value, indent string) {
	for _, item := range v.items {
		switch {
		case item.kind == scalarNode:
			p.line(indent+"- "+item.print(), item.origin())
		case item.kind == mapNode && len(item.keys) == 0:
			p.line(indent+"- {}", item.origin())
		case item.flat():
			p.line(indent+"- ["+item.flow()+"]", item.origin())
		default:
			first := len(p.lines)
			if item.kind == mapNode {
				p.keys(item, indent+"  ")
			} else {
				p.items(item, indent+"  ")
			}
			p.lines[first].text = indent + "- " + strings.TrimPrefix(p.lines[first].text, indent+"  ")
		}
	}
}

// flat reports whether v is a list of single values, which fits one line.
func (v *value) flat() bool {
	for _, item := range v.items {
		if item.kind != scalarNode {
			return false
		}
	}
	return v.kind == listNode
}

func (v *value) flow() string {
	texts := make([]string, len(v.items))
	for i, item := range v.items {
		texts[i] = item.print()
	}
	return strings.Join(texts, ", ")
}

// print writes a single value so that it is read back as it is.
func (v *value) print() string {
	if text, ok := v.scalar.(string); ok && (v.field == nil || v.field.shape != shapeChoice) {
		return quote(text)
	}
	return fmt.Sprint(v.scalar)
}

// ordered returns the keys of a section, those of the table first.
func (v *value) ordered() []*value {
	keys := slices.Clone(v.keys)
	if v.field != nil {
		slices.SortStableFunc(keys, func(a, b *value) int { return v.field.rank(a.name) - v.field.rank(b.name) })
	}
	return keys
}

// rank is the place of a key in the table; unknown keys come last.
func (f *Field) rank(name string) int {
	if i := slices.IndexFunc(f.keys, func(k *Field) bool { return k.name == name }); i >= 0 {
		return i
	}
	return len(f.keys)
}

var wordKey = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// plainKey quotes a key only where YAML's grammar needs it: keys are read as
// texts, so "on" is no truth value.
func plainKey(key string) string {
	if wordKey.MatchString(key) && key[0] != '-' && key != "..." {
		return key
	}
	return quote(key)
}

// quote quotes a text where YAML needs it, also within a list on one line.
func quote(text string) string {
	if strings.ContainsAny(text, "\n,[]{}#") {
		return doubleQuoted(text)
	}
	out, err := yaml.Marshal(text)
	if err != nil || bytes.Count(out, []byte("\n")) > 1 {
		return doubleQuoted(text)
	}
	return strings.TrimSuffix(string(out), "\n")
}

// doubleQuoted writes YAML's double-quoted form, on one line.
func doubleQuoted(text string) string {
	out, err := yaml.Marshal(&yaml.Node{Kind: yaml.ScalarNode, Style: yaml.DoubleQuotedStyle, Value: text})
	if err != nil || bytes.Count(out, []byte("\n")) > 1 {
		return fmt.Sprintf("%q", text)
	}
	return strings.TrimSuffix(string(out), "\n")
}
