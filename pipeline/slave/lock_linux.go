package slave

import (
	"os"

	"golang.org/x/sys/unix"
)

// lock locks a file, unless another process has locked it.
func lock(f *os.File) error { return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

// openLock opens a file that anybody may have put there: it follows no link and
// waits for nobody.
func openLock(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}
