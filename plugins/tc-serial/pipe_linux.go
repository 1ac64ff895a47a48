package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// widen lets a pipe keep as much as any user may ask for while nobody reads, and returns a
// function that says whether it holds so much that who writes may be kept waiting: of a full
// one not all pages are full.
func widen(pipe *os.File) (full func() bool) {
	const wanted, least = 1 << 20, 64 << 10
	keeps := least
	raw, err := pipe.SyscallConn()
	if err != nil {
		return func() bool { return false }
	}
	_ = raw.Control(func(fd uintptr) { // nobody has closed it yet
		if n, err := unix.FcntlInt(fd, unix.F_SETPIPE_SZ, wanted); err == nil {
			keeps = n
		}
	})
	return func() (full bool) {
		_ = raw.Control(func(fd uintptr) { // of one that is closed nothing is full
			n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
			full = err == nil && n >= keeps/2
		})
		return full
	}
}
