package run

import (
	"bufio"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Atomically writes beside a file, makes the bytes durable, and only then gives
// them its name: a reader and a crash find the old file or the whole new one.
func Atomically(path string, write func(io.Writer) error) error {
	part := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+"."+rand.Text()[:10]+partSuffix)
	file, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) // the user's umask may take from that
	if named := new(fs.PathError); errors.As(err, &named) {
		named.Path = path // which is what is known, and what cannot be written
	}
	if err != nil {
		return err
	}
	buffer := bufio.NewWriterSize(file, 256<<10)
	if err = write(buffer); err == nil {
		err = buffer.Flush()
	}
	if err == nil {
		err = file.Sync()
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(part, path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(part))
	}
	return SyncDir(filepath.Dir(path))
}

// sweep removes from a directory what a process that was killed had not yet given
// its name. What cannot be removed stays, and harms nothing.
func sweep(dir string) {
	files, _ := os.ReadDir(dir)
	for _, f := range files {
		if name := f.Name(); f.Type().IsRegular() && strings.HasPrefix(name, ".") && strings.HasSuffix(name, partSuffix) {
			_ = os.Remove(filepath.Join(dir, name))
		}
	}
}

// partSuffix ends the names of files that are not whole.
const partSuffix = ".tmp"

// WriteAtomic replaces a file by data and makes it durable: a reader and a
// crash find the old file or the whole new one.
func WriteAtomic(path string, data []byte) error {
	return Atomically(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
