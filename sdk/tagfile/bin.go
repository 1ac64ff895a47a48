package tagfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// endOfBin is how reading a bin file ends.
func (f *file) endOfBin(err error) error {
	if err != io.EOF && err != io.ErrUnexpectedEOF {
		return readError(f.path, err)
	}
	if rest := f.Size() % tag.Size; rest != 0 {
		return f.damagef(f.Size()-rest, "it ends within a tag: %s after tag %d; the file is cut off or not in format bin", quantity.Counted(rest, "byte"), f.Size()/tag.Size)
	}
	return io.EOF
}

// binReader reads a bin file in time order.
type binReader struct {
	window
	info Info
}

func newBinReader(f *file, info Info) *binReader {
	return &binReader{info: info, window: window{
		f: f, batch: int(min(windowBatch, f.Size()/tag.Size+1)),
		read: func(buf []uint64) (int, error) {
			n, err := readTags(f, buf)
			if err != nil {
				err = f.endOfBin(err)
			}
			return n, err
		},
		left: func() int {
			at, _ := f.Seek(0, io.SeekCurrent) // which cannot fail
			return int((f.Size() - at) / tag.Size)
		},
		place: func(nth uint64) string { return fmt.Sprintf("tag %d (byte %d)", nth, nth*tag.Size) },
	}}
}

func (r *binReader) Close() error { return r.f.Close() }

func (r *binReader) Info() Info {
	info := r.ordered
	info.Format, info.Size, info.Resolution = r.info.Format, r.info.Size, r.info.Resolution
	if r.taken > 0 {
		info.Channels = []ChannelInfo{{Channel: binChannel, Tags: r.taken, First: r.first, Last: r.latest}}
	}
	return info
}

// binEvents are the tags of a bin file, as one channel.
type binEvents struct{ of *binReader }

func (e binEvents) next(buf []uint64) (n, channel int, err error) {
	n, err = e.of.Next(buf)
	return n, binChannel, err
}

func (e binEvents) info() Info { return e.of.Info() }

// scanBin says what a bin file holds.
func scanBin(f *file) (Info, error) {
	y := tally{info: Info{Format: Bin, Size: f.Size(), Resolution: 1}}
	buf := make([]uint64, min(ioBuffer, f.Size()+tag.Size)/tag.Size)
	var end error
	for end == nil {
		var n int
		n, end = readTags(f, buf)
		y.addAll(binChannel, buf[:n])
	}
	info := y.done(nil)
	var damaged *damageError
	if end = f.endOfBin(end); !errors.As(end, &damaged) {
		damaged = nil
	}
	switch {
	case damaged != nil:
		whole := int64(info.Tags())
		info.Damage = &Damage{Records: uint64(whole), Bytes: whole * tag.Size, Places: 1, From: damaged.at, First: damaged.err.Error()}
		return info, damaged.err
	case end != io.EOF:
		return info, end
	}
	return info, nil
}

// readTags fills tags from r as far as r goes. The error is io.EOF when it
// ends between two tags.
func readTags(r io.Reader, tags []uint64) (int, error) {
	bytes := tag.AsBytes(tags)
	read, err := io.ReadFull(r, bytes)
	n := read / tag.Size
	copy(tags, tag.AsTags(bytes[:n*tag.Size], nil)) // bytes are the tags themselves on a little-endian machine
	if err == io.ErrUnexpectedEOF && read%tag.Size == 0 {
		err = io.EOF
	}
	return n, err
}

// binRecording reads all of a bin file, with one allocation of its size.
func binRecording(f *file) (Recording, error) {
	y := tally{info: Info{Format: Bin, Size: f.Size(), Resolution: 1}}
	r := Recording{Channels: map[int][]uint64{}}
	if f.Size() > 0 {
		tags := make([]uint64, f.Size()/tag.Size)
		_, err := readTags(f, tags)
		if err == nil {
			err = io.EOF
		}
		if err = f.endOfBin(err); err != io.EOF {
			return Recording{}, err
		}
		y.addAll(binChannel, tags)
		if y.info.Violations > 0 {
			slices.Sort(tags)
		}
		r.First, r.Channels[binChannel] = tags[0], tags
	}
	r.Info = y.done(nil)
	return r, nil
}

// binSource reads a bin file in whatever order it is.
type binSource struct {
	f    *file
	r    *bufio.Reader
	buf  []uint64
	at   int
	read uint64
}

func openBin(f *file) (source, error) {
	return &binSource{f: f, r: f.buffered(ioBuffer)}, nil
}

func (s *binSource) next() (int, uint64, error) {
	if s.at == len(s.buf) {
		if s.buf == nil {
			s.buf = make([]uint64, min(ioBuffer, s.f.Size()+tag.Size)/tag.Size)
		}
		n, err := readTags(s.r, s.buf[:cap(s.buf)])
		if n == 0 {
			return 0, 0, s.f.endOfBin(err)
		}
		s.buf, s.at = s.buf[:n], 0
	}
	t := s.buf[s.at]
	s.at++
	s.read++
	return binChannel, t, nil
}

func (s *binSource) place() string { return fmt.Sprintf("tag %d", s.read-1) }
func (s *binSource) facts() []Fact { return nil }

func (s *binSource) whole() (uint64, int64) { return s.read, int64(s.read) * tag.Size }

// binEncoder writes tags as they lie in memory; there is no room for a channel.
type binEncoder struct{ one oneChannel }

func newBinEncoder(o encoding) (encoder, error) { return &binEncoder{oneChannel{format: Bin}}, nil }

func (e *binEncoder) heading() []byte { return nil }

func (e *binEncoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if err := e.one.check(channel); err != nil {
		return dst, err
	}
	return tag.AppendTags(dst, tags), nil
}

func (e *binEncoder) finish(dst []byte) ([]byte, error) { return dst, nil }
