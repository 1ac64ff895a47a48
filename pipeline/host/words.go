package host

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
)

const (
	keptWords  = 8       // lines of a plugin's standard error that a crash message shows
	keptOfLine = 300     // bytes of each; the log has the rest
	longestLog = 1 << 16 // bytes of one log line
)

// lastWords passes on what a plugin writes to standard error as log records,
// and keeps what a crash leaves there.
type lastWords struct {
	talk *talk

	mu    sync.Mutex
	cause string   // "panic: …", when there was one
	lines []string // the last plain lines
}

// listen reads standard error to its end.
func (w *lastWords) listen(r io.Reader) { readLines(bufio.NewReaderSize(r, longestLog), w.read) }

// readLines passes on each line to the end, and of an endless one the beginning.
func readLines(in *bufio.Reader, read func(line string)) {
	for {
		line, cut, err := in.ReadLine()
		if err != nil {
			return
		}
		text := strings.ToValidUTF8(string(line), "?")
		for cut && err == nil { // the rest of an endless line is of no use
			_, cut, err = in.ReadLine()
		}
		read(text)
	}
}

func (w *lastWords) read(line string) {
	if strings.TrimSpace(line) == "" {
		return
	}
	if record, ok := parseRecord(line); ok {
		w.talk.say(len(line), func() { record.write(w.talk.log) })
		return
	}
	text := line
	w.talk.say(len(text), func() { w.talk.log.Warn("plugin wrote to standard error", "text", text) })
	if len(line) > keptOfLine {
		line = strings.ToValidUTF8(line[:keptOfLine], "") + "..."
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cause == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")) {
		w.cause = line
		w.lines = w.lines[:0] // what follows is the stack
	}
	switch {
	case w.cause == "":
		w.lines = append(w.lines, line)
		w.lines = w.lines[max(0, len(w.lines)-keptWords):]
	case len(w.lines) < keptWords: // of a stack the top tells most
		w.lines = append(w.lines, line)
	}
}

// last returns the panic, if there was one, and the lines worth showing.
func (w *lastWords) last() (cause string, lines []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause, slices.Clone(w.lines)
}

// record is one line of a plugin's log, in the JSON form that go-plugin's
// hosts understand.
type record struct {
	level   slog.Level
	message string
	attrs   []any
}

func parseRecord(line string) (record, bool) {
	if !strings.HasPrefix(line, "{") {
		return record{}, false
	}
	var fields map[string]any
	decoder := json.NewDecoder(strings.NewReader(line))
	decoder.UseNumber() // picoseconds do not fit a float
	if decoder.Decode(&fields) != nil {
		return record{}, false
	}
	message, ok := fields["@message"].(string)
	if !ok {
		return record{}, false
	}
	r := record{message: message, level: slog.LevelInfo}
	switch level, _ := fields["@level"].(string); level {
	case "trace", "debug":
		r.level = slog.LevelDebug
	case "warn":
		r.level = slog.LevelWarn
	case "error":
		r.level = slog.LevelError
	}
	keys := make([]string, 0, len(fields))
	for key := range fields {
		if !strings.HasPrefix(key, "@") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		r.attrs = append(r.attrs, slog.Any(key, fields[key]))
	}
	return r, true
}

func (r record) write(log *slog.Logger) {
	log.Log(context.Background(), r.level, r.message, r.attrs...)
}
