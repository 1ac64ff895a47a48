package journal

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// lock keeps other processes from a file as long as this one has it open. A file
// system that has no locks keeps nobody away.
func lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return ErrLocked
	case errors.Is(err, unix.ENOTSUP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ENOLCK):
		return nil
	}
	return err
}
