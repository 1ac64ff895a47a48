package segments

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"tsrun/sdk"
)

// place is the directory of a recording. It is kept open to make renames durable, and
// to be known again: files are named by its path, and another directory may stand there.
type place struct{ *os.File }

func openPlace(path string) (*place, error) {
	dir, err := os.Open(path)
	return &place{dir}, err
}

// errReplaced is what becomes of a directory that somebody moves, or restores from a
// copy, while it is recorded to. What a sink that is confined may write follows the
// directory and not its path, so the system says of it that there is no permission.
var errReplaced = errors.New("another directory is at this path than the one that the recording began in")

// replaced returns errReplaced where that has happened.
func (p *place) replaced() error {
	was, err := p.Stat()
	is, other := os.Stat(p.Name())
	if err != nil || other != nil || os.SameFile(was, is) {
		return nil // where it is gone altogether, the system says so
	}
	return fmt.Errorf("%s: %w", p.Name(), errReplaced)
}

// failure says what to do about an error of the disk that holds the place.
func (p *place) failure(err error) error {
	if replaced := p.replaced(); replaced != nil && !errors.Is(err, errReplaced) {
		err = fmt.Errorf("%w; %w", replaced, err)
	}
	return failure(p.Name(), err)
}

// failure says what to do about an error of the disk that holds dir.
func failure(dir string, err error) error {
	switch {
	case errors.Is(err, errReplaced):
		return &sdk.Failure{Code: "directory-replaced", Message: err.Error(),
			Hint: "leave the directories of --runs and --data where they are while tags are recorded; what was recorded is in the one that was moved away"}
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return &sdk.Failure{Code: "disk-full",
			Message: fmt.Sprintf("%v (%s)", err, space(dir)),
			Hint:    "free some space or record to another disk; segments that were closed are whole, the last one stays as a .part file"}
	case errors.Is(err, syscall.EFBIG):
		return &sdk.Failure{Code: "file-too-large", Message: err.Error(),
			Hint: "make acquire.segment shorter, or let files be longer (ulimit -f, or another file system); segments that were closed are whole"}
	case errors.Is(err, fs.ErrNotExist):
		return &sdk.Failure{Code: "write-failed", Message: err.Error(),
			Hint: "the directory was removed, or its disk unmounted, while tags were recorded there; files that the master has are whole"}
	case errors.Is(err, fs.ErrExist):
		return &sdk.Failure{Code: "file-exists", Message: err.Error(),
			Hint: "record to a new directory; nothing there was changed"}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &sdk.Failure{Code: "not-writable", Message: err.Error(),
			Hint: "record to a directory that this user may write to"}
	}
	return &sdk.Failure{Code: "write-failed", Message: err.Error(),
		Hint: "look at the disk and at the kernel's log; segments that were closed are whole"}
}
