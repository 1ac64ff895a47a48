package wire

import (
	"context"
	"errors"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/internal/hostile"
	"tsrun/sdk/zmtp"
)

// dialStalled makes a subscriber to everything that reads none of it.
func dialStalled(t *testing.T, p *Publisher) *zmtp.Conn {
	t.Helper()
	c, err := zmtp.Dial(t.Context(), "tcp", p.Addr().String(), zmq4.Sub)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Send(wait, []byte("\x01")); err != nil {
		t.Fatal(err)
	}
	return c
}

// reaches publishes an order until s has it: a subscriber that this PC holds up is
// dropped, and comes back.
func reaches(t *testing.T, p *Publisher, s *Subscriber, o Order) {
	t.Helper()
	again := time.NewTicker(publishTimeout)
	defer again.Stop()
	late := time.After(wait)
	for {
		if err := p.Publish(o); err != nil {
			t.Fatal(err)
		}
		for waiting := true; waiting; {
			select {
			case r, open := <-s.Orders():
				if !open {
					t.Fatal("the subscriber ended")
				}
				if r.Order == o {
					return
				}
			case <-again.C:
				waiting = false
			case <-late:
				t.Fatal("no order arrived")
			}
		}
	}
}

func TestStalledSubscriberStopsNobody(t *testing.T) {
	p := listenTrigger(t)
	good := dialTrigger(t, p.Addr().String())
	hear(t, p, good)
	stalled := dialStalled(t, p).LocalAddr().String()
	served := func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for s := range p.subscribers {
			if s.conn.RemoteAddr().String() == stalled && len(s.topics) > 0 {
				return true
			}
		}
		return false
	}
	for late := time.After(wait); !served(); {
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			t.Fatal("the stalled one is not served")
		}
	}
	seq := uint64(0)
	for batch := 0; served(); batch++ { // until its buffers are full and it is dropped
		for range 99 {
			seq++
			if err := p.Publish(Order{Kind: Arm, Seq: seq}); err != nil {
				t.Fatal(err)
			}
		}
		seq++
		reaches(t, p, good, Order{Kind: Arm, Seq: seq})
		if batch > 20_000 {
			t.Fatal("two million orders fit into a socket's buffer")
		}
	}
	reaches(t, p, good, Order{Kind: Release, Seq: seq + 1})
}

func TestHostileBytesOnTheTriggerPort(t *testing.T) {
	p := listenTrigger(t)
	good := dialTrigger(t, p.Addr().String())
	hear(t, p, good)
	said := hostile.Bytes("SUB")
	opened := said["ready, then silence"]
	said["endless subscriptions"] = append(opened, strings.Repeat("\x00\x03\x01ab", 1000)...)
	said["long subscription"] = append(opened, "\x00\xff\x01"+strings.Repeat("x", 254)...)
	harm(t, p.Addr(), said)
	if err := p.Publish(Order{Kind: Fire, Seq: 1}); err != nil {
		t.Fatal(err)
	}
	if r := next(t, good); r.Kind != Fire {
		t.Fatalf("got %v", r)
	}
	hear(t, p, dialTrigger(t, p.Addr().String())) // and a new one gets in
}

func TestSubscriberThatBreaksTheRulesIsDropped(t *testing.T) {
	p := listenTrigger(t)
	many := make([][][]byte, maxSubscriptions+1)
	for i := range many {
		many[i] = [][]byte{{1, byte(i)}}
	}
	for name, messages := range map[string][][][]byte{
		"no subscription":    {{[]byte("hello")}},
		"empty message":      {{nil}},
		"two frames":         {{{1}, {1}}},
		"long topic":         {{append([]byte{1}, make([]byte, maxSubscription)...)}},
		"many subscriptions": many,
	} {
		c, err := zmtp.Dial(t.Context(), "tcp", p.Addr().String(), zmq4.Sub)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for i, frames := range messages {
			if err := c.Send(wait, frames...); err != nil {
				t.Fatalf("%s: dropped before message %d: %v", name, i, err)
			}
		}
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadFrame(make([]byte, orderSize)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// harm says everything in said to addr, each over its own connection, which
// stays open until the test ends.
func harm(t *testing.T, addr net.Addr, said map[string][]byte) {
	t.Helper()
	for name, b := range said {
		nc, err := net.Dial("tcp", addr.String())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		t.Cleanup(func() { nc.Close() })
		nc.Write(b) // fails when the listener has had enough
	}
}

func TestHostilePublisher(t *testing.T) {
	l, err := zmtp.Listen("tcp", "127.0.0.1:0", zmq4.Pub, zmtp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s := dialTrigger(t, l.Addr().String())
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	bad := encodeOrder(Order{Kind: Fire})
	bad[30] ^= 1
	for _, frames := range [][][]byte{{bad}, {[]byte("trig/")}, {nil}, {encodeOrder(Order{Kind: Fire}), nil}, {make([]byte, 1<<20)}, {encodeOrder(Order{Kind: Release})}} {
		c, err := l.Accept(ctx)
		if err != nil {
			t.Fatal(err) // after each lie the subscriber hangs up and comes again
		}
		defer c.Close()
		if err := c.Send(wait, frames...); err != nil && len(frames[0]) < 1<<20 {
			t.Fatal(err)
		}
	}
	if r := next(t, s); r.Kind != Release {
		t.Fatalf("believed %v", r)
	}
}
