package run

import (
	"bufio"
	"errors"
	"io"
	"os"
	"path/filepath"
)

// Atomically writes beside a file, makes the bytes durable, and only then gives
// them its name: a reader and a crash find the old file or the whole new one.
func Atomically(path string, write func(io.Writer) error) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.tmp")
	if err != nil {
		return err
	}
	buffer := bufio.NewWriterSize(file, 256<<10)
	if err = write(buffer); err == nil {
		err = buffer.Flush()
	}
	if err == nil {
		err = errors.Join(file.Chmod(0o644), file.Sync())
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return SyncDir(filepath.Dir(path))
}

// WriteAtomic replaces a file by data and makes it durable: a reader and a
// crash find the old file or the whole new one.
func WriteAtomic(path string, data []byte) error {
	return Atomically(path, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}
