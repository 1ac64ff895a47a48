package tagfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"

	"tsrun/sdk/tag"
)

// npzEncoder writes an array for each channel, which needs to be known whole before
// it can be written: tags wait in a file without a name, a file a channel, beside the
// one that is written.
type npzEncoder struct {
	about   Provenance
	dir     string
	one     bool // there is one channel, also where it has no tags
	columns map[int]*npzColumn
}

// npzColumn are the times of one channel.
type npzColumn struct {
	spool *os.File // nil as long as buf holds all
	buf   []byte
	count uint64
	below bool   // a time was below 0
	last  uint64 // of those that were not
}

func newNPZEncoder(o encoding) (encoder, error) {
	return &npzEncoder{about: o.about, dir: o.dir, one: o.oneChannel, columns: map[int]*npzColumn{}}, nil
}

func (e *npzEncoder) heading() []byte { return nil }

func (e *npzEncoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if len(tags) == 0 {
		return dst, checkChannel(channel, math.MinInt32+1, math.MaxInt32)
	}
	c, err := e.column(channel)
	if err == nil {
		c.last = tags[len(tags)-1]
		c.count += uint64(len(tags))
		c.buf = append(c.buf, tag.AsBytes(tags)...)
		err = c.relieve(e.dir)
	}
	return dst, err
}

// column is that of a channel.
func (e *npzEncoder) column(channel int) (*npzColumn, error) {
	if err := checkChannel(channel, math.MinInt32+1, math.MaxInt32); err != nil {
		return nil, err
	}
	c := e.columns[channel]
	if c == nil {
		if len(e.columns) == maxNPZArrays {
			return nil, fmt.Errorf("format %s holds %d channels, here are more; choose some with --channel", NPZ, maxNPZArrays)
		}
		c = &npzColumn{}
		e.columns[channel] = c
	}
	return c, nil
}

// appendBelow keeps a tag before 0, in two's complement.
func (e *npzEncoder) appendBelow(dst []byte, channel int, t uint64) ([]byte, error) {
	c, err := e.column(channel)
	if err == nil {
		c.below = true
		c.count++
		c.buf = binary.LittleEndian.AppendUint64(c.buf, t)
		err = c.relieve(e.dir)
	}
	return dst, err
}

// relieve brings what has gathered in memory to the disk.
func (c *npzColumn) relieve(dir string) (err error) {
	if len(c.buf) < ioBuffer {
		return nil
	}
	if c.spool == nil {
		if c.spool, err = spool(dir, "tsrun-npz-*"); err != nil {
			return fmt.Errorf("keep the tags of a channel until all are known: %w", err)
		}
	}
	if _, err = c.spool.Write(c.buf); err != nil {
		return fmt.Errorf("keep the tags of a channel until all are known: %w", err)
	}
	c.buf = c.buf[:0]
	return nil
}

func (e *npzEncoder) finish(dst []byte) ([]byte, error) { return dst, nil }

// writeTo writes the archive.
func (e *npzEncoder) writeTo(w io.Writer) error {
	if e.one && len(e.columns) == 0 {
		e.columns[binChannel] = &npzColumn{}
	}
	z := NewArchive(w)
	for _, channel := range slices.Sorted(maps.Keys(e.columns)) {
		c := e.columns[channel]
		kind := "<i8"
		if c.last > math.MaxInt64 {
			kind = "<u8"
			if c.below {
				return fmt.Errorf("%d ps of channel %d is later than the 107 days that an array can tell which also holds times below 0", c.last, channel)
			}
		}
		err := z.add(fmt.Sprintf("channel_%d", channel), kind, fmt.Sprintf("(%d,)", c.count), c.writeTo)
		if err != nil {
			return err
		}
	}
	err := z.About(struct {
		Provenance
		Unit string `json:"unit"`
	}{e.about, "ps"})
	if err != nil {
		return err
	}
	return z.Close()
}

func (c *npzColumn) writeTo(w io.Writer) error {
	if c.spool != nil {
		if _, err := c.spool.Seek(0, io.SeekStart); err != nil {
			return err
		}
		if _, err := io.Copy(w, c.spool); err != nil {
			return err
		}
	}
	_, err := w.Write(c.buf)
	return err
}

// release gives the disk back what waited there.
func (e *npzEncoder) release() error {
	var errs []error
	for _, c := range e.columns {
		if c.spool != nil {
			errs = append(errs, c.spool.Close())
			c.spool = nil
		}
	}
	return errors.Join(errs...)
}
