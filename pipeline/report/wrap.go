package report

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

const (
	// ReportWidth is that of a summary where no terminal says another.
	ReportWidth = 80
	leastWidth  = 32

	entryColumn = 11 // where the text of an entry begins
)

// together are spaces at which a number would be torn apart, or from its unit.
var together = regexp.MustCompile(`(\d) (\d{3})\b|(\d) (%|ps|ns|us|ms|s|ppb|Hz|kHz|MHz|GHz|tags|pairs|lost)\b| (±) `)

// atWidth breaks lines that are longer than width at spaces; what follows stands
// under the text of the entry. A word that is longer than a line, as a path may
// be, is left whole.
func atWidth(text string, width int) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if utf8.RuneCountInString(line) <= width {
			out.WriteString(line + "\n")
			continue
		}
		runes := []rune(line)
		head, rest := string(runes[:entryColumn]), string(runes[entryColumn:])
		if i := strings.IndexByte(line, ' '); i > entryColumn { // a long name
			head, rest = line[:i+1], line[i+1:]
		}
		at := utf8.RuneCountInString(head)
		out.WriteString(head)
		for i, word := range words(rest) {
			n := utf8.RuneCountInString(word)
			switch {
			case i == 0 && at+n <= width:
			case i > 0 && at+1+n <= width:
				out.WriteByte(' ')
				at++
			case at > entryColumn:
				out.WriteString("\n" + strings.Repeat(" ", entryColumn))
				at = entryColumn
			}
			out.WriteString(word)
			at += n
		}
		out.WriteByte('\n')
	}
	return trimLines(out.String())
}

// words takes a text apart where it may be broken.
func words(text string) []string {
	const kept = "\x00"
	for range 2 { // one number may end where the next begins
		text = together.ReplaceAllStringFunc(text, func(s string) string { return strings.ReplaceAll(s, " ", kept) })
	}
	list := strings.Fields(text)
	for i := range list {
		list[i] = strings.ReplaceAll(list[i], kept, " ")
	}
	return list
}

func trimLines(text string) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		out.WriteString(strings.TrimRight(line, " \n") + "\n")
	}
	return out.String()
}
