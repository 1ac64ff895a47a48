package pty

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Open makes a line. It is raw, as that of a device: nothing is echoed.
func Open() (*Line, error) {
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open a pseudo terminal: %w", err)
	}
	l := &Line{master: os.NewFile(uintptr(fd), "ptmx")}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0)
	}
	l.path = fmt.Sprintf("/dev/pts/%d", number)
	if err == nil {
		err = makeRaw(l.path)
	}
	if err != nil {
		l.Close()
		return nil, fmt.Errorf("set up the pseudo terminal: %w", err)
	}
	return l, nil
}

// writeNow writes what the line takes without waiting.
func (l *Line) writeNow(b []byte) (n int, err error) {
	raw, err := l.master.SyscallConn()
	if err != nil {
		return 0, err
	}
	var failed error
	err = raw.Write(func(fd uintptr) bool {
		for n < len(b) && failed == nil {
			var took int
			took, failed = unix.Write(int(fd), b[n:])
			n += max(took, 0)
			if failed == unix.EINTR {
				failed = nil
			}
		}
		return true
	})
	if failed != unix.EAGAIN {
		err = errors.Join(err, failed)
	}
	return n, err
}

// makeRaw sets the program's end and closes it again: only then the device is
// told when nobody has it open.
func makeRaw(path string) error {
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	t, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	t.Iflag &^= unix.IGNBRK | unix.BRKINT | unix.PARMRK | unix.ISTRIP | unix.INLCR | unix.IGNCR | unix.ICRNL | unix.IXON
	t.Oflag &^= unix.OPOST
	t.Lflag &^= unix.ECHO | unix.ECHONL | unix.ICANON | unix.ISIG | unix.IEXTEN
	t.Cflag = t.Cflag&^(unix.CSIZE|unix.PARENB) | unix.CS8
	t.Cc[unix.VMIN], t.Cc[unix.VTIME] = 1, 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, t)
}
