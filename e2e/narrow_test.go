package e2e

import (
	"bytes"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/internal/twopcs"
	"tsrun/sdk/zmtp"
)

// TestLongPacketsVanish: over a way on which long packets vanish and nobody is told, a
// long message arrives all the same, over one of the next connections.
func TestLongPacketsVanish(t *testing.T) {
	t.Parallel()
	here, there, address, c := twoHostsApart(t)
	c.set(harm{mtu: 1280})
	var l *zmtp.Listener
	if err := twopcs.Enter(here.File(), func() (err error) {
		l, err = zmtp.Listen("tcp", address+":7000", zmq4.Rep, zmtp.Options{})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go l.Serve(t.Context(), func(c *zmtp.Conn) { // an echo; it ends with l
		buf := make([]byte, 64<<10)
		for {
			frame, _, err := c.ReadFrame(buf)
			if err != nil || c.Send(time.Minute, frame) != nil {
				return
			}
		}
	})
	message := bytes.Repeat([]byte("long "), 4000)
	tries := 0
	eventually(t, time.Minute, "a long message is echoed", func() bool {
		tries++
		var conn *zmtp.Conn
		if err := twopcs.Enter(there.File(), func() (err error) {
			conn, err = zmtp.Dial(t.Context(), "tcp", address+":7000", zmq4.Req)
			return err
		}); err != nil {
			return false
		}
		defer conn.Close()
		// Time enough for the kernel to repeat a packet more than once; with each try more.
		if conn.SetReadDeadline(time.Now().Add(time.Duration(tries)*time.Second)) != nil || conn.Send(time.Minute, message) != nil {
			return false
		}
		frame, _, err := conn.ReadFrame(make([]byte, 64<<10))
		return err == nil && bytes.Equal(frame, message)
	})
	if tries < 2 {
		t.Error("the first connection carried it: no packet was long")
	}
}
