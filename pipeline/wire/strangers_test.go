package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"hash/crc32"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/internal/hostile"
	"tsrun/sdk/zmtp"
)

// goodToken is that of bob's session.
var goodToken = strings.Repeat("7", 32)

func bobOnly() Guard {
	return Guard{Admits: func(_ Peer, token string) (string, bool) { return "bob", token == goodToken }}
}

// flood opens more connections than a port has places.
func flood(t *testing.T, addr net.Addr, typ zmq4.SocketType) {
	t.Helper()
	for range 2 * maxPeers {
		dial(t, addr, typ)
	}
}

// Of a stranger's long request only what it shows is heard, and it is answered; with
// a token all of it is, where that is shown at once.
func TestStrangersAreHeardBriefly(t *testing.T) {
	heard := make(chan []byte, 1)
	s, err := ListenStatus(t.Context(), "127.0.0.1:0", bobOnly(), func(_ Peer, body []byte) []byte {
		heard <- bytes.Clone(body)
		return []byte("answered")
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	long := strings.Repeat("x", 64<<10)
	stripped := func(token string) string {
		b, err := json.Marshal(Request{Node: "bob", Token: token, Report: &Report{}})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	for _, c := range []struct{ asked, want string }{
		{`{"node":"bob"}`, ""},
		{`{"node":"bob","pad":"` + long + `"}`, stripped("")},
		{`{"node":"bob","token":"0","pad":"` + long + `"}`, stripped("0")},
		{`{"node":"bob","pad":"` + long + `","token":"` + goodToken + `"}`, stripped("")}, // shown too late
		{`{"node":"bob","pad":[],"token":"` + goodToken + `","more":"` + long + `"}`, stripped("")},
		{long, `{"node":"","report":` + stripped("")[strings.Index(stripped(""), `{"phase"`):]},
		{`{"node":"bob","token":"` + goodToken + `","pad":"` + long + `"}`, ""},
		{`{"pad":"` + long + `"}`, ""}, // over the same connection
	} {
		conn := dial(t, s.Addr(), zmq4.Req)
		if c.asked[2] == 'p' {
			ask(t, conn, 1, `{"token":"`+goodToken+`"}`)
			<-heard
		}
		if c.want == "" {
			c.want = c.asked
		}
		for seq := range uint64(2) { // the connection stays of use
			if got := ask(t, conn, 2+seq, c.asked); got != "answered" {
				t.Errorf("%.60s: answered %q", c.asked, got)
			}
			if got := <-heard; string(got) != c.want {
				t.Errorf("%.60s: heard are %d bytes, %.200s", c.asked, len(got), got)
			}
		}
	}
}

// dial makes a connection that is not made anew where this PC is held up.
func dial(t *testing.T, addr net.Addr, typ zmq4.SocketType) *zmtp.Conn {
	t.Helper()
	c, err := zmtp.Dial(t.Context(), "tcp", addr.String(), typ)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// ask asks over one connection.
func ask(t *testing.T, c *zmtp.Conn, seq uint64, body string) string {
	t.Helper()
	client := crc32.ChecksumIEEE([]byte(c.LocalAddr().String()))
	if err := c.Send(wait, nil, envelope{kind: question, client: uint64(client), seq: seq, body: []byte(body)}.encode()); err != nil {
		t.Fatal(err)
	}
	var buf []byte
	e, err := receiveEnvelope(c, &buf)
	if err != nil || e.seq != seq {
		t.Fatalf("%+v, %v", e, err)
	}
	return string(e.body)
}

// What a slave may say when it joins is brief.
func TestJoinIsBrief(t *testing.T) {
	j := Join{Protocol: Protocol, Instance: strings.Repeat("f", 16), Version: strings.Repeat("v", 64), Host: strings.Repeat("h", 64), PID: 1 << 22, Key: strings.Repeat("K", 26)}
	for range MaxHeld {
		j.Held = append(j.Held, Held{Run: strings.Repeat("0", 32), Proof: Prove([16]byte{}, HeldBySlave, "", "", "")})
	}
	NewIdentity().Sign("bob", &j)
	if b, err := json.Marshal(Request{Node: strings.Repeat("n", 64), Join: &j}); err != nil || len(b) > MaxStranger*3/4 {
		t.Errorf("%d bytes of at most %d, %v", len(b), MaxStranger, err)
	}
}

// A peer that has shown a token keeps its place at each port, however many come.
func TestFloodsTakeNoPlaceOfANode(t *testing.T) {
	s, err := ListenStatus(t.Context(), "127.0.0.1:0", bobOnly(), echo)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	node := dial(t, s.Addr(), zmq4.Req)
	ask(t, node, 1, `{"token":"`+goodToken+`"}`)
	flood(t, s.Addr(), zmq4.Req)
	ask(t, node, 2, "still here")

	p, err := ListenTrigger(t.Context(), "127.0.0.1:0", bobOnly())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	sub := dial(t, p.Addr(), zmq4.Sub)
	for _, topic := range []string{tokenTopic + goodToken, orderTopic} {
		if err := sub.Send(wait, []byte("\x01"+topic)); err != nil {
			t.Fatal(err)
		}
	}
	var buf [orderSize]byte
	published := func(o Order) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), wait)
		defer cancel()
		unhook := context.AfterFunc(ctx, func() { sub.Close() })
		defer unhook()
		stop := make(chan bool)
		done := make(chan bool)
		go func() { // until it is subscribed
			defer close(done)
			for {
				_ = p.Publish(o)
				select {
				case <-stop:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		}()
		defer func() { close(stop); <-done }()
		for {
			b, _, err := sub.ReadFrame(buf[:])
			if err != nil {
				t.Fatal(err)
			}
			if got, err := decodeOrder(b); err != nil || got.Kind == o.Kind {
				return
			}
		}
	}
	published(Order{Kind: Beacon})
	flood(t, p.Addr(), zmq4.Sub)
	published(Order{Kind: Arm, Seq: 1})
}

func FuzzShown(f *testing.F) {
	for _, s := range []string{`{"node":"bob","token":"7","report":{`, `{"token":"a","token":"b"}`, `[]`, ``, `{"node":1}`, `{"x":"y","node":"bob"`, `{"node":"\ud800"`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, start []byte) {
		node, token := Shown(start)
		whole, err := json.Marshal(Request{Node: node, Token: token, Report: &Report{}})
		if err != nil {
			t.Fatal(err)
		}
		if n, k := Shown(whole); n != node || k != token {
			t.Errorf("%q, %q come back as %q, %q", node, token, n, k)
		}
	})
}

// FuzzStatusPort and FuzzTriggerPort: whatever a peer says over a connection, after its
// handshake, an honest one is served as before.
func FuzzStatusPort(f *testing.F) {
	var two []byte
	for seq := range uint64(2) {
		e := envelope{kind: question, client: 1, seq: seq, body: []byte(`{"node":"bob","token":"` + goodToken + `"}`)}.encode()
		two = append(append(append(two, 1, 0, 0, byte(len(e))), e...), "\x01\x00"...)
	}
	f.Add(two)
	f.Add([]byte("\x01\x00" + hostile.Long(2, envelopeSize+MaxBody) + "TSQA"))
	f.Add([]byte("\x01\x00" + hostile.Long(2, 1<<62)))
	s, err := ListenStatus(context.Background(), "127.0.0.1:0", bobOnly(), echo)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	c := NewStatusClient(s.Addr().String(), nil)
	f.Cleanup(func() { c.Close() })
	f.Fuzz(func(t *testing.T, said []byte) {
		say(t, s.Addr(), "REQ", said)
		if got := call(t, c, "after"); got != "re: after" {
			t.Fatalf("got %q", got)
		}
	})
}

func FuzzTriggerPort(f *testing.F) {
	f.Add([]byte("\x00\x06\x01trig/"))
	f.Add([]byte("\x00\x29\x01session/" + goodToken + "\x00\x05\x00trig\x00\x01\x01"))
	f.Add([]byte("\x00\x01\x02"))
	f.Add([]byte(hostile.Long(2, 1<<62)))
	p, err := ListenTrigger(context.Background(), "127.0.0.1:0", bobOnly())
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { p.Close() })
	s, err := DialTrigger(context.Background(), p.Addr().String(), goodToken, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { s.Close() })
	f.Fuzz(func(t *testing.T, said []byte) {
		say(t, p.Addr(), "SUB", said)
		hear(t, p, s)
	})
}

// say says something over a connection of its own, and waits until the other end has
// had enough or all of it.
func say(t *testing.T, addr net.Addr, typ string, said []byte) {
	t.Helper()
	c, err := net.Dial("tcp", addr.String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(wait)); err != nil {
		t.Fatal(err)
	}
	c.Write(hostile.Bytes(typ)["ready, then silence"]) // fails when the other end has left
	c.Write(said)
	c.(*net.TCPConn).CloseWrite()
	for b := make([]byte, 4096); err == nil; {
		_, err = c.Read(b)
	}
	if os.IsTimeout(err) {
		t.Fatal("the connection is held")
	}
}
