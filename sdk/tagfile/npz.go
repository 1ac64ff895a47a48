package tagfile

import (
	"archive/zip"
	"errors"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"unicode"
)

const (
	zipMagic = "PK\x03\x04"
	// maxNPZArrays bounds what is open at a time, each with a buffer.
	maxNPZArrays = 128
	npySuffix    = ".npy"
	// npzAbout is the array that says where the tags are from.
	npzAbout = "meta"
)

// A file of numpy.savez is a zip archive with a file of numpy for each array. Each
// array holds the times of a channel, and is in order by itself, so that they are
// merged by time.
type npzSource struct {
	factBook
	arrays  []*npzArray
	current *npzArray
	started bool
}

// npzArray is one array and its next tag.
type npzArray struct {
	*npySource
	name    string
	number  int // of the channel, where its rows have none
	channel int
	t       uint64
	ended   bool
}

func openNPZ(f *file) (source, error) {
	members, err := f.npzMembers()
	if err != nil {
		return nil, err
	}
	if len(members) == 0 {
		return nil, f.errorf("it is a zip archive in which there is no array of numpy (NAME.npy)")
	}
	s := &npzSource{}
	var others []string
	for _, m := range members {
		name := strings.TrimSuffix(m.Name, npySuffix)
		array, err := f.npzArray(m)
		var damaged *damageError
		switch {
		case err == nil && len(s.arrays) == maxNPZArrays:
			return nil, f.errorf("it has more than %d arrays, as many as are read; save fewer in one file", maxNPZArrays)
		case err == nil:
			s.arrays = append(s.arrays, &npzArray{npySource: array, name: name})
		case errors.As(err, &damaged) || errors.Is(err, zip.ErrFormat) || errors.Is(err, errPackedNPZ):
			return nil, err
		case name != npzAbout && len(others) < 8:
			others = append(others, err.Error())
		}
	}
	if len(s.arrays) == 0 && len(others) > 0 {
		return nil, f.errorf("none of its arrays holds tags: %s", strings.Join(others, "; "))
	}
	for _, why := range others {
		s.remark("an array is passed over: %s", why)
	}
	s.number()
	return s, nil
}

// npzMembers are the arrays of an archive. They lie beside each other, so that
// together they are no longer than the file.
func (f *file) npzMembers() ([]*zip.File, error) {
	z, err := zip.NewReader(f.SectionReader, f.Size())
	if err != nil {
		return nil, f.damagef(0, "it is no whole zip archive, as numpy.savez writes one: %v; the file is cut off, or another", err)
	}
	var members []*zip.File
	left := uint64(f.Size())
	for _, m := range z.File {
		if !strings.HasSuffix(m.Name, npySuffix) {
			continue
		}
		if m.CompressedSize64 > left {
			return nil, f.errorf("its arrays would be longer than the file, %d bytes; the archive is damaged", f.Size())
		}
		left -= m.CompressedSize64
		members = append(members, m)
	}
	return members, nil
}

var errPackedNPZ = errors.New("it is compressed; write it with numpy.savez, not savez_compressed, or unpack it first")

// npzArray opens one array of an archive.
func (f *file) npzArray(m *zip.File) (*npySource, error) {
	of := *f
	of.path = f.path + ": array " + strconv.Quote(clipped(strings.TrimSuffix(m.Name, npySuffix)))
	if m.Method != zip.Store || m.Flags&1 != 0 || m.CompressedSize64 != m.UncompressedSize64 {
		return nil, readError(of.path, errPackedNPZ)
	}
	at, err := m.DataOffset()
	if err != nil {
		return nil, readError(of.path, err)
	}
	size := int64(m.UncompressedSize64) // at most that of the file
	if at < 0 || at > f.Size()-size {
		return nil, of.damagef(0, "it goes beyond the end of the file; the archive is damaged")
	}
	proven := &summed{in: io.NewSectionReader(f.SectionReader, at, size), size: size, want: m.CRC32}
	of.SectionReader = io.NewSectionReader(proven, 0, size)
	src, err := openNPY(&of)
	if err != nil {
		return nil, err
	}
	return src.(*npySource), nil
}

// clipped is the beginning of a name that may be anything.
func clipped(name string) string {
	const most = 40
	return strings.ToValidUTF8(name[:min(len(name), most)], "")
}

// summed checks the sum of what is read from the beginning to the end, whichever
// pieces of it are read again.
type summed struct {
	in   io.ReaderAt
	size int64
	done int64
	sum  uint32
	want uint32
}

func (s *summed) ReadAt(b []byte, at int64) (int, error) {
	n, err := s.in.ReadAt(b, at)
	if end := at + int64(n); at <= s.done && end > s.done {
		s.sum = crc32.Update(s.sum, crc32.IEEETable, b[s.done-at:n])
		s.done = end
		if s.done == s.size && s.sum != s.want {
			return 0, errors.New("its checksum is wrong; the file was changed or damaged")
		}
	}
	return n, err
}

// number gives each array the number of its channel: those that the names end in,
// as in channel_7, where they are all different, else their places, from 1.
func (s *npzSource) number() {
	seen := map[int]bool{}
	for _, a := range s.arrays {
		digits := a.name[len(strings.TrimRightFunc(a.name, unicode.IsDigit)):]
		if rest, minus := strings.CutSuffix(a.name[:len(a.name)-len(digits)], "_-"); minus && rest == "channel" {
			digits = "-" + digits
		}
		n, err := strconv.ParseInt(digits, 10, 32)
		if err != nil || n == OnlyChannel || seen[int(n)] {
			s.count()
			return
		}
		a.number, seen[int(n)] = int(n), true
	}
}

// count numbers the arrays by their places.
func (s *npzSource) count() {
	for i, a := range s.arrays {
		a.number = i + 1
		if a.layout.channel.width == 0 {
			s.remark("array %q is channel %d", clipped(a.name), a.number)
		}
	}
}

// advance takes the next tag of the array.
func (a *npzArray) advance() error {
	channel, t, err := a.npySource.next()
	if err == io.EOF {
		a.ended = true
		return nil
	}
	if a.layout.channel.width == 0 {
		channel = a.number
	}
	a.channel, a.t = channel, t
	return err
}

func (s *npzSource) next() (int, uint64, error) {
	if !s.started {
		s.started = true
		for _, a := range s.arrays {
			if err := a.advance(); err != nil {
				return 0, 0, err
			}
		}
	} else if s.current != nil {
		if err := s.current.advance(); err != nil {
			return 0, 0, err
		}
	}
	s.current = nil
	for _, a := range s.arrays {
		if !a.ended && (s.current == nil || a.t < s.current.t) {
			s.current = a
		}
	}
	if s.current == nil {
		return 0, 0, io.EOF
	}
	return s.current.channel, s.current.t, nil
}

func (s *npzSource) place() string {
	if s.current == nil {
		return "its beginning"
	}
	return s.current.place() + " of array " + strconv.Quote(clipped(s.current.name))
}

func (s *npzSource) facts() []Fact {
	all := s.known
	for _, a := range s.arrays {
		all = append(all, a.facts()...)
	}
	return all
}

func (s *npzSource) whole() (records uint64, bytes int64) {
	for _, a := range s.arrays {
		n, size := a.whole()
		records, bytes = records+n, bytes+size
	}
	return records, bytes
}
