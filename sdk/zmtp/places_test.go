package zmtp

import (
	"context"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

// room is a listener with few places.
type room struct {
	t   *testing.T
	l   *Listener
	ctx context.Context
}

func newRoom(t *testing.T, o Options) *room {
	t.Helper()
	l, err := Listen("tcp", "127.0.0.1:0", zmq4.Pull, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	t.Cleanup(cancel)
	return &room{t, l, ctx}
}

func (r *room) dial() *Conn {
	r.t.Helper()
	c, err := Dial(r.ctx, "tcp", r.l.Addr().String(), zmq4.Push)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	return c
}

// enter dials, and returns both ends.
func (r *room) enter() (peer, served *Conn) {
	r.t.Helper()
	peer = r.dial()
	served, err := r.l.Accept(r.ctx)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { served.Close() })
	return peer, served
}

// left waits until a peer's connection has been closed at the other end.
func (r *room) left(c *Conn) bool {
	r.t.Helper()
	if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
		r.t.Fatal(err)
	}
	_, _, err := c.ReadFrame(nil)
	return !errors.Is(err, os.ErrDeadlineExceeded)
}

func (r *room) speak(peer, served *Conn) {
	r.t.Helper()
	if err := peer.Send(wait, []byte("here")); err != nil {
		r.t.Fatal(err)
	}
	if b, _, err := served.ReadFrame(make([]byte, 8)); err != nil || string(b) != "here" {
		r.t.Fatalf("%q, %v", b, err)
	}
}

// The stranger that came first makes room, whatever it says, and a peer whose
// connection is kept never does. Those that were displaced and are still being served
// are as many as the others at most.
func TestDisplace(t *testing.T) {
	r := newRoom(t, Options{MaxConns: 3, Displace: true})
	known, atKnown := r.enter()
	atKnown.Keep("bob")
	first, atFirst := r.enter()
	second, atSecond := r.enter()
	third, atThird := r.enter()
	r.speak(first, atFirst)
	last, atLast := r.enter()
	if !r.left(first) {
		t.Fatal("the first stranger was kept")
	}
	r.speak(second, atSecond)
	r.speak(third, atThird)
	r.speak(last, atLast)
	r.enter() // second's place
	r.enter() // third's
	if !r.left(r.dial()) {
		t.Fatal("a stranger came beside three others that are still served")
	}
	for _, c := range []*Conn{atFirst, atSecond, atFirst} {
		c.Close()
	}
	r.enter()
	r.speak(r.enter())
	if !r.left(r.dial()) {
		t.Fatal("a stranger came beside three others that are still served")
	}
	r.speak(known, atKnown)
	atThird.Keep("bob") // too late: it is closed
	if n := len(r.l.kept["bob"]); n != 1 {
		t.Errorf("%d connections are kept", n)
	}
}

// Of one owner so many connections are kept; the one heard longest ago makes room.
func TestKeep(t *testing.T) {
	r := newRoom(t, Options{MaxConns: 1, Displace: true, MaxKept: 2})
	keep := func(owner string) (peer, served *Conn) {
		peer, served = r.enter()
		served.Keep(owner)
		return peer, served
	}
	alice, atAlice := keep("alice")
	one, atOne := keep("bob")
	two, atTwo := keep("bob")
	r.speak(one, atOne)
	three, atThree := keep("bob")
	if !r.left(two) {
		t.Error("the one heard longest ago was kept")
	}
	for range 2 {
		atThree.Keep("bob") // again: nothing changes
	}
	r.speak(one, atOne)
	r.speak(three, atThree)
	atThree.Keep("carol")
	keep("bob")
	for peer, served := range map[*Conn]*Conn{alice: atAlice, one: atOne, three: atThree} {
		r.speak(peer, served)
	}
	for _, c := range []*Conn{atTwo, atOne, atThree, atAlice} {
		c.Close()
	}
	if len(r.l.kept) != 1 || len(r.l.kept["bob"]) != 1 || r.l.leaving != 0 {
		t.Errorf("kept: %v, leaving: %d", r.l.kept, r.l.leaving)
	}
}

// A stranger has so much time in all, however much it says; who is kept has more.
func TestStrangersHaveLittleTime(t *testing.T) {
	r := newRoom(t, Options{Strangers: 500 * time.Millisecond})
	known, atKnown := r.enter()
	atKnown.Keep("bob")
	talker, atTalker := r.enter()
	go func() {
		for {
			if _, _, err := atTalker.ReadFrame(make([]byte, 8)); err != nil {
				atTalker.Close()
				return
			}
		}
	}()
	for end := time.Now().Add(wait); talker.Send(wait, []byte("more")) == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("a stranger that says much has all the time it wants")
		}
	}
	r.speak(known, atKnown)
}

// from is a connection from an address.
type from struct {
	net.Conn
	address string
}

func (f from) RemoteAddr() net.Addr {
	a, err := net.ResolveTCPAddr("tcp", f.address)
	if err != nil {
		panic(err)
	}
	return a
}

// A crowd from one place keeps out nobody from another: it makes room itself. Of
// IPv6 a place is a network.
func TestCrowdsMakeRoom(t *testing.T) {
	for want, addresses := range map[int][]string{
		0: {"10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"},
		1: {"10.0.0.1:1", "10.0.0.9:1", "10.0.0.9:2"},
		2: {"10.0.0.1:1", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", "[2001:db8:0:1:5::2]:7"},
		3: {"10.0.0.1:1", "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", "10.0.0.4:1", "[::ffff:10.0.0.4]:2"},
	} {
		var peers []net.Conn
		for _, a := range addresses {
			peers = append(peers, from{address: a})
		}
		if got := mostCommon(peers, func(c net.Conn) net.Conn { return c }); got != want {
			t.Errorf("%v: %d makes room, want %d", addresses, got, want)
		}
	}
	if got := mostCommon([]net.Conn{&net.UnixConn{}}, func(c net.Conn) net.Conn { return c }); got != 0 {
		t.Errorf("of one: %d", got)
	}
}
