package need

import (
	"errors"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Networks needs to make networks of its own and to set them up, which root of a
// container may often not.
func Networks(t testing.TB) {
	t.Helper()
	Root(t)
	if err := tryNetwork(); err != nil {
		missing(t, "needs to make network namespaces, which this root may not ("+err.Error()+"); run outside the container, or in one with CAP_SYS_ADMIN and CAP_NET_ADMIN")
	}
}

// tryNetwork makes a network as ip does, with the loopback up in it; it is gone with its thread.
func tryNetwork() error {
	tried := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends with this goroutine
		tried <- func() error {
			if err := unix.Unshare(unix.CLONE_NEWNET | unix.CLONE_NEWNS); err != nil {
				return errors.New("unshare: " + err.Error())
			}
			if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, ""); err != nil {
				return errors.New("mount: " + err.Error())
			}
			s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return errors.New("socket: " + err.Error())
			}
			defer unix.Close(s)
			lo, err := unix.NewIfreq("lo")
			if err == nil {
				lo.SetUint16(unix.IFF_UP)
				err = unix.IoctlIfreq(s, unix.SIOCSIFFLAGS, lo)
			}
			if err != nil {
				return errors.New("set lo up: " + err.Error())
			}
			return nil
		}()
	}()
	return <-tried
}
