package tagfile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"tsrun/pipeline/tag"
)

// binBuffer is how much of a file is read at once when its reader asks for less.
const binBuffer = 256 << 10

func checkBinSize(f *file) error {
	if rest := f.Size() % tag.Size; rest != 0 {
		return f.errorf("it ends within a tag: %d bytes after tag %d; the file is cut off or not in format bin", rest, f.Size()/tag.Size)
	}
	return nil
}

// binEnds looks at the first and the last tag of a file.
func binEnds(f *file) ([]ChannelInfo, error) {
	if err := checkBinSize(f); err != nil {
		return nil, err
	}
	n := f.Size() / tag.Size
	if n == 0 {
		return nil, nil
	}
	var first, last [tag.Size]byte
	if _, err := f.ReadAt(first[:], 0); err != nil {
		return nil, readError(f.path, err)
	}
	if _, err := f.ReadAt(last[:], f.Size()-tag.Size); err != nil {
		return nil, readError(f.path, err)
	}
	return []ChannelInfo{{
		Channel: binChannel, Tags: uint64(n),
		First: binary.LittleEndian.Uint64(first[:]), Last: binary.LittleEndian.Uint64(last[:]),
	}}, nil
}

// binReader reads a bin file in time order.
type binReader struct {
	*file
	r        *bufio.Reader
	read     uint64 // tags
	previous uint64
	err      error
}

func newBinReader(f *file) *binReader {
	return &binReader{file: f, r: bufio.NewReaderSize(f, binBuffer)}
}

func (r *binReader) Next(buf []uint64) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := readTags(r.r, buf)
	if err != nil && err != io.EOF {
		err = readError(r.path, err)
	}
	for i, t := range buf[:n] {
		if t < r.previous {
			n, err = i, r.errorf("tag %d (byte %d) goes back in time: %d ps after %d ps; %s",
				r.read, r.read*tag.Size, t, r.previous, severalRecords)
			break
		}
		r.previous = t
		r.read++
	}
	r.err = err
	if n > 0 {
		return n, nil
	}
	return 0, err
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
	if err := checkBinSize(f); err != nil {
		return Recording{}, err
	}
	r := Recording{Info: Info{Format: Bin, Size: f.Size()}, Channels: map[int][]uint64{}}
	if f.Size() == 0 {
		return r, nil
	}
	tags := make([]uint64, f.Size()/tag.Size)
	if _, err := readTags(f, tags); err != nil {
		return Recording{}, readError(f.path, err)
	}
	for i := 1; i < len(tags); i++ {
		if tags[i] < tags[i-1] {
			r.Info.Violations++
		}
	}
	if r.Info.Violations > 0 {
		slices.Sort(tags)
	}
	r.First = tags[0]
	r.Channels[binChannel] = tags
	r.Info.Channels = []ChannelInfo{{Channel: binChannel, Tags: uint64(len(tags)), First: tags[0], Last: tags[len(tags)-1]}}
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
	if err := checkBinSize(f); err != nil {
		return nil, err
	}
	return &binSource{f: f, r: bufio.NewReaderSize(f, binBuffer)}, nil
}

func (s *binSource) next() (int, uint64, error) {
	if s.at == len(s.buf) {
		if s.buf == nil {
			s.buf = make([]uint64, binBuffer/tag.Size)
		}
		n, err := readTags(s.r, s.buf[:cap(s.buf)])
		if n == 0 {
			if err != io.EOF {
				err = readError(s.f.path, err)
			}
			return 0, 0, err
		}
		s.buf, s.at = s.buf[:n], 0
	}
	t := s.buf[s.at]
	s.at++
	s.read++
	return binChannel, t, nil
}

func (s *binSource) place() string   { return fmt.Sprintf("tag %d", s.read-1) }
func (s *binSource) skipped() uint64 { return 0 }
