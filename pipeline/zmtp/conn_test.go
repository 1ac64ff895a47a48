package zmtp

import (
	"bytes"
	"context"
	"io"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

const wait = 10 * time.Second // longer than any test needs, so that speed decides nothing

// pair returns two ends of one connection.
func pair(t testing.TB, network string, dialType, listenType zmq4.SocketType) (dialed, accepted *Conn) {
	t.Helper()
	addr := "127.0.0.1:0"
	if network == "unix" {
		addr = t.TempDir() + "/s"
	}
	l, err := Listen(network, addr, listenType, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	dialed, err = Dial(ctx, network, l.Addr().String(), dialType)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err = l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dialed.Close(); accepted.Close() })
	return dialed, accepted
}

func TestMessageArrivesFrameByFrame(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		push, pull := pair(t, network, zmq4.Push, zmq4.Pull)
		if push.PeerType() != "PULL" || pull.PeerType() != "PUSH" {
			t.Fatalf("peer types %s and %s", push.PeerType(), pull.PeerType())
		}
		frames := [][]byte{{}, []byte("head"), bytes.Repeat([]byte{7}, 255), bytes.Repeat([]byte{8}, 256), bytes.Repeat([]byte{9}, 1<<20)}
		sent := make(chan error, 1)
		go func() { sent <- push.Send(wait, frames...); push.Close() }()
		buf := make([]byte, 1<<20)
		for i, want := range frames {
			got, more, err := pull.ReadFrame(buf)
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) || more != (i < len(frames)-1) {
				t.Fatalf("frame %d: %d bytes, more %v", i, len(got), more)
			}
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		if _, _, err := pull.ReadFrame(buf); err != io.EOF {
			t.Fatalf("after the peer left: %v", err)
		}
	}
}
