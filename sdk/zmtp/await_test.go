package zmtp

import (
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

// A wait in the kernel is over when there is something to read, also what came before it
// and was read ahead, when the peer leaves, and when its time has come.
func TestAwaitInKernel(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		push, pull := pair(t, network, zmq4.Push, zmq4.Pull)
		buf := make([]byte, 16)
		before := time.Now()
		pull.AwaitInKernel(before.Add(20 * time.Millisecond)) // nothing comes
		pull.AwaitInKernel(before.Add(-time.Hour))
		sent := make(chan error, 1)
		go func() { sent <- push.Send(wait, []byte("a"), []byte("b")) }()
		for _, want := range "ab" { // of which the second is read ahead with the first
			pull.AwaitInKernel(time.Time{})
			if got, _, err := pull.ReadFrame(buf); err != nil || string(got) != string(want) {
				t.Fatalf("%s: %q, %v; want %c", network, got, err, want)
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		go push.Close()
		pull.AwaitInKernel(time.Time{})
		if _, _, err := pull.ReadFrame(buf); !errors.Is(err, io.EOF) {
			t.Errorf("%s: the peer has left: %v", network, err)
		}
	}
}

// Who waits in the kernel is woken by Close.
func TestCloseEndsAWaitInTheKernel(t *testing.T) {
	_, pull := pair(t, "tcp", zmq4.Push, zmq4.Pull)
	over := make(chan struct{})
	go func() {
		pull.AwaitInKernel(time.Time{})
		close(over)
	}()
	pull.Close()
	<-over
	pull.AwaitInKernel(time.Time{}) // of one that is closed already
	if _, _, err := pull.ReadFrame(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read of a closed connection: %v", err)
	}
}
