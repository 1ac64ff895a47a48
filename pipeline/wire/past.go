package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/xdp"
)

// lookUp is how often the wait for a datagram is interrupted to see whether it is over.
const lookUp = 100 * time.Millisecond

// GoPast has the master's datagrams come past the kernel's network, to RunPast, which is
// called then. What does not come that way comes to Run. Its error is an [xdp.Refusal].
func (s *FastSubscriber) GoPast() (err error) {
	// The socket is connected, so that both of its addresses are known.
	local, remote := s.conn.LocalAddr().(*net.UDPAddr), s.conn.RemoteAddr().(*net.UDPAddr)
	s.past, err = xdp.Listen(local.AddrPort(), remote.AddrPort())
	return err
}

// RunPast hears orders past the kernel's network until ctx ends. Where it ends before that
// with an error, datagrams go their usual way again, to Run.
func (s *FastSubscriber) RunPast(ctx context.Context) error {
	defer s.past.Close()
	runtime.LockOSThread() // it waits in the kernel itself
	defer runtime.UnlockOSThread()
	for ctx.Err() == nil {
		err := s.past.Receive(lookUp, func(b []byte) { s.take(b, time.Now(), fact.ByXDP) })
		if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("listen past the kernel's network: %w", err)
		}
	}
	return nil
}
