package wire

import (
	"bytes"
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
	"pgregory.net/rapid"

	"tsrun/internal/hostile"
	"tsrun/sdk/zmtp"
)

func drawEnvelope(t *rapid.T) envelope {
	return envelope{
		kind:   envelopeKind(rapid.IntRange(int(question), int(refusal)).Draw(t, "kind")),
		client: rapid.Uint64().Draw(t, "client"),
		seq:    rapid.Uint64().Draw(t, "seq"),
		body:   rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
	}
}

func TestEnvelopeIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawEnvelope(t)
		b := want.encode()
		got, err := decodeEnvelope(b)
		if err != nil || got.kind != want.kind || got.client != want.client || got.seq != want.seq || !bytes.Equal(got.body, want.body) {
			t.Fatal(got, err)
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := decodeEnvelope(b); err == nil {
			t.Fatalf("byte %d was changed unseen", at)
		}
	})
}

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add(envelope{kind: question, client: 1, seq: 2, body: []byte("{}")}.encode())
	f.Add([]byte(envelopeMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEnvelope(b)
		if err == nil && len(e.body) != len(b)-envelopeSize {
			t.Fatalf("%d bytes of body in %d", len(e.body), len(b))
		}
	})
}

func listenStatus(t *testing.T, serve func(peer string, body []byte) []byte) *StatusServer {
	t.Helper()
	s, err := ListenStatus(t.Context(), "127.0.0.1:0", serve)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func echo(_ string, body []byte) []byte { return append([]byte("re: "), body...) }

func newClient(t *testing.T, addr string) *StatusClient {
	c := NewStatusClient(addr)
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
	peers := make(chan string, 8)
	s := listenStatus(t, func(peer string, body []byte) []byte { peers <- peer; return echo(peer, body) })
	c := newClient(t, s.Addr().String())
	for _, body := range []string{"one", "", strings.Repeat("x", MaxBody-4)} {
		if got := call(t, c, body); got != "re: "+body {
			t.Fatalf("got %d bytes", len(got))
		}
	}
	first, second := <-peers, <-peers
	host, _, err := net.SplitHostPort(first)
	if err != nil || host != "127.0.0.1" || first != second {
		t.Fatalf("asked by %q and %q, over one connection", first, second)
	}
}

func TestTooLargeBodiesAreRefused(t *testing.T) {
	s := listenStatus(t, func(string, []byte) []byte { return make([]byte, MaxBody+1) })
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
	s := listenStatus(t, func(peer string, body []byte) []byte {
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
	s := listenStatus(t, func(peer string, body []byte) []byte {
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
	s := listenStatus(t, func(peer string, body []byte) []byte {
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
	s := listenStatus(t, func(peer string, body []byte) []byte {
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
	s := &StatusServer{serve: func(string, []byte) []byte { served++; return fmt.Append(nil, served) }}
	ask := func(client, seq uint64) string {
		reply := s.answer("", envelope{kind: question, client: client, seq: seq})
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

func TestLyingServer(t *testing.T) {
	l, err := zmtp.Listen("tcp", "127.0.0.1:0", zmq4.Rep, zmtp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c := newClient(t, l.Addr().String())
	got := make(chan string, 1)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	go func() {
		reply, err := c.Call(ctx, []byte("x"))
		got <- fmt.Sprint(string(reply), err)
	}()
	buf := make([]byte, 256)
	request := func() (*zmtp.Conn, envelope) { // after each lie the client comes again
		peer, err := l.Accept(ctx)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { peer.Close() })
		if _, _, err := peer.ReadFrame(buf); err != nil {
			t.Fatal(err)
		}
		frame, _, err := peer.ReadFrame(buf)
		if err != nil {
			t.Fatal(err)
		}
		e, err := decodeEnvelope(bytes.Clone(frame))
		if err != nil {
			t.Fatal(err)
		}
		return peer, e
	}
	truth := func(e envelope) envelope { e.kind, e.body = answer, []byte("truth"); return e }
	lies := []func(envelope) [][]byte{
		func(envelope) [][]byte { return [][]byte{[]byte("x")} },
		func(envelope) [][]byte { return [][]byte{nil, nil} },
		func(e envelope) [][]byte { return [][]byte{nil, e.encode()} }, // the question itself
		func(e envelope) [][]byte { b := truth(e).encode(); b[40-4] ^= 1; return [][]byte{nil, b} },
		func(e envelope) [][]byte { return [][]byte{nil, truth(e).encode(), nil} },
	}
	for _, lie := range lies {
		peer, e := request()
		if err := peer.Send(wait, lie(e)...); err != nil {
			t.Fatal(err)
		}
	}
	peer, e := request()
	stale := truth(e)
	stale.seq--
	if err := errors.Join(peer.Send(wait, nil, stale.encode()), peer.Send(wait, nil, truth(e).encode())); err != nil {
		t.Fatal(err)
	}
	if got := <-got; got != "truth<nil>" {
		t.Fatalf("believed %q", got)
	}
}

func TestHostileBytesOnTheStatusPort(t *testing.T) {
	s := listenStatus(t, echo)
	c := newClient(t, s.Addr().String())
	call(t, c, "before")
	said := hostile.Bytes("REQ")
	opened := string(said["ready, then silence"])
	request := string(envelope{kind: question, client: 1, seq: 1, body: []byte("x")}.encode())
	framed := func(flags byte, body string) string { return hostile.Long(flags|2, uint64(len(body))) + body }
	said["no empty frame"] = []byte(opened + framed(0, request))
	said["two envelopes"] = []byte(opened + framed(1, "") + framed(1, request) + framed(0, request))
	said["an answer"] = []byte(opened + framed(1, "") + framed(0, string(envelope{kind: answer}.encode())))
	said["wrong checksum"] = []byte(opened + framed(1, "") + framed(0, request+"y"))
	said["too large"] = []byte(opened + framed(1, "") + hostile.Long(2, MaxBody+envelopeSize+1) + "...")
	said["cut in the body"] = []byte(opened + framed(1, "") + hostile.Long(2, MaxBody) + "TSQA")
	harm(t, s.Addr(), said)
	if got := call(t, c, "after"); got != "re: after" {
		t.Fatalf("got %q", got)
	}
	if got := call(t, newClient(t, s.Addr().String()), "new"); got != "re: new" {
		t.Fatalf("got %q", got)
	}
}

// A client that asks and does not read its answers is dropped after tryTimeout.
func TestClientThatNeverReadsStopsNobody(t *testing.T) {
	answer := make([]byte, MaxBody)
	s := listenStatus(t, func(_ string, body []byte) []byte {
		if len(body) > 0 {
			return echo("", body)
		}
		return answer
	})
	deaf, err := zmtp.Dial(t.Context(), "tcp", s.Addr().String(), zmq4.Req)
	if err != nil {
		t.Fatal(err)
	}
	defer deaf.Close()
	for seq := range uint64(40) { // far more than the kernel buffers
		if err := deaf.Send(wait, nil, envelope{kind: question, client: 9, seq: seq + 1}.encode()); err != nil {
			break
		}
	}
	if got := call(t, newClient(t, s.Addr().String()), "me too"); got != "re: me too" {
		t.Fatalf("got %q", got)
	}
}

// Peers that say nothing, as many as a port takes, keep out neither those who
// were there before nor new ones.
func TestIdlePeersKeepNobodyOut(t *testing.T) {
	idle := func(addr net.Addr, typ zmq4.SocketType) {
		t.Helper()
		for range maxPeers {
			c, err := zmtp.Dial(t.Context(), "tcp", addr.String(), typ)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { c.Close() })
		}
	}
	s := listenStatus(t, echo)
	before := newClient(t, s.Addr().String())
	call(t, before, "hello")
	idle(s.Addr(), zmq4.Req)
	for _, c := range []*StatusClient{newClient(t, s.Addr().String()), before} {
		if got := call(t, c, "again"); got != "re: again" {
			t.Fatalf("got %q", got)
		}
	}
	p := listenTrigger(t)
	there := dialTrigger(t, p.Addr().String())
	hear(t, p, there)
	idle(p.Addr(), zmq4.Sub)
	late := dialTrigger(t, p.Addr().String())
	for _, sub := range []*Subscriber{late, there} {
		for fired, end := false, time.Now().Add(wait); !fired; {
			if err := p.Publish(Order{Kind: Fire, Seq: 1}); err != nil {
				t.Fatal(err)
			}
			select {
			case r := <-sub.Orders():
				fired = r.Kind == Fire // those before were published when it was there still
			case <-time.After(10 * time.Millisecond):
				if time.Now().After(end) {
					t.Fatal("no order arrived")
				}
			}
		}
	}
}

func TestStatusPortInUse(t *testing.T) {
	s := listenStatus(t, echo)
	_, err := ListenStatus(t.Context(), s.Addr().String(), echo)
	if !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), s.Addr().String()) || !strings.Contains(err.Error(), "choose another port") {
		t.Fatalf("got %v", err)
	}
}

func TestCloseWaitsForTheRequestBeingServed(t *testing.T) {
	entered, leave := make(chan bool), make(chan bool)
	var left atomic.Bool
	s := listenStatus(t, func(string, []byte) []byte { close(entered); <-leave; left.Store(true); return nil })
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
