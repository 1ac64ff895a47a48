package journal

import (
	"fmt"
	"io"
	"os"
)

// Tail reads a journal that another process may be writing, each record once.
type Tail struct {
	number uint64 // records that were read
	size   int64  // bytes that they take, with the magic
}

// Records counts those that were read.
func (t *Tail) Records() uint64 { return t.number }

// Read gives apply each record that has become whole since it was called last. A record
// for which apply has an error comes again.
func (t *Tail) Read(path string, apply func(record []byte) error) error {
	file, err := openRegular(path, os.O_RDONLY)
	if err != nil {
		return fmt.Errorf("read journal %s: %w", path, err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err == nil && info.Size() < max(t.size, int64(len(magic))) {
		return nil // it has just been made
	}
	if err == nil {
		_, err = file.Seek(t.size, io.SeekStart)
	}
	if err == nil {
		t.number, t.size, err = replay(file, t.number, t.size, apply)
	}
	if err != nil {
		return fmt.Errorf("read journal %s: %w", path, err)
	}
	return nil
}
