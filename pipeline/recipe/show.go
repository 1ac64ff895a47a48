package recipe

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// Origin is one single value of a resolved recipe and where it comes from.
type Origin struct {
	Path  string `json:"path"`
	Value string `json:"value"`
	From  string `json:"from"` // "lab.yaml:14", "--set", "default"; ", env NAME" where a variable was used
}

// Origins lists all single values, in the order that [Resolved.YAML] prints.
func (r *Resolved) Origins() (out []Origin) {
	r.root.visit(func(v *value) {
		if v.kind == scalarNode {
			out = append(out, Origin{v.path, v.text, v.origin()})
		}
	})
	return out
}

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

// keys prints a section; first stands before its first key.
func (p *printer) keys(v *value, indent string) {
	for _, k := range v.keys {
		key := indent + quote(k.name) + ":"
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
	if text, ok := v.scalar.(string); ok {
		return quote(text)
	}
	return fmt.Sprint(v.scalar)
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
