package idq

import (
	"fmt"
	"iter"
	"strconv"
	"strings"
)

// The grammar of SCPI as the device takes it. A header is a path of mnemonics
// through a tree, "INPUt1:COUNter:MODE". Each mnemonic may be cut anywhere
// from its short form, the capitals, to its full length, in any case, and may
// carry a number that selects a block. The canonical header has long forms and
// explicit numbers.

// mnemonic is one node of the command tree.
type mnemonic struct {
	long     string // "RECord"
	short    int    // bytes of the short form
	blocks   int    // numbers 1 to blocks may follow; 0: none
	children []*mnemonic
	command  *command // nil: only a part of longer headers
}

// path is where a header led.
type path struct {
	header  string // canonical: "RECord:TRIGger:ARM:MODE"
	block   int    // the first number on the way; 0: there is none
	command *command
}

// add enters a command under a pattern such as "INPUt#4:COUNter:MODE", where
// #4 means that the numbers 1 to 4 select a block.
func (m *mnemonic) add(pattern string, c *command) {
	for part := range strings.SplitSeq(pattern, ":") {
		long, number, _ := strings.Cut(part, "#")
		blocks, _ := strconv.Atoi(number)
		m = m.child(long, blocks)
	}
	m.command = c
}

// child returns the child of that name, which it creates when it is new.
func (m *mnemonic) child(long string, blocks int) *mnemonic {
	for _, c := range m.children {
		if c.long == long {
			return c
		}
	}
	c := &mnemonic{long: long, short: shortForm(long), blocks: blocks}
	m.children = append(m.children, c)
	return c
}

// shortForm returns the length of the short form: the leading capitals, and
// the asterisk of a common command.
func shortForm(long string) int {
	return len(long) - len(strings.TrimLeft(long, "*ABCDEFGHIJKLMNOPQRSTUVWXYZ"))
}

// abbreviates reports whether word is a legal way to write the long form.
func abbreviates(word, long string) bool {
	return len(word) >= shortForm(long) && len(word) <= len(long) && strings.EqualFold(word, long[:len(word)])
}

// inPort is a level that older firmware has between a block and its links,
// "DELAy3:INPOrt:LINK". It means the same as without.
const inPort = "INPOrt"

// find follows the words of a header down from m.
func (m *mnemonic) find(words []string) (path, error) {
	var p path
	for i, word := range words {
		name := strings.TrimRight(word, "0123456789")
		next := m.match(name)
		if next == nil && i > 0 && i < len(words)-1 && abbreviates(word, inPort) {
			continue
		}
		if next == nil {
			return path{}, unknown(strings.Join(words, ":"))
		}
		if i > 0 {
			p.header += ":"
		}
		p.header += next.long
		if number := word[len(name):]; number != "" || next.blocks > 0 {
			n, err := next.number(number)
			if err != nil {
				return path{}, err
			}
			p.header += strconv.Itoa(n)
			if p.block == 0 {
				p.block = n
			}
		}
		m = next
	}
	if m.command == nil {
		return path{}, unknown(strings.Join(words, ":"))
	}
	p.command = m.command
	return p, nil
}

func (m *mnemonic) match(name string) *mnemonic {
	for _, c := range m.children {
		if abbreviates(name, c.long) {
			return c
		}
	}
	return nil
}

// number reads the number behind a mnemonic; none means the first block.
func (m *mnemonic) number(digits string) (int, error) {
	if digits == "" {
		return 1, nil
	}
	n, err := strconv.Atoi(digits)
	if m.blocks == 0 || err != nil || n < 1 || n > m.blocks {
		return 0, &scpiError{"INVALID_CMD", fmt.Sprintf("%s has no number %s", m.long, clip(digits))}
	}
	return n, nil
}

// instruction is one command or query of a message.
type instruction struct {
	words    []string // of the header, without the question mark
	rooted   bool     // began with a colon, or is a common command such as *IDN?
	common   bool     // leaves the level as it is
	query    bool
	argument string
}

// parseMessage cuts a message into its instructions. No argument has a colon,
// so one in an argument begins the next instruction, ";" or not.
func parseMessage(message string) []instruction {
	var list []instruction
	for text := range instructions(message) {
		if text == "" && len(message) > 0 && strings.Contains(message, ";") {
			continue // "A;" and "A;;B" say nothing more than "A" and "A;B"
		}
		var in instruction
		header := text
		if i := strings.IndexAny(text, " \t"); i >= 0 {
			header, in.argument = text[:i], strings.TrimSpace(text[i:])
		}
		header, in.query = strings.CutSuffix(header, "?")
		header, in.rooted = strings.CutPrefix(header, ":")
		if strings.HasPrefix(header, "*") {
			in.rooted, in.common = true, true
		}
		in.words = strings.Split(header, ":")
		list = append(list, in)
	}
	return list
}

// instructions yields the texts of the instructions of a message.
func instructions(message string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for text := range strings.SplitSeq(message, ";") {
			text = strings.TrimSpace(text)
			for space := strings.IndexAny(text, " \t"); space >= 0; space = strings.IndexAny(text, " \t") {
				colon := strings.IndexByte(text[space:], ':')
				if colon < 0 {
					break
				}
				if !yield(strings.TrimSpace(text[:space+colon])) {
					return
				}
				text = text[space+colon:]
			}
			if !yield(text) {
				return
			}
		}
	}
}

// level is the part of a header that the next instruction continues: all of it
// up to the last colon.
type level []string

// resolve finds an instruction's command from the level left by the one before
// it, and returns the level it leaves. Unless strict, a header that leads
// nowhere from there is tried from the root.
func (m *mnemonic) resolve(in instruction, at level, strict bool) (path, level, error) {
	words := in.words
	if !in.rooted {
		words = append(append([]string(nil), at...), in.words...)
	}
	p, err := m.find(words)
	if err != nil && !in.rooted && !strict && len(at) > 0 {
		if fallback, rootErr := m.find(in.words); rootErr == nil {
			p, err, words = fallback, nil, in.words
		}
	}
	if in.common || err != nil {
		return p, at, err
	}
	return p, words[:len(words)-1], nil
}

// scpiError is an error reply. Clients of real devices look for its name at the
// end, or for its first letters anywhere.
type scpiError struct{ name, text string }

func (e *scpiError) Error() string { return e.text + " SCPI_ERR_" + e.name }

func unknown(header string) error { return &scpiError{"INVALID_CMD", clip(header)} }

// clip quotes a text from outside and cuts it to a readable length.
func clip(s string) string {
	const longest = 60
	if len(s) > longest {
		s = s[:longest] + "..."
	}
	return strconv.Quote(s)
}
