package tagfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"tsrun/pipeline/tag"
)

// Encoder turns tags of one channel into the bytes of a file.
type Encoder struct {
	format  string
	channel int
}

// NewEncoder returns an encoder for one of the formats [Bin], [Txt] and [Csv].
// The channel is the number that text gives each tag, from 0 to 65535.
func NewEncoder(format string, channel int) (Encoder, error) {
	writable := []string{Bin, Txt, Csv}
	for _, name := range writable {
		if format == name {
			if channel < 0 || channel > maxChannel {
				return Encoder{}, fmt.Errorf("encode tags: channel %d is not between 0 and %d", channel, maxChannel)
			}
			return Encoder{format, channel}, nil
		}
	}
	return Encoder{}, fmt.Errorf("encode tags: cannot write format %q; these can be: %s", format, strings.Join(writable, ", "))
}

// Format returns the name of the format, which is also how its files end.
func (e Encoder) Format() string { return e.format }

// Heading returns what a file begins with, before any tag.
func (e Encoder) Heading() string {
	if e.format == Csv {
		return csvHeader + "\n"
	}
	return ""
}

// MaxSize returns how many bytes n tags become at most.
func (e Encoder) MaxSize(n int) int {
	if e.format == Bin {
		return n * tag.Size
	}
	return n * len("65535;18446744073709551615\n")
}

// Append appends the bytes of tags to dst.
func (e Encoder) Append(dst []byte, tags []uint64) []byte {
	switch e.format {
	case Txt:
		return appendLines(dst, e.channel, ';', tags)
	case Csv:
		return appendLines(dst, e.channel, ',', tags)
	}
	return tag.AppendTags(dst, tags)
}

// Encode writes the heading and all tags to w.
func (e Encoder) Encode(w io.Writer, tags []uint64) error {
	if _, err := io.WriteString(w, e.Heading()); err != nil {
		return err
	}
	const piece = 1 << 15
	buf := make([]byte, 0, e.MaxSize(min(piece, len(tags))))
	for len(tags) > 0 {
		n := min(piece, len(tags))
		if _, err := w.Write(e.Append(buf, tags[:n])); err != nil {
			return err
		}
		tags = tags[n:]
	}
	return nil
}

// WriteFile writes tags to a new file of format [Bin], [Txt] or [Csv]. It
// replaces no file, and leaves none when it fails.
func WriteFile(path, format string, channel int, tags []uint64) error {
	e, err := NewEncoder(format, channel)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return fmt.Errorf("write tags: %w", err)
	}
	if err := errors.Join(e.Encode(f, tags), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("write tags: %w", err), os.Remove(path))
	}
	return nil
}
