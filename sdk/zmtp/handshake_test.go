package zmtp

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"pgregory.net/rapid"
)

// property encodes one property of a READY command.
func property(name, value string) string {
	b := append([]byte{byte(len(name))}, name...)
	b = binary.BigEndian.AppendUint32(b, uint32(len(value)))
	return string(b) + value
}

func TestParseReady(t *testing.T) {
	const ready = "\x05READY"
	for _, c := range []struct {
		name, body string
		peer       zmq4.SocketType
		refused    string
	}{
		{"type alone", ready + property("Socket-Type", "PULL"), "PULL", ""},
		{"as libzmq sends it", ready + property("Socket-Type", "DEALER") + property("Identity", ""), "DEALER", ""},
		{"name in capitals", ready + property("SOCKET-TYPE", "REQ"), "REQ", ""},
		{"no properties", ready, "", "no socket type"},
		{"other properties only", ready + property("Identity", "me"), "", "no socket type"},
		{"unknown type", ready + property("Socket-Type", "PULLY"), "", "unknown socket type"},
		{"two types", ready + property("Socket-Type", "PULL") + property("Socket-Type", "PULL"), "", "two socket types"},
		{"name cut", ready + "\x0bSocket", "", "cut short"},
		{"length cut", ready + "\x0bSocket-Type\x00\x00", "", "cut short"},
		{"value cut", ready + "\x0bSocket-Type\x00\x00\x00\x04PUL", "", "cut short"},
		{"value of 4 GiB", ready + "\x0bSocket-Type\xff\xff\xff\xffPULL", "", "cut short"},
		{"empty name", ready + "\x00\x00\x00\x00\x00", "", "cut short"},
		{"another command", "\x05HELLO" + property("Socket-Type", "PULL"), "", "another command"},
		{"nothing", "", "", "another command"},
	} {
		peer, err := parseReady([]byte(c.body))
		switch {
		case c.refused == "" && (err != nil || peer != c.peer):
			t.Errorf("%s: %q, %v", c.name, peer, err)
		case c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)):
			t.Errorf("%s: got %v, want %q", c.name, err, c.refused)
		}
	}
}

func TestReadyIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SampledFrom([]zmq4.SocketType{"PAIR", "PUB", "SUB", "REQ", "REP", "DEALER", "ROUTER", "PULL", "PUSH", "XPUB", "XSUB"}).Draw(t, "type")
		body, err := readReady(bytes.NewReader(plainReady(want)))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseReady(body); err != nil || got != want {
			t.Fatalf("%q, %v", got, err)
		}
	})
}

func TestCheckGreeting(t *testing.T) {
	for _, c := range []struct {
		name    string
		change  func(g []byte)
		refused string
	}{
		{"plain", func([]byte) {}, ""},
		{"version 3.1", func(g []byte) { g[11] = 1 }, ""},
		{"filling of any value", func(g []byte) { g[4], g[63] = 9, 9 }, ""},
		{"no signature", func(g []byte) { copy(g, "GET / HTTP/1.1") }, "no ZeroMQ socket"},
		{"version 2", func(g []byte) { g[10] = 2 }, "version 2"},
		{"curve", func(g []byte) { copy(g[12:], "CURVE") }, `"CURVE"`},
		{"mechanism without end", func(g []byte) { copy(g[12:], strings.Repeat("N", 20)) }, "mechanism"},
	} {
		g := plainGreeting()
		c.change(g)
		err := checkGreeting(g)
		if c.refused == "" && err != nil || c.refused != "" && (err == nil || !strings.Contains(err.Error(), c.refused)) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.refused)
		}
	}
}

