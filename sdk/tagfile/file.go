package tagfile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
)

// file is an open tag file. Only the bytes it had when it was opened are read.
type file struct {
	*io.SectionReader
	path   string
	closer io.Closer
	limits span
	// salvaging says that the file is damaged, and that what may be cut off is
	// rather left out.
	salvaging bool
	raise     uint64 // ps, added to every time: 0 or Raise
	markers   bool   // those of a PicoQuant file are wanted, as tags of channels
}

// span is the part of a file that is wanted: times from first to last, both
// included. Sources may use it to skip what lies outside; they need not.
type span struct{ first, last uint64 }

var everything = span{0, 1<<64 - 1}

// openFile opens a regular file, or for "-" standard input; anything else could
// block or never end.
func openFile(path string) (*file, error) {
	if path == StandardInput {
		return openStandardInput()
	}
	st, err := os.Stat(path)
	if err != nil {
		return nil, readError(path, err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: it is %s, not a regular file; name a file, or %s for what comes on standard input", path, KindOf(st.Mode()), StandardInput)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, readError(path, err)
	}
	return &file{SectionReader: io.NewSectionReader(f, 0, st.Size()), path: path, closer: f, limits: everything}, nil
}

func (f *file) Close() error { return f.closer.Close() }

func (f *file) errorf(format string, args ...any) error {
	return fmt.Errorf("read %s: "+format, append([]any{f.path}, args...)...)
}

// head returns up to n bytes from the beginning of the file.
func (f *file) head(n int64) ([]byte, error) {
	b := make([]byte, min(n, f.Size()))
	if _, err := f.ReadAt(b, 0); err != nil && err != io.EOF {
		return nil, readError(f.path, err)
	}
	return b, nil
}

// buffered reads f from where it is, so many bytes at once where it has them.
func (f *file) buffered(size int64) *bufio.Reader {
	const least = 4096
	return bufio.NewReaderSize(f, int(max(least, min(size, f.Size()))))
}

// readError says which file, once: the os package's errors name it already.
func readError(path string, err error) error {
	var named *os.PathError
	if errors.As(err, &named) {
		err = named.Err
	}
	return fmt.Errorf("read %s: %w", path, err)
}

// openAs opens a file and finds its format: by name when there is one, else by
// its suffix, and where that is unknown or common to several, by its content. A
// file that is plainly something else is refused, whatever its name.
func openAs(path, name string) (*file, Format, error) {
	return openBy(path, name, (*file).format)
}

func openBy(path, name string, format func(f *file, name string) (Format, error)) (*file, Format, error) {
	if _, known := find(name); name != "" && !known {
		return nil, Format{}, fmt.Errorf("read %s: %s", path, unknownFormat(name))
	}
	f, err := openFile(path)
	if err != nil {
		return nil, Format{}, err
	}
	ft, err := format(f, name)
	if err != nil {
		return nil, Format{}, errors.Join(err, f.Close())
	}
	return f, ft, nil
}

// formatOfSegment is the format of a file that a sink of a run has written: what
// its name says, whatever its tags look like.
func (f *file) formatOfSegment(name string) (Format, error) {
	if ft, known := find(name); known {
		return ft, nil
	}
	if of := bySuffix(strings.ToLower(filepath.Ext(f.path))); len(of) == 1 {
		return of[0], nil
	}
	return f.format(name)
}

func (f *file) format(name string) (ft Format, err error) {
	suffix := strings.ToLower(filepath.Ext(f.path))
	ft, known := find(name)
	of := bySuffix(suffix)
	if !known && len(of) > 0 {
		ft = of[0]
	}
	if err := f.foreignTo(ft, suffix); err != nil {
		return Format{}, err
	}
	switch {
	case known || len(of) == 1:
		return f.maybeIDQ(ft, known)
	case len(of) > 1:
		return f.sniffFifteen()
	}
	start, err := f.head(64)
	if err != nil {
		return Format{}, err
	}
	for _, ft := range registry() {
		if ft.begins(start) {
			return ft, nil
		}
	}
	if kind := foreignBySuffix(suffix); kind != nil {
		return Format{}, f.errorf("its name is that of %s, which is not read; %s", kind.is, kind.do)
	}
	return Format{}, f.errorf("%s; name it with %s: one of %s", untold(suffix), nameFormat, list(Formats()))
}

// bySuffix returns the formats that a suffix may mean.
func bySuffix(suffix string) []Format {
	var of []Format
	for _, ft := range registry() {
		if slices.Contains(ft.Suffixes, suffix) {
			of = append(of, ft)
		}
	}
	return of
}

// StandardInput is the path that stands for standard input.
const StandardInput = "-"

// maxSpooled bounds what is read of a standard input that is no file.
const maxSpooled = 64 << 30

// input is standard input as a file that can be read at any place, and again. A
// pipe is copied to a temporary file first, once for the whole process.
var input = sync.OnceValues(func() (*os.File, error) {
	st, err := os.Stdin.Stat()
	if err != nil || st.Mode().IsRegular() {
		return os.Stdin, err
	}
	f, err := spool("", "tsrun-input-*")
	if err != nil {
		return nil, err
	}
	n, err := io.Copy(f, io.LimitReader(os.Stdin, maxSpooled+1))
	if err == nil && n > maxSpooled {
		err = fmt.Errorf("it is longer than %d bytes", int64(maxSpooled))
	}
	return f, err
})

func openStandardInput() (*file, error) {
	const name = "standard input"
	f, err := input()
	if err != nil {
		return nil, readError(name, err)
	}
	st, err := f.Stat()
	if err != nil {
		return nil, readError(name, err)
	}
	return &file{SectionReader: io.NewSectionReader(f, 0, st.Size()), path: name, closer: io.NopCloser(nil), limits: everything}, nil
}
