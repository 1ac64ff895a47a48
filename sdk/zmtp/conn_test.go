package zmtp

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

const wait = 40 * time.Second // longer than any test needs, so that speed decides nothing

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

func TestLargeFrameIsReadInPieces(t *testing.T) {
	push, pull := pair(t, "unix", zmq4.Pair, zmq4.Pair)
	want := bytes.Repeat([]byte("0123456789"), 100_000)
	go func() { push.Send(wait, []byte("head"), want, nil) }()
	if _, more, err := pull.ReadFrame(make([]byte, 4)); err != nil || !more {
		t.Fatal(more, err)
	}
	size, more, err := pull.NextFrame()
	if err != nil || size != uint64(len(want)) || !more {
		t.Fatal(size, more, err)
	}
	if _, _, err := pull.NextFrame(); err == nil {
		t.Fatal("skipped an unread frame")
	}
	var got bytes.Buffer
	if _, err := io.CopyBuffer(struct{ io.Writer }{&got}, pull, make([]byte, 70_001)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Fatalf("%d bytes differ", got.Len())
	}
	if frame, more, err := pull.ReadFrame(nil); err != nil || more || len(frame) != 0 {
		t.Fatal(frame, more, err)
	}
}

func TestFrameTooLargeForTheBufferCloses(t *testing.T) {
	push, pull := pair(t, "unix", zmq4.Push, zmq4.Pull)
	if err := push.Send(wait, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := pull.ReadFrame(make([]byte, 99)); !errors.Is(err, ErrFrameTooLarge) {
		t.Fatal(err)
	}
	if err := pull.Send(wait, []byte("x")); err == nil {
		t.Fatal("still open")
	}
}

func TestSendToStalledPeerEnds(t *testing.T) {
	push, _ := pair(t, "unix", zmq4.Push, zmq4.Pull)
	block := make([]byte, 1<<20)
	var err error
	for err == nil { // until the kernel's buffers are full
		err = push.Send(50*time.Millisecond, block)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatal(err)
	}
	if err := push.Send(wait, nil); !errors.Is(err, net.ErrClosed) {
		t.Fatalf("after a message that was cut short: %v", err)
	}
	if err := push.Send(wait); err == nil {
		t.Fatal("sent a message without frames")
	}
}

func TestCutInsideAFrameIsNoEnd(t *testing.T) {
	for _, said := range []string{"\x00", "\x02\x00\x00", "\x00\x05abc", "\x04\x05\x04PI"} {
		c, err := open(t.Context(), script(append(hello("PUSH"), said...)), zmq4.Pull, true, Options{MaxFrame: DefaultMaxFrame})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadFrame(make([]byte, 8)); err != io.ErrUnexpectedEOF {
			t.Errorf("%q: %v", said, err)
		}
	}
}

func TestPingIsAnswered(t *testing.T) {
	said := "\x04\x0a\x04PING\x00\x01ctx" + "\x04\x04\x03FOO" + "\x00\x02ok"
	nc := script(append(hello("PUSH"), said...))
	c, err := open(t.Context(), nc, zmq4.Pull, true, Options{MaxFrame: DefaultMaxFrame})
	if err != nil {
		t.Fatal(err)
	}
	nc.out.Reset()
	frame, _, err := c.ReadFrame(make([]byte, 8))
	if err != nil || string(frame) != "ok" {
		t.Fatalf("%q, %v", frame, err)
	}
	if got := nc.out.String(); got != "\x04\x08\x04PONGctx" {
		t.Fatalf("answered %q", got)
	}
}

func TestSendersDoNotMixMessages(t *testing.T) {
	push, pull := pair(t, "tcp", zmq4.Push, zmq4.Pull)
	const senders, each = 4, 200
	var sending sync.WaitGroup
	for s := range senders {
		sending.Go(func() {
			for i := range each {
				body := bytes.Repeat([]byte{byte(s)}, 1000+i)
				if err := push.Send(wait, body[:1], body); err != nil {
					t.Error(err)
				}
			}
		})
	}
	buf := make([]byte, 4096)
	for range senders * each {
		head, more, err := pull.ReadFrame(buf[:1])
		if err != nil || !more {
			t.Fatal(more, err)
		}
		body, more, err := pull.ReadFrame(buf[1:])
		if err != nil || more || bytes.Count(body, head) != len(body) {
			t.Fatalf("mixed: %v, %v", more, err)
		}
	}
	sending.Wait()
}

func TestNothingIsAllocatedPerMessage(t *testing.T) {
	push, pull := pair(t, "unix", zmq4.Push, zmq4.Pull)
	head, body, buf := make([]byte, 96), make([]byte, 64<<10), make([]byte, 64<<10)
	got := testing.AllocsPerRun(100, func() {
		if err := push.Send(wait, head, body); err != nil { // fits into the socket's buffer
			t.Fatal(err)
		}
		for range 2 {
			if _, _, err := pull.ReadFrame(buf); err != nil {
				t.Fatal(err)
			}
		}
	})
	if got != 0 {
		t.Fatalf("%.1f allocations per message", got)
	}
}
