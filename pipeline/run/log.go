package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"
)

const (
	// MaxLogLine is how long a line of the log may be in bytes.
	MaxLogLine = 64 << 10
	// MaxLog is how long the log may grow in bytes: a node that never stops
	// talking must not fill the disk the tags need.
	MaxLog = 256 << 20
)

// Log is log.jsonl: the lines of all nodes, one JSON object each with at least
// "time", "level", "msg" and "node". Any goroutine may write.
type Log struct {
	mu      sync.Mutex
	file    *os.File
	written int64
	dropped int64
	now     func() time.Time
}

func newLog(path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &Log{file: file, now: time.Now}, nil
}

// openLog goes on with a log. A line that was torn is ended.
func openLog(path string) (*Log, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	l := &Log{file: file, now: time.Now}
	if l.written, err = file.Seek(0, io.SeekEnd); err == nil && l.written > 0 {
		last := []byte{0}
		if _, err = file.ReadAt(last, l.written-1); err == nil && last[0] != '\n' {
			_, err = file.Write([]byte{'\n'})
			l.written++
		}
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return l, nil
}

// Handler logs what happens in this process on behalf of a node.
func (l *Log) Handler(node string, level slog.Leveler) slog.Handler {
	return slog.NewJSONHandler(localLines{l}, &slog.HandlerOptions{Level: level}).
		WithAttrs([]slog.Attr{slog.String("node", node)})
}

// localLines takes what slog writes: one whole line each time.
type localLines struct{ log *Log }

func (w localLines) Write(line []byte) (int, error) {
	return len(line), w.log.append(bytes.TrimSuffix(line, []byte("\n")))
}

// AppendRemote takes one line that another node logged. The line is put into
// the log as that node's, whatever it says of itself; what is not a JSON object
// is kept as the message of one.
func (l *Log) AppendRemote(node string, line []byte) error {
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return nil
	}
	var fields map[string]json.RawMessage
	if len(line) > MaxLogLine || json.Unmarshal(line, &fields) != nil || fields == nil {
		return l.append(l.plainLine(node, line))
	}
	named, err := json.Marshal(node)
	if err != nil {
		return fmt.Errorf("log line of node %q: %w", node, err)
	}
	fields["node"] = named
	return l.append(orderedLine(fields))
}

// orderedLine writes the keys a reader looks for first, then the others by name.
func orderedLine(fields map[string]json.RawMessage) []byte {
	var out bytes.Buffer
	put := func(key string) {
		if value, ok := fields[key]; ok {
			name, _ := json.Marshal(key) // a string always encodes
			out.WriteByte(',')
			out.Write(name)
			out.WriteByte(':')
			_ = json.Compact(&out, value) // valid: it was just decoded
			delete(fields, key)
		}
	}
	for _, key := range []string{"time", "level", "node", "msg"} {
		put(key)
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		put(key)
	}
	out.WriteByte('}')
	line := out.Bytes()
	line[0] = '{' // there is at least "node", so the first byte is a comma
	return line
}

// plainLine makes a log line of text that is none. At most an eighth of
// MaxLogLine is kept, because JSON may need six bytes for one.
func (l *Log) plainLine(node string, text []byte) []byte {
	const keep = MaxLogLine / 8
	size := len(text)
	if size > keep {
		text = text[:keep] // a character cut in two becomes U+FFFD below
	}
	line, _ := json.Marshal(struct { // strings and numbers always encode
		Time  time.Time `json:"time"`
		Level string    `json:"level"`
		Node  string    `json:"node"`
		Msg   string    `json:"msg"`
		Bytes int       `json:"bytes"`
	}{l.now().UTC(), "INFO", node, string(bytes.ToValidUTF8(text, []byte("\uFFFD"))), size})
	return line
}

// append writes one line in one write, so that lines never mix.
func (l *Log) append(line []byte) error {
	if len(line) > MaxLogLine {
		line = l.plainLine("", line)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return errors.New("write log: the log is closed")
	}
	if l.written+int64(len(line))+1 > MaxLog {
		l.dropped++
		return nil
	}
	n, err := l.file.Write(append(line, '\n'))
	l.written += int64(n)
	if err != nil {
		return fmt.Errorf("write log: %w", err)
	}
	return nil
}

// Close ends the log and makes it durable. A second call does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.file == nil {
		return nil
	}
	var err error
	if l.dropped > 0 {
		_, err = fmt.Fprintf(l.file, `{"time":%q,"level":"WARN","msg":"log is full","lines_dropped":%d}`+"\n",
			l.now().UTC().Format(time.RFC3339Nano), l.dropped)
	}
	err = errors.Join(err, l.file.Sync(), l.file.Close())
	l.file = nil
	return err
}
