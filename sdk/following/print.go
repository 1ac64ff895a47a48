package following

import (
	"encoding/json"
	"io"
	"strconv"
	"sync"
)

// Total is what has come of a channel.
type Total struct {
	Channel  string `json:"channel"`
	Sink     string `json:"sink,omitempty"` // that wrote the files which are followed
	Tags     uint64 `json:"tags"`
	Blocks   uint64 `json:"blocks,omitempty"` // messages that they came in
	Segments int    `json:"segments"`
	Ended    bool   `json:"ended"`
}

// Printer prints lines of several channels, each whole.
type Printer struct {
	To io.Writer

	mu sync.Mutex
}

// JSON prints a line.
func (p *Printer) JSON(what any) error {
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	return p.Write(append(text, '\n'))
}

// Write prints whole lines.
func (p *Printer) Write(text []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, err := p.To.Write(text)
	return err
}

// AppendTags appends a line for each tag.
func AppendTags(text []byte, channel string, tags []uint64) []byte {
	for _, t := range tags {
		text = append(append(text, channel...), ';')
		text = append(strconv.AppendUint(text, t, 10), '\n')
	}
	return text
}
