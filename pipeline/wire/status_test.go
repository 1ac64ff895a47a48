package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/zmtp"
)

func listenStatus(t *testing.T, serve func(peer Peer, body []byte) []byte) *StatusServer {
	t.Helper()
	s, err := ListenStatus(t.Context(), "127.0.0.1:0", Guard{}, serve)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func echo(_ Peer, body []byte) []byte { return append([]byte("re: "), body...) }

func newClient(t *testing.T, addr string) *StatusClient {
	c := NewStatusClient(addr, nil)
	t.Cleanup(func() { c.Close() })
	return c
}

// call asks within a time that always suffices.
func call(t *testing.T, c *StatusClient, body string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	reply, err := c.Call(ctx, []byte(body))
	if err != nil {
		t.Fatal(err)
	}
	return string(reply)
}

func TestCallIsAnswered(t *testing.T) {
	peers := make(chan Peer, 8)
	s := listenStatus(t, func(peer Peer, body []byte) []byte { peers <- peer; return echo(peer, body) })
	c := newClient(t, s.Addr().String())
	for _, body := range []string{"one", "", strings.Repeat("x", MaxBody-4)} {
		if got := call(t, c, body); got != "re: "+body {
			t.Fatalf("got %d bytes", len(got))
		}
	}
	first, second := (<-peers).Address, (<-peers).Address
	host, _, err := net.SplitHostPort(first)
	if err != nil || host != "127.0.0.1" || first != second {
		t.Fatalf("asked by %q and %q, over one connection", first, second)
	}
}

func TestTooLargeBodiesAreRefused(t *testing.T) {
	s := listenStatus(t, func(Peer, []byte) []byte { return make([]byte, MaxBody+1) })
	c := newClient(t, s.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if _, err := c.Call(ctx, make([]byte, MaxBody+1)); err == nil || !strings.Contains(err.Error(), "at most 1048576") {
		t.Fatalf("large question: %v", err)
	}
	if _, err := c.Call(ctx, nil); err == nil || !strings.Contains(err.Error(), "the answer has 1048577 bytes") {
		t.Fatalf("large answer: %v", err)
	}
}

func TestManyClientsAtOnce(t *testing.T) {
	const clients = 8
	var serving, answered [clients]atomic.Int32
	s := listenStatus(t, func(peer Peer, body []byte) []byte {
		var n, i int
		if _, err := fmt.Sscan(string(body), &n, &i); err != nil {
			t.Error(err)
		}
		if serving[n].Add(1) > 1 {
			t.Error("two requests of one client at once")
		}
		defer serving[n].Add(-1)
		if answered[n].Add(1) != int32(i+1) {
			t.Errorf("request %d of a client out of order", i)
		}
		return echo(peer, body)
	})
	var asking sync.WaitGroup
	for n := range clients {
		c := newClient(t, s.Addr().String())
		asking.Go(func() {
			for i := range 50 {
				body := fmt.Sprint(n, i)
				ctx, cancel := context.WithTimeout(context.Background(), wait)
				if got, err := c.Call(ctx, []byte(body)); err != nil || string(got) != "re: "+body {
					t.Errorf("%q, %v", got, err)
				}
				cancel()
			}
		})
	}
	asking.Wait()
}

// One client's question takes as long as it likes; the others are answered.
func TestLongAnswerDelaysNobodyElse(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	s := listenStatus(t, func(peer Peer, body []byte) []byte {
		if string(body) == "long" {
			entered <- true
			<-leave
		}
		return echo(peer, body)
	})
	long := newClient(t, s.Addr().String())
	got := make(chan string, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		reply, err := long.Call(ctx, []byte("long"))
		got <- fmt.Sprint(string(reply), err)
	}()
	<-entered
	for range 3 {
		if reply := call(t, newClient(t, s.Addr().String()), "heartbeat"); reply != "re: heartbeat" {
			t.Fatalf("got %q", reply)
		}
	}
	close(leave)
	if reply := <-got; reply != "re: long<nil>" {
		t.Fatalf("got %s", reply)
	}
}

// The first answer comes after the client has given up on it and asked again.
func TestRepeatedRequestIsServedOnce(t *testing.T) {
	var served atomic.Int32
	s := listenStatus(t, func(peer Peer, body []byte) []byte {
		if served.Add(1) == 1 {
			time.Sleep(tryTimeout + tryTimeout/2)
		}
		return echo(peer, body)
	})
	c := newClient(t, s.Addr().String())
	if got := call(t, c, "slow"); got != "re: slow" {
		t.Fatalf("got %q", got)
	}
	if got := call(t, c, "next"); got != "re: next" || served.Load() != 2 {
		t.Fatalf("got %q, served %d times", got, served.Load())
	}
}

// A client that asks again and again while its question is served keeps no
// place from the others.
func TestImpatientClientTakesTwoPlaces(t *testing.T) {
	leave := make(chan bool)
	s := listenStatus(t, func(peer Peer, body []byte) []byte {
		if string(body) == "long" {
			<-leave
		}
		return echo(peer, body)
	})
	defer close(leave)
	request := envelope{kind: question, client: 1, seq: 1, body: []byte("long")}.encode()
	for range 2 * maxPeers {
		c, err := zmtp.Dial(t.Context(), "tcp", s.Addr().String(), zmq4.Req)
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Send(wait, nil, request); err != nil {
			t.Fatal(err)
		}
		c.Close()
	}
	if got := call(t, newClient(t, s.Addr().String()), "short"); got != "re: short" {
		t.Fatalf("got %q", got)
	}
}

func TestMemoryOfReplies(t *testing.T) {
	served := 0
	s := &StatusServer{serve: func(Peer, []byte) []byte { served++; return fmt.Append(nil, served) }}
	ask := func(client, seq uint64) string {
		reply := s.answer(Peer{}, envelope{kind: question, client: client, seq: seq})
		if reply == nil {
			return "none"
		}
		e, err := decodeEnvelope(reply)
		if err != nil || e.client != client || e.seq != seq || e.kind != answer {
			t.Fatal(e, err)
		}
		return string(e.body)
	}
	for i, c := range []struct {
		client, seq uint64
		want        string
	}{
		{1, 1, "1"}, {1, 1, "1"}, {2, 1, "2"}, {1, 1, "1"}, {1, 2, "3"},
		{1, 1, "none"}, // an old question on a connection that was given up
		{2, 1, "2"},
	} {
		if got := ask(c.client, c.seq); got != c.want {
			t.Fatalf("question %d: answer %s for %s", i, got, c.want)
		}
	}
	for client := uint64(10); client < 10+maxClients-1; client++ {
		ask(client, 1)
	}
	if len(s.memory.clients) != maxClients || s.memory.clients[1] != nil || s.memory.clients[2] == nil {
		t.Fatalf("%d clients remembered; the one unheard for longest should be forgotten", len(s.memory.clients))
	}
}

func TestClientOutlivesTheServer(t *testing.T) {
	first, addr := play(t, "server", "127.0.0.1:0")
	c := newClient(t, addr)
	if got := call(t, c, "who"); got != fmt.Sprint(first.Process.Pid) {
		t.Fatalf("answered by %s", got)
	}
	kill(first)
	got := make(chan string, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		reply, err := c.Call(ctx, []byte("who")) // while nobody is there
		got <- fmt.Sprint(string(reply), err)
	}()
	second, _ := play(t, "server", addr)
	if got, want := <-got, fmt.Sprint(second.Process.Pid)+"<nil>"; got != want {
		t.Fatalf("got %s, want %s", got, want)
	}
}

func TestClientOutlastsAStoppedServer(t *testing.T) {
	server, addr := play(t, "server", "127.0.0.1:0")
	c := newClient(t, addr)
	call(t, c, "who")
	if err := server.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	resume := time.AfterFunc(tryTimeout+tryTimeout/2, func() { server.Process.Signal(syscall.SIGCONT) })
	defer resume.Stop()
	if got := call(t, c, "who"); got != fmt.Sprint(server.Process.Pid) {
		t.Fatalf("answered by %s", got)
	}
}

func TestCallEndsWithItsContext(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	mute, err := zmtp.Listen("tcp", "127.0.0.1:0", zmq4.Rep, zmtp.Options{}) // greets, never answers
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	for name, c := range map[string]struct{ addr, says string }{
		"nobody listens":  {"127.0.0.1:1", "connection refused"},
		"nobody greets":   {silent.Addr().String(), "greeting"},
		"nobody answers":  {mute.Addr().String(), "ask " + mute.Addr().String()},
		"no such address": {"nowhere", "missing port"},
	} {
		var err error
		for patience := 100 * time.Millisecond; patience < wait; patience *= 4 { // a busy PC needs more to find out
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			_, err = newClient(t, c.addr).Call(ctx, []byte("x"))
			cancel()
			if err != nil && strings.Contains(err.Error(), c.says) {
				break
			}
		}
		if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStatusPortInUse(t *testing.T) {
	s := listenStatus(t, echo)
	_, err := ListenStatus(t.Context(), s.Addr().String(), Guard{}, echo)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), s.Addr().String()) || !strings.Contains(err.Error(), "choose another port") {
		t.Fatalf("got %v", err)
	}
}

func TestCloseWaitsForTheRequestBeingServed(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	var left atomic.Bool
	s := listenStatus(t, func(Peer, []byte) []byte { close(entered); <-leave; left.Store(true); return nil })
	c := newClient(t, s.Addr().String())
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan bool)
	go func() { c.Call(ctx, nil); close(asked) }()
	<-entered
	time.AfterFunc(10*time.Millisecond, func() { close(leave) })
	if err := s.Close(); err != nil || !left.Load() {
		t.Fatalf("closed in the middle: %v", err)
	}
	cancel()
	<-asked
}

// TestServerThatClosesAtOnce: who takes connections and closes them on the first question, as
// a release did that read another envelope, is told from one that is not there.
func TestServerThatClosesAtOnce(t *testing.T) {
	l, err := zmtp.Listen("tcp", "127.0.0.1:0", zmq4.Rep, zmtp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	served := make(chan struct{})
	go func() {
		defer close(served)
		l.Serve(ctx, func(c *zmtp.Conn) {
			_, _, _ = c.ReadFrame(make([]byte, 16)) // the beginning of the question
		})
	}()
	client := newClient(t, l.Addr().String())
	client.wait = wait // whatever holds this PC up
	_, err = client.try(ctx, envelope{kind: question, body: []byte("anybody?")}.encode())
	cancel()
	<-served
	l.Close()
	if !errors.Is(err, ErrUnanswered) {
		t.Errorf("got %v", err)
	}
}
