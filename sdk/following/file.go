package following

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
)

// File is a file of a run that is written again, under a name that begins with a dot
// until it is whole and has the SHA-256 of the first.
type File struct {
	Sum
	file *os.File
	name string
}

// Sum is the SHA-256 of what is written to it.
type Sum struct{ hash hash.Hash }

// NewSum is the sum of nothing yet.
func NewSum() Sum { return Sum{sha256.New()} }

// Write adds bytes.
func (s Sum) Write(b []byte) (int, error) { return s.hash.Write(b) }

// Hex is the sum of what was written.
func (s Sum) Hex() string { return hex.EncodeToString(s.hash.Sum(nil)) }

// Create makes a file, and the directory that it is in. One that is there stays.
func Create(path string) (*File, error) {
	dir, base := filepath.Split(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(path); err == nil {
		return nil, fmt.Errorf("%s is there already; give --out a new directory", path)
	}
	file, err := os.Create(filepath.Join(dir, "."+base+".part"))
	if err != nil {
		return nil, err
	}
	return &File{Sum: NewSum(), file: file, name: path}, nil
}

// Write appends bytes.
func (f *File) Write(b []byte) (int, error) {
	n, err := f.file.Write(b)
	f.hash.Write(b[:n])
	return n, err
}

// Close gives the file its name if its SHA-256 is the one that is wanted; else there is none.
func (f *File) Close(want string) (err error) {
	if got := f.Hex(); got != want {
		err = fmt.Errorf("write %s again: its SHA-256 is %s, that of the run's file %s", f.name, got, want)
	}
	if err == nil {
		err = f.file.Sync()
	}
	if err = errors.Join(err, f.file.Close()); err != nil {
		return errors.Join(err, os.Remove(f.file.Name()))
	}
	return os.Rename(f.file.Name(), f.name)
}

// Abandon removes what is not whole.
func (f *File) Abandon() {
	_ = f.file.Close() // it is removed
	_ = os.Remove(f.file.Name())
}
