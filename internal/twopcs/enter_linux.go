package twopcs

import (
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// Within calls f in the PC's network: sockets that it opens stay there. f must not
// leave its goroutine.
func (pc PC) Within(t testing.TB, f func()) {
	t.Helper()
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlock: the thread ends with its namespace
		there, err := os.Open("/run/netns/" + pc.Namespace)
		if err == nil {
			defer there.Close()
			if err = unix.Setns(int(there.Fd()), unix.CLONE_NEWNET); err == nil {
				f()
			}
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Fatalf("enter %s: %v", pc.Namespace, err)
	}
}
