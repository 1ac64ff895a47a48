//go:build !linux

package wire

import (
	"context"
	"errors"
	"net"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/sdk/instrument"
)

// listen hears datagrams until ctx ends.
func (s *FastSubscriber) listen(ctx context.Context) error {
	var b [datagramSize + 1]byte
	for {
		n, err := s.conn.Read(b[:])
		at := time.Now()
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil: // nobody listens there now
			instrument.Pause(ctx, time.Millisecond)
		default:
			s.take(b[:n], at, fact.ByUDP)
		}
	}
}
