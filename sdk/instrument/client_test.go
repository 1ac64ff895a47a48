package instrument

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"tsrun/internal/replier"
)

func newClient(addr string, timeout time.Duration) *Client {
	return &Client{Name: "device", Addr: addr, Timeout: timeout}
}

func TestRequest(t *testing.T) {
	server := replier.New(t, func(n int, request string) [][]byte { return replier.Text(request + "!") })
	r := newClient(server.Addr, time.Second)
	defer r.Close()
	for _, request := range []string{"*IDN?", "", strings.Repeat("x", 1000)} {
		if got, err := r.Ask(t.Context(), request); err != nil || got != request+"!" {
			t.Errorf("%q: %q, %v", request, got, err)
		}
	}
	if n := server.Clients.Load(); n != 1 {
		t.Errorf("%d connections, want 1", n)
	}
}

// TestRequestReopens: after a reply that did not come, the next request has a
// connection of its own, and a late reply is not taken for its answer.
func TestRequestReopens(t *testing.T) {
	late := make(chan struct{})
	server := replier.New(t, func(n int, request string) [][]byte {
		if n == 1 {
			<-late // the client has given up
		}
		return replier.Text("answer to " + request)
	})
	r := newClient(server.Addr, 100*time.Millisecond)
	defer r.Close()
	_, err := r.Ask(t.Context(), "REC:PLAY")
	if !errors.Is(err, ErrNoReply) || !strings.Contains(err.Error(), "REC:PLAY") || !strings.Contains(err.Error(), "new") {
		t.Fatalf("error %v, want one about REC:PLAY and a new connection", err)
	}
	close(late)
	r.Timeout = 5 * time.Second
	if got, err := r.Ask(t.Context(), "REC:STOP"); err != nil || got != "answer to REC:STOP" {
		t.Errorf("%q, %v", got, err)
	}
	if n, m := server.Asked.Load(), server.Clients.Load(); n != 2 || m != 2 {
		t.Errorf("%d requests on %d connections, want 2 on 2: an order must not be repeated", n, m)
	}
}

// TestQueryRepeats: a question may be asked again, once.
func TestQueryRepeats(t *testing.T) {
	answered := 2
	server := replier.New(t, func(n int, request string) [][]byte {
		if n < answered {
			return nil
		}
		return replier.Text("7")
	})
	r := newClient(server.Addr, 100*time.Millisecond)
	defer r.Close()
	if got, err := r.Query(t.Context(), "REC:NUMber?"); err != nil || got != "7" {
		t.Errorf("%q, %v", got, err)
	}
}

// TestRequestNow: who waits for the reply in the kernel gets it, gives up in time, and
// can be told to give up.
func TestRequestNow(t *testing.T) {
	server := replier.New(t, func(n int, request string) [][]byte {
		if request == "silent" {
			return nil
		}
		return replier.Text(request + "!")
	})
	r := newClient(server.Addr, 100*time.Millisecond)
	defer r.Close()
	if _, err := r.AskNow(t.Context(), "silent"); !errors.Is(err, ErrNoReply) {
		t.Errorf("no reply: %v", err)
	}
	r.Timeout = time.Minute
	for _, request := range []string{"REC:PLAY", strings.Repeat("x", 1000)} {
		if got, err := r.AskNow(t.Context(), request); err != nil || got != request+"!" {
			t.Errorf("%q: %q, %v", request, got, err)
		}
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 50*time.Millisecond, errors.New("had enough"))
	defer cancel()
	if _, err := r.AskNow(ctx, "silent"); err == nil || !strings.Contains(err.Error(), "had enough") {
		t.Errorf("the caller has given up: %v", err)
	}
}

func TestRequestRefusesBadReplies(t *testing.T) {
	for name, reply := range map[string][][]byte{
		"no delimiter": {[]byte("x")},
		"two parts":    {nil, []byte("x"), []byte("y")},
		"text first":   {[]byte("x"), []byte("y")},
		"too long":     {nil, make([]byte, MaxReply+1)},
	} {
		t.Run(name, func(t *testing.T) {
			server := replier.New(t, func(n int, _ string) [][]byte {
				if n == 1 {
					return reply
				}
				return replier.Text("fine")
			})
			r := newClient(server.Addr, 2*time.Second)
			defer r.Close()
			if got, err := r.Ask(t.Context(), "A?"); err == nil {
				t.Fatalf("got %d bytes, want an error", len(got))
			}
			if got, err := r.Ask(t.Context(), "B?"); err != nil || got != "fine" {
				t.Errorf("afterwards: %q, %v", got, err)
			}
		})
	}
}

// TestRequestEndsWithContext: who waits for a reply can be told to give up.
func TestRequestEndsWithContext(t *testing.T) {
	asked := make(chan struct{})
	server := replier.New(t, func(int, string) [][]byte { close(asked); return nil })
	r := newClient(server.Addr, time.Minute)
	defer r.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	go func() {
		<-asked
		cancel(errors.New("had enough"))
	}()
	if _, err := r.Ask(ctx, "A?"); err == nil || !strings.Contains(err.Error(), "had enough") {
		t.Errorf("error %v", err)
	}
}

// TestTwoCallersTakeTurns: each gets the reply to its own request.
func TestTwoCallersTakeTurns(t *testing.T) {
	server := replier.New(t, func(_ int, request string) [][]byte { return replier.Text(request) })
	r := newClient(server.Addr, 5*time.Second)
	defer r.Close()
	var callers sync.WaitGroup
	for _, request := range []string{"A?", "B?"} {
		callers.Go(func() {
			for range 50 {
				if got, err := r.Ask(t.Context(), request); err != nil || got != request {
					t.Errorf("%q: %q, %v", request, got, err)
				}
			}
		})
	}
	callers.Wait()
}
