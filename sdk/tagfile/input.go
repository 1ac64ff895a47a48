package tagfile

import (
	"fmt"
	"io"
	"os"
	"sync"
)

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
	f, err := spool("tsrun-input-*")
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
