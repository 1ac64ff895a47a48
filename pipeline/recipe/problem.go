package recipe

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Problem is one mistake in a recipe, with its place and what to do about it.
type Problem struct {
	File    string `json:"file"` // as the user named it; "--set" for an override, whose number is the line
	Line    int    `json:"line"`
	Column  int    `json:"column"` // in characters, from 1
	Path    string `json:"path"`   // "nodes.alice.channels.signal"
	Code    string `json:"code"`   // stable, for scripts
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`

	source string // the line itself
	order  int    // of the file: the recipe, its parents, overrides
}

// Codes of problems.
const (
	codeSyntax      = "syntax"
	codeTooLarge    = "too-large"
	codeVersion     = "version"
	codeUnknownKey  = "unknown-key"
	codeDuplicate   = "duplicate"
	codeMissing     = "missing"
	codeType        = "wrong-type"
	codeValue       = "wrong-value"
	codeQuantity    = "quantity"
	codeUnknownName = "unknown-name"
	codeUnsupported = "not-supported-yet"
	codeConflict    = "conflict"
	codeUnused      = "unused"
	codeVariable    = "variable"
	codeExtends     = "extends"
	codeOverride    = "override"
	codePlugin      = "plugin"
	codeWrongKind   = "wrong-kind"
	codeConfig      = "config"
)

// widest is how much of a line is shown around its caret.
const widest = 120

// String returns the problem as a compiler would: place, path and message,
// then the line with a caret below the place and the suggestion.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Column)
	if p.Path != "" {
		b.WriteString(printable(p.Path) + ": ")
	}
	b.WriteString(printable(p.Message))
	line, column := window(p.source, p.Column)
	if line == "" {
		if p.Hint != "" {
			b.WriteString("; " + printable(p.Hint))
		}
		return b.String()
	}
	fmt.Fprintf(&b, "\n    %s\n    %s^", line, strings.Repeat(" ", column-1))
	if p.Hint != "" {
		b.WriteString(" " + printable(p.Hint))
	}
	return b.String()
}

// printable makes control characters spaces: a recipe of a stranger must not
// move carets, or command a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
}

// window cuts a long line to the part around its column, and moves the column
// along.
func window(line string, column int) (string, int) {
	runes := []rune(strings.TrimRight(line, " \r\n"))
	column = max(1, min(column, len(runes)+1))
	if len(runes) > widest {
		from := max(0, min(column-1-widest/2, len(runes)-widest))
		runes, column = runes[from:from+widest], column-from
	}
	return printable(string(runes)), column
}

// Problems are all mistakes of a recipe, sorted by position.
type Problems []Problem

func (ps Problems) Error() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.String()
	}
	return strings.Join(texts, "\n")
}

// sort orders problems by file, line and column, and drops repetitions.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.order, b.order), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(ps)
}

// DidYouMean returns `did you mean "x"?` for the candidate nearest to what was
// written, or "" when none is near.
func DidYouMean(got string, candidates []string) string {
	if best := nearest(got, candidates); best != "" {
		return fmt.Sprintf("did you mean %q?", best)
	}
	return ""
}

// nearest returns the candidate that got is a misspelling of, or "".
func nearest(got string, candidates []string) string {
	best, least := "", max(2, len(got)/3)+1
	for _, want := range candidates {
		if d := distance(strings.ToLower(got), strings.ToLower(want)); d < least {
			best, least = want, d
		}
	}
	return best
}

// didOr is DidYouMean, or the list of all candidates where none is near. A key
// that holds its value has no space after its colon.
func didOr(got string, candidates []string) string {
	if key, value, ok := strings.Cut(got, ":"); ok && value != "" && slices.Contains(candidates, key) {
		return fmt.Sprintf("write a space after the colon: %s: %s", key, value)
	}
	if hint := DidYouMean(got, candidates); hint != "" {
		return hint
	}
	if len(candidates) == 0 {
		return ""
	}
	return "write " + oneOf(candidates)
}

// oneOf lists "a", "a or b", "a, b or c".
func oneOf(words []string) string {
	last := len(words) - 1
	if last < 1 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b.
func distance(a, b string) int {
	if len(a) > 64 || len(b) > 64 {
		return 64
	}
	before, above := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row := make([]int, len(b)+1)
		row[0] = i
		for j := 1; j <= len(b); j++ {
			differ := 1
			if a[i-1] == b[j-1] {
				differ = 0
			}
			row[j] = min(above[j]+1, row[j-1]+1, above[j-1]+differ)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above = above, row
	}
	return above[len(b)]
}

// OnlyPlugins says whether all that is wrong with a recipe is that plugins are
// missing here.
func (ps Problems) OnlyPlugins() bool {
	return len(ps) > 0 && !slices.ContainsFunc(ps, func(q Problem) bool { return q.Code != codePlugin })
}
