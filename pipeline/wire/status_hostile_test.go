package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/internal/hostile"
	"tsrun/sdk/zmtp"
)

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
	s := listenStatus(t, func(_ Peer, body []byte) []byte {
		if len(body) > 0 {
			return echo(Peer{}, body)
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
