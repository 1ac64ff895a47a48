package clock

import (
	"context"
	"io"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// script is a timer whose reads end as it says.
type script []error

func (s *script) Read(b []byte) (int, error) {
	if len(*s) == 0 {
		return 0, io.EOF
	}
	err := (*s)[0]
	*s = (*s)[1:]
	return len(b), err
}

func TestATimerThatIsCancelledSaysSo(t *testing.T) {
	times := 0
	listenTo(&script{unix.ECANCELED, nil, unix.ECANCELED}, func() { times++ })
	if times != 2 {
		t.Errorf("told %d times, want 2", times)
	}
}

// TestTheTimerOfTheKernel: this one is never cancelled here, because tests do not set the
// clock of the PC that they run on.
func TestTheTimerOfTheKernel(t *testing.T) {
	timer, err := newSetTimer()
	if err != nil {
		t.Fatal(err)
	}
	var b [8]byte
	if err := timer.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatalf("it cannot be waited for: %v", err)
	}
	if n, err := timer.Read(b[:]); n != 0 || err == nil {
		t.Errorf("a timer for a moment in a century gave %d bytes, %v", n, err)
	}
	timer.Close()

	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		listen(ctx, func() {})
	}()
	cancel()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("it is still read")
	}
}
