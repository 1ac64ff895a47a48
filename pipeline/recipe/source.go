package recipe

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// MaxFile bounds a recipe, in bytes; real ones have a few kilobytes.
const MaxFile = 1 << 20

// File is one file that a recipe was made from, as it was when it was read.
type File struct {
	Name   string // as the user named it
	Path   string // absolute
	Bytes  []byte
	SHA256 [32]byte
}

// source is where values come from: a file, or the overrides of the command
// line, where the n-th override stands as line n.
type source struct {
	name  string
	dir   string // what relative paths in it are relative to
	lines []string
	order int
}

// place is a position in a source; lines and columns count from 1. The zero
// place is nowhere: that of a default.
type place struct {
	src          *source
	line, column int
}

func (p place) String() string {
	if p.src == nil {
		return "default"
	}
	if p.src.name == overrideName {
		return overrideName
	}
	return p.src.name + ":" + strconv.Itoa(p.line)
}

// problem makes a problem at a place.
func (p place) problem(path, code, message, hint string) Problem {
	out := Problem{Line: p.line, Column: p.column, Path: path, Code: code, Message: message, Hint: hint}
	if p.src != nil {
		out.File, out.order = p.src.name, p.src.order
		if p.line >= 1 && p.line <= len(p.src.lines) {
			out.source = p.src.lines[p.line-1]
		}
	}
	return out
}

// readFile reads a bounded regular file. A named pipe is opened without
// waiting for a writer.
func readFile(name string) (File, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return File{}, fmt.Errorf("read recipe %s: %w", name, err)
	}
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return File{}, fmt.Errorf("read recipe: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return File{}, noFile(name)
	}
	text, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return File{}, fmt.Errorf("read recipe %s: %w", name, err)
	}
	if len(text) > MaxFile {
		return File{}, fmt.Errorf("read recipe %s: larger than %d KiB; is it a recipe?", name, MaxFile>>10)
	}
	return newFile(name, path, text), nil
}

func newFile(name, path string, text []byte) File {
	return File{Name: name, Path: path, Bytes: text, SHA256: sha256.Sum256(text)}
}

// parseFile turns the bytes of a file into nodes.
func parseFile(f File, order int) (*node, Problems) {
	src := &source{name: f.Name, dir: filepath.Dir(f.Path), order: order}
	start := place{src, 1, 1}
	src.lines = strings.Split(strings.ToValidUTF8(string(f.Bytes), "\uFFFD"), "\n")
	if at := notUTF8(f.Bytes); at >= 0 {
		before := f.Bytes[:at]
		start.line += bytes.Count(before, []byte("\n"))
		start.column += utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
		return nil, Problems{start.problem("", codeSyntax, "the file is not UTF-8 text", "save it as UTF-8")}
	}
	if problems := append(findTabs(src), findControls(src)...); problems != nil {
		return nil, problems
	}
	decoder := yaml.NewDecoder(strings.NewReader(string(f.Bytes)))
	var document, second yaml.Node
	if err := decoder.Decode(&document); errors.Is(err, io.EOF) {
		return nil, Problems{start.problem("", codeMissing, "the recipe is empty", "start with: version: 1")}
	} else if err != nil {
		return nil, Problems{syntaxProblem(src, err)}
	}
	if err := decoder.Decode(&second); err == nil {
		at := place{src, second.Line, 1}
		return nil, Problems{at.problem("", codeSyntax, "a second document begins here", "a recipe is one document: remove what follows ---")}
	} else if !errors.Is(err, io.EOF) {
		return nil, Problems{syntaxProblem(src, err)}
	}
	return convert(src, &document)
}

// notUTF8 returns where the first byte is that is not UTF-8, or -1.
func notUTF8(text []byte) int {
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

// findTabs points at the first tab of each line. YAML forbids them where it
// counts and reads them differently elsewhere, and nobody sees them.
func findTabs(src *source) (problems Problems) {
	for i, line := range src.lines {
		if before, _, found := strings.Cut(line, "\t"); found {
			at := place{src, i + 1, utf8.RuneCountInString(before) + 1}
			problems = append(problems, at.problem("", codeSyntax, "a tab", "use spaces"))
		}
	}
	return problems
}

// findControls points at the first character of each line that no YAML has, such as of a
// file that a program has damaged: the library names no place.
func findControls(src *source) (problems Problems) {
	for i, line := range src.lines {
		line = strings.TrimSuffix(line, "\r")
		at := strings.IndexFunc(line, func(r rune) bool {
			return r < ' ' && r != '\t' && r != '\r' || r >= 0x7f && r < 0xa0 && r != 0x85 || r == 0xfffe || r == 0xffff
		})
		if at >= 0 {
			r, _ := utf8.DecodeRuneInString(line[at:])
			where := place{src, i + 1, utf8.RuneCountInString(line[:at]) + 1}
			problems = append(problems, where.problem("", codeSyntax, fmt.Sprintf("a control character (%U)", r), "remove it"))
		}
	}
	return problems
}

var unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)

var yamlLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// advice explains the YAML library's most frequent messages.
var advice = []struct{ about, message, hint string }{
	{"mapping values are not allowed", "a second key on the line of a value", "put the key on its own line, or quote a value that contains a colon"},
	{"could not find expected ':'", "a key without a colon", `write "key: value", with a space after the colon`},
	{"did not find expected key", "the indentation or the brackets do not fit", "indent keys of one section equally and close every { and ["},
	{"did not find expected ',' or '}'", "a { is not closed", "separate by commas and close with }"},
	{"did not find expected ',' or ']'", "a [ is not closed", "separate by commas and close with ]"},
	{"did not find expected '-' indicator", "a list ends in the middle", "indent every - of one list equally"},
	{"cannot start any token", "a character that cannot begin a value", "quote the value"},
	{"unknown anchor", "an alias without an anchor", "define the anchor above its use, or write the value out"},
	{"found incompatible YAML document", "a directive for another YAML", "remove the line that begins with %YAML"},
	{"unexpected end of stream", "a quote is not closed", "close it"},
}

// syntaxProblem places an error of the YAML library. The library names a line
// at most and never a column; the caret goes to the first character of that
// line. The errors of its parser, which say what it did not find, count lines
// from 0, those of its scanner from 1.
func syntaxProblem(src *source, err error) Problem {
	at, message, hint := place{src, 1, 1}, err.Error(), ""
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		if n, err := strconv.Atoi(m[1]); err == nil {
			at.line = n
		}
		if message = m[2]; strings.HasPrefix(message, "did not find") {
			at.line++
		}
		at.line = max(1, min(at.line, len(src.lines)))
	}
	if m := unknownAnchor.FindStringSubmatch(message); m != nil {
		at.line = 1 + max(0, slices.IndexFunc(src.lines, func(line string) bool { return strings.Contains(line, "*"+m[1]) }))
	}
	for at.line < len(src.lines) && strings.TrimSpace(src.lines[at.line-1]) == "" {
		at.line++
	}
	line := src.lines[at.line-1]
	at.column = len(line) - len(strings.TrimLeft(line, " ")) + 1
	for _, a := range advice {
		if strings.Contains(message, a.about) {
			message, hint = a.message+" ("+message+")", a.hint
			break
		}
	}
	if strings.Contains(line, "${") && strings.HasPrefix(message, "a {") {
		hint = "between { and }, quote a value that holds a variable"
	}
	return at.problem("", codeSyntax, message, hint)
}
