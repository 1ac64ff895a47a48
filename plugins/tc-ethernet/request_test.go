package main

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/zmtp"
)

// replier is a REP socket that answers each request with what reply returns;
// nil means no answer.
type replier struct {
	addr    string
	clients atomic.Int32 // connections so far
	asked   atomic.Int32 // requests so far
}

func newReplier(t *testing.T, reply func(n int, request string) [][]byte) *replier {
	t.Helper()
	l, err := zmtp.Listen("tcp", "127.0.0.1:0", zmq4.Rep, zmtp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	r := &replier{addr: l.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept(ctx)
			if err != nil {
				return
			}
			r.clients.Add(1)
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
func (r *replier) serve(ctx context.Context, conn *zmtp.Conn, reply func(int, string) [][]byte) {
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
		if frames := reply(int(r.asked.Add(1)), string(request)); frames != nil {
			if conn.Send(time.Second, frames...) != nil {
				return
			}
		}
	}
}

func text(s string) [][]byte { return [][]byte{nil, []byte(s)} }

func TestRequest(t *testing.T) {
	server := newReplier(t, func(n int, request string) [][]byte { return text(request + "!") })
	r := newRequester("device", server.addr, time.Second)
	defer r.close()
	for _, request := range []string{"*IDN?", "", strings.Repeat("x", 1000)} {
		if got, err := r.ask(t.Context(), request); err != nil || got != request+"!" {
			t.Errorf("%q: %q, %v", request, got, err)
		}
	}
	if n := server.clients.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestRequestReopens: after a reply that did not come, the next request has a
// connection of its own, and a late reply is not taken for its answer.
func TestRequestReopens(t *testing.T) {
	late := make(chan struct{})
	server := newReplier(t, func(n int, request string) [][]byte {
		if n == 1 {
			<-late // the client has given up
		}
		return text("answer to " + request)
	})
	r := newRequester("device", server.addr, 100*time.Millisecond)
	defer r.close()
	_, err := r.ask(t.Context(), "REC:PLAY")
	if !errors.Is(err, errNoReply) || !strings.Contains(err.Error(), "REC:PLAY") || !strings.Contains(err.Error(), "new") {
		t.Fatalf("error %v, want one about REC:PLAY and a new connection", err)
	}
	close(late)
	r.timeout = 5 * time.Second
	if got, err := r.ask(t.Context(), "REC:STOP"); err != nil || got != "answer to REC:STOP" {
		t.Errorf("%q, %v", got, err)
	}
	if n, m := server.asked.Load(), server.clients.Load(); n != 2 || m != 2 {
		t.Errorf("%d requests on %d connections, want 2 on 2: an order must not be repeated", n, m)
	}
}

// TestQueryRepeats: a question may be asked again, once.
func TestQueryRepeats(t *testing.T) {
	answered := 2
	server := newReplier(t, func(n int, request string) [][]byte {
		if n < answered {
			return nil
		}
		return text("7")
	})
	r := newRequester("device", server.addr, 100*time.Millisecond)
	defer r.close()
	if got, err := (scpi{r}).count(t.Context(), "REC:NUMber?"); err != nil || got != 7 {
		t.Errorf("%d, %v", got, err)
	}
}

func TestRequestRefusesBadReplies(t *testing.T) {
	for name, reply := range map[string][][]byte{
		"no delimiter": {[]byte("x")},
		"two parts":    {nil, []byte("x"), []byte("y")},
		"text first":   {[]byte("x"), []byte("y")},
		"too long":     {nil, make([]byte, maxReply+1)},
	} {
		t.Run(name, func(t *testing.T) {
			server := newReplier(t, func(n int, _ string) [][]byte {
				if n == 1 {
					return reply
				}
				return text("fine")
			})
			r := newRequester("device", server.addr, 2*time.Second)
			defer r.close()
			if got, err := r.ask(t.Context(), "A?"); err == nil {
				t.Fatalf("got %d bytes, want an error", len(got))
			}
			if got, err := r.ask(t.Context(), "B?"); err != nil || got != "fine" {
				t.Errorf("afterwards: %q, %v", got, err)
			}
		})
	}
}

// TestRequestEndsWithContext: who waits for a reply can be told to give up.
func TestRequestEndsWithContext(t *testing.T) {
	asked := make(chan struct{})
	server := newReplier(t, func(int, string) [][]byte { close(asked); return nil })
	r := newRequester("device", server.addr, time.Minute)
	defer r.close()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(errors.New("had enough"))
	}()
	if _, err := r.ask(ctx, "A?"); err == nil || !strings.Contains(err.Error(), "had enough") {
		t.Errorf("error %v", err)
	}
}
