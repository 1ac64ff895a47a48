package idq

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// dltCommand is one parsed command.
type dltCommand struct {
	name       string
	id         string
	address    string
	channel    int
	streamPort int
	filename   string
	ascii      bool
	withIndex  bool
}

// options lists what each command takes, and whether it must be given.
var options = map[string]map[string]bool{
	"start-save":   {"id": false, "address": true, "channel": true, "filename": true, "format": false, "with-ref-index": false},
	"start-stream": {"id": false, "address": true, "channel": true, "stream-port": true, "with-ref-index": false},
	"status":       {"id": true},
	"stop":         {"id": true},
	"list":         {},
}

// parseCommand reads one command and its options. A word without a name in
// front of it is the id.
func parseCommand(request string) (dltCommand, error) {
	words, err := splitWords(request)
	if err != nil {
		return dltCommand{}, err
	}
	if len(words) == 0 {
		return dltCommand{}, errors.New("command is missing")
	}
	c := dltCommand{name: words[0]}
	known, ok := options[c.name]
	if !ok {
		return dltCommand{}, fmt.Errorf("unknown command %s", clip(c.name))
	}
	given := map[string]bool{}
	for rest := words[1:]; len(rest) > 0; {
		var name string
		if name, rest, err = c.option(rest, known); err != nil {
			return dltCommand{}, err
		}
		if given[name] {
			return dltCommand{}, fmt.Errorf("option '--%s' is given twice", name)
		}
		given[name] = true
	}
	for _, name := range []string{"id", "address", "channel", "stream-port", "filename"} {
		if known[name] && !given[name] {
			return dltCommand{}, fmt.Errorf("the option '--%s' is required but missing", name)
		}
	}
	return c, nil
}

func (c *dltCommand) set(name, v string) (err error) {
	switch name {
	case "id":
		c.id = v
	case "address":
		c.address = v
	case "channel":
		c.channel, err = within(name, v, 1, channels)
	case "stream-port":
		c.streamPort, err = within(name, v, 1, 65535)
	case "filename":
		c.filename = v
	case "format":
		if c.ascii = v == "ascii"; !c.ascii && v != "bin" {
			err = fmt.Errorf("the argument (%s) for option '--format' is neither bin nor ascii", clip(v))
		}
	}
	if err == nil && v == "" {
		err = fmt.Errorf("the argument for option '--%s' is empty", name)
	}
	return err
}

func within(name, v string, low, high int) (int, error) {
	n, err := strconv.Atoi(v)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("the argument (%s) for option '--%s' is no number from %d to %d", clip(v), name, low, high)
	}
	return n, nil
}

// option takes one option, or the id without a name, off the front of words.
func (c *dltCommand) option(words []string, known map[string]bool) (name string, rest []string, err error) {
	name, named := strings.CutPrefix(words[0], "--")
	if !named {
		if _, takesID := known["id"]; !takesID || strings.HasPrefix(words[0], "-") {
			return "", nil, fmt.Errorf("unrecognised option '%s'", words[0])
		}
		return "id", words[1:], c.set("id", words[0])
	}
	name, v, joined := strings.Cut(name, "=")
	if _, ok := known[name]; !ok {
		return "", nil, fmt.Errorf("unrecognised option '--%s'", name)
	}
	rest = words[1:]
	if name == "with-ref-index" {
		c.withIndex = true
		if joined {
			err = errors.New("option '--with-ref-index' takes no argument")
		}
		return name, rest, err
	}
	if !joined {
		if len(rest) == 0 {
			return "", nil, fmt.Errorf("the required argument for option '--%s' is missing", name)
		}
		v, rest = rest[0], rest[1:]
	}
	return name, rest, c.set(name, v)
}

// splitWords cuts a line at spaces. A word in double quotes may hold spaces; a
// backslash inside quotes takes the next character as it is.
func splitWords(line string) ([]string, error) {
	var words []string
	var word []byte
	inWord, quoted := false, false
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quoted && c == '\\' && i+1 < len(line):
			i++
			word = append(word, line[i])
		case c == '"':
			quoted, inWord = !quoted, true
		case !quoted && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			if inWord {
				words, word, inWord = append(words, string(word)), word[:0], false
			}
		default:
			word, inWord = append(word, c), true
		}
	}
	if quoted {
		return nil, errors.New("a quotation mark is not closed")
	}
	if inWord {
		words = append(words, string(word))
	}
	return words, nil
}
