package main

import (
	"os"

	"golang.org/x/sys/unix"
)

// singleKeys has the terminal give each key at once and unseen, where this process may
// read it; restore undoes that. A terminal of which this process has the background
// would stop it.
func singleKeys() (restore func()) {
	fd := int(os.Stdin.Fd())
	before, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return func() {}
	}
	if front, err := unix.IoctlGetInt(fd, unix.TIOCGPGRP); err != nil || front != unix.Getpgrp() {
		os.Stdin.Close()
		return func() {}
	}
	single := *before
	single.Lflag &^= unix.ICANON | unix.ECHO
	single.Cc[unix.VMIN], single.Cc[unix.VTIME] = 1, 0
	if unix.IoctlSetTermios(fd, unix.TCSETS, &single) != nil {
		return func() {}
	}
	return func() { _ = unix.IoctlSetTermios(fd, unix.TCSETS, before) } // the terminal may be gone
}
