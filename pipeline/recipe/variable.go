package recipe

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Lookup finds an environment variable.
type Lookup func(name string) (value string, found bool)

var (
	variable    = regexp.MustCompile(`\$\{[^}]*\}?`)
	environment = regexp.MustCompile(`^\$\{env:([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}$`)
)

// expand replaces ${env:NAME} and ${env:NAME:-default} in all single values of
// n. It works on parsed values, so a variable never adds keys or structure.
func expand(n *node, path string, env Lookup) (problems Problems) {
	for _, e := range n.entries {
		problems = append(problems, expand(e.value, join(path, e.key), env)...)
	}
	for i, item := range n.items {
		problems = append(problems, expand(item, index(path, i), env)...)
	}
	if n.kind != scalarNode || !strings.Contains(n.text, "${") {
		return problems
	}
	var names []string
	text := n.text
	var out strings.Builder
	last := 0
	for _, span := range variable.FindAllStringIndex(text, -1) {
		out.WriteString(text[last:span[0]])
		last = span[1]
		at := n.at
		at.column += utf8.RuneCountInString(text[:span[0]])
		if n.quoted {
			at.column++
		}
		m := environment.FindStringSubmatch(text[span[0]:span[1]])
		if m == nil {
			problems = append(problems, at.problem(path, codeVariable, fmt.Sprintf("%q is not a variable", text[span[0]:span[1]]), "write ${env:NAME} or ${env:NAME:-default}"))
			continue
		}
		replacement, found := env(m[1])
		switch {
		case found:
			out.WriteString(replacement)
		case m[2] != "":
			out.WriteString(m[3])
		default:
			problems = append(problems, at.problem(path, codeVariable, fmt.Sprintf("the variable %s is not set", m[1]), fmt.Sprintf("set it, or write ${env:%s:-default}", m[1])))
		}
		names = append(names, m[1])
	}
	out.WriteString(text[last:])
	if out.Len() > maxText {
		problems = append(problems, n.at.problem(path, codeTooLarge, fmt.Sprintf("a text of %d bytes with its variables", out.Len()), fmt.Sprintf("texts have up to %d", maxText)))
		return problems
	}
	n.text, n.env = out.String(), strings.Join(names, ", ")
	return problems
}