func TestUnsuitablePeerIsRefusedByBothSides(t *testing.T) {
	l, err := Listen("tcp", "127.0.0.1:0", zmq4.Pull, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Dial(t.Context(), "tcp", l.Addr().String(), zmq4.Sub)
	if err == nil || !strings.Contains(err.Error(), "it is a PULL socket, which does not talk to SUB") {
		t.Fatalf("dialed SUB to PULL: %v", err)
	}
	push, err := Dial(t.Context(), "tcp", l.Addr().String(), zmq4.Push)
	if err != nil {
		t.Fatal(err)
	}
	defer push.Close()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	pull, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer pull.Close()
	if pull.PeerType() != "PUSH" {
		t.Fatalf("the refused %s was accepted", pull.PeerType())
	}
}

func TestDialToSilenceEndsWithItsContext(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, nobody answers
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if c, err := Dial(ctx, "tcp", l.Addr().String(), zmq4.Push); err == nil {
		c.Close()
		t.Fatal("connected to nobody")
	}
}

// scripted is a connection whose peer has already said everything.
type scripted struct {
	net.Conn
	in     *bytes.Reader
	out    bytes.Buffer
	closed bool
}

// hello is everything a socket of type t says in a handshake without security.
func hello(t zmq4.SocketType) []byte { return append(plainGreeting(), plainReady(t)...) }

func script(said []byte) *scripted { return &scripted{in: bytes.NewReader(said)} }

func (s *scripted) Read(p []byte) (int, error)         { return s.in.Read(p) }
func (s *scripted) Write(p []byte) (int, error)        { return s.out.Write(p) }
func (s *scripted) Close() error                       { s.closed = true; return nil }
func (s *scripted) SetDeadline(time.Time) error        { return nil }
func (s *scripted) SetReadDeadline(t time.Time) error  { return nil }
func (s *scripted) SetWriteDeadline(t time.Time) error { return nil }

func FuzzHandshake(f *testing.F) {
	good := hello("PUSH")
	f.Add(good)
	f.Add(good[:70])
	f.Add(append(plainGreeting(), 4, 9, 5, 'R', 'E', 'A', 'D', 'Y', 1, 'x', 0))
	f.Add(append(plainGreeting(), 6, 0x40, 0, 0, 0, 0, 0, 0, 0))
	f.Add(append(plainGreeting(), "\x04\x06\x05READY"...))
	f.Fuzz(func(t *testing.T, said []byte) {
		nc := script(said)
		c, err := open(t.Context(), nc, zmq4.Pull, true, Options{MaxFrame: DefaultMaxFrame})
		if err != nil {
			if !nc.closed {
				t.Fatal("refused, but left open")
			}
			return
		}
		if c.PeerType() != "PUSH" {
			t.Fatalf("accepted a %q", c.PeerType())
		}
		rest, err := io.ReadAll(c.r)
		if err != nil || !bytes.HasSuffix(said, rest) {
			t.Fatal("the handshake took bytes of the first frame")
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("\x00\x03abc\x01\x00\x02\x00\x00\x00\x00\x00\x00\x00\x01x"))
	f.Add([]byte("\x04\x08\x04PING\x00\x01x\x00\x01y"))
	f.Add([]byte("\x04\x18\x04PING\x00\x010123456789abcdefg"))
	f.Add([]byte{2, 0x40, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{2, 0, 0, 1, 0, 0, 0, 0, 0})
	f.Add([]byte{8, 0})
	f.Fuzz(func(t *testing.T, said []byte) {
		nc := script(append(hello("PUSH"), said...))
		c, err := open(t.Context(), nc, zmq4.Pull, true, Options{MaxFrame: 1 << 16})
		if err != nil {
			t.Fatal(err)
		}
		nc.out.Reset()
		buf := make([]byte, 64)
		for got := 0; ; {
			frame, _, err := c.ReadFrame(buf)
			if err != nil {
				break
			}
			if got += 2 + len(frame); got > len(said) {
				t.Fatal("more frames than were sent")
			}
		}
		if !nc.closed {
			t.Fatal("the last error left the connection open")
		}
		if pongs := nc.out.Bytes(); len(pongs) > 0 && !bytes.HasPrefix(pongs[2:], []byte("\x04PONG")) {
			t.Fatalf("answered %q", pongs)
		}
	})
}
