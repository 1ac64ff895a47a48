// Package replier is a device or a service that answers requests over ZeroMQ as
// a test tells it to.
package replier

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/zmtp"
)

// Replier is a REP socket that answers each request with what reply returns;
// nil means no answer.
type Replier struct {
	Addr    string
	Clients atomic.Int32 // connections so far
	Asked   atomic.Int32 // requests so far
}

// New starts a replier on a free port of loopback; it ends with the test.
func New(t testing.TB, reply func(n int, request string) [][]byte) *Replier {
	t.Helper()
	l, err := zmtp.Listen("tcp", "127.0.0.1:0", zmq4.Rep, zmtp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &Replier{Addr: l.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept(ctx)
			if err != nil {
				return
			}
			r.Clients.Add(1)
			r.serve(ctx, conn, reply)
		}
	}()
	t.Cleanup(func() {
		cancel()
		l.Close()
		<-done
	})
	return r
}

// serve serves one client until it leaves; a REQ socket has one connection.
func (r *Replier) serve(ctx context.Context, conn *zmtp.Conn, reply func(int, string) [][]byte) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	buf := make([]byte, 1<<16)
	for {
		if frame, more, err := conn.ReadFrame(buf); err != nil || len(frame) != 0 || !more {
			return
		}
		request, more, err := conn.ReadFrame(buf)
		if err != nil || more {
			return
		}
		if frames := reply(int(r.Asked.Add(1)), string(request)); frames != nil {
			if conn.Send(time.Second, frames...) != nil {
				return
			}
		}
	}
}

// Text is a reply of one text, behind the delimiter.
func Text(s string) [][]byte { return [][]byte{nil, []byte(s)} }
