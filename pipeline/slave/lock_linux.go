package slave

import (
	"os"

	"golang.org/x/sys/unix"
)

// openLock opens a file that anybody may have put there: it follows no link and
// waits for nobody.
func openLock(name string) (*os.File, error) {
	return os.OpenFile(name, os.O_RDWR|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
}
