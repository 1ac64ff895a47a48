package twopcs

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Enter calls f on a thread that is in a network, of a file that the system shows of it:
// sockets that it opens stay there. f must not leave its goroutine.
func Enter(file string, f func() error) error {
	ended := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends with this goroutine
		ns, err := os.Open(file)
		if err == nil {
			defer ns.Close()
			err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET)
		}
		if err == nil {
			err = f()
		}
		ended <- err
	}()
	return <-ended
}

// Within calls f in the PC's network, as Enter does.
func (pc PC) Within(t testing.TB, f func()) {
	t.Helper()
	if err := Enter(pc.File(), func() error { f(); return nil }); err != nil {
		t.Fatalf("enter %s: %v", pc.Namespace, err)
	}
}
