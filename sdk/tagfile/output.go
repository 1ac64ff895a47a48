package tagfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// output is a file that gets its name when it is whole. Until then it lies
// beside it as .NAME.part; what a failure leaves is removed.
type output struct {
	path    string
	file    *os.File
	size    int64
	replace bool
	to      io.Writer // what takes the file instead of a name, when there is one
}

// create begins a file. Unless it may replace one, there must be none yet.
func create(path string, replace bool) (*output, error) {
	o := &output{path: path, replace: replace}
	if err := o.free(); err != nil {
		return nil, err
	}
	part := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".part")
	f, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("write %s: %s is in the way: another program is writing this file, or one was killed; remove it if none is", path, part)
	}
	if err != nil {
		return nil, o.failed(err)
	}
	o.file = f
	return o, nil
}

// createSpool begins a file without a name, whose bytes to takes when it is whole.
func createSpool(name string, to io.Writer) (*output, error) {
	o := &output{path: name, to: to}
	f, err := spool("tsrun-output-*")
	if err != nil {
		return nil, o.failed(err)
	}
	o.file = f
	return o, nil
}

// spool opens a temporary file that is gone when it is closed.
func spool(pattern string) (*os.File, error) {
	f, err := os.CreateTemp("", pattern)
	if err != nil {
		return nil, err
	}
	return f, os.Remove(f.Name())
}

// free says whether the name may be taken.
func (o *output) free() error {
	st, err := os.Lstat(o.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return o.failed(err)
	case !st.Mode().IsRegular():
		return fmt.Errorf("write %s: it is %s, not a regular file, and is left as it is; write a file, or %s for standard output", o.path, kindOf(st.Mode()), StandardInput)
	case !o.replace:
		return fmt.Errorf("write %s: %w; nothing there was changed; --force replaces it", o.path, fs.ErrExist)
	}
	return nil
}

// kindOf names what is no regular file.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "a socket or the like"
}

func (o *output) failed(err error) error {
	var named *os.PathError
	if errors.As(err, &named) {
		err = named.Err
	}
	return fmt.Errorf("write %s: %w", o.path, err)
}

func (o *output) Write(b []byte) (int, error) {
	n, err := o.file.Write(b)
	o.size += int64(n)
	if err != nil {
		return n, o.failed(err)
	}
	return n, nil
}

// patch replaces the beginning of the file.
func (o *output) patch(heading []byte) error {
	if len(heading) == 0 {
		return nil
	}
	if _, err := o.file.WriteAt(heading, 0); err != nil {
		return o.failed(err)
	}
	return nil
}

// close makes the file durable and gives it its name. When err tells of an
// earlier failure, or anything fails, no file is left.
func (o *output) close(err error) error {
	if o.to != nil {
		return o.pass(err)
	}
	if err == nil {
		if err = o.file.Sync(); err != nil {
			err = o.failed(err)
		}
	}
	if closing := o.file.Close(); err == nil && closing != nil {
		err = o.failed(closing)
	}
	if err == nil {
		err = o.free()
	}
	if err == nil {
		if err = os.Rename(o.file.Name(), o.path); err != nil {
			err = o.failed(err)
		}
	}
	if err != nil {
		return errors.Join(err, os.Remove(o.file.Name()))
	}
	return nil
}

// pass gives the bytes of a spooled file to who takes them, and closes it.
func (o *output) pass(err error) error {
	if err == nil {
		_, err = o.file.Seek(0, io.SeekStart)
	}
	if err == nil {
		_, err = io.Copy(o.to, o.file)
	}
	if err != nil {
		err = fmt.Errorf("write %s: %w", o.path, err)
	}
	return errors.Join(err, o.file.Close())
}
