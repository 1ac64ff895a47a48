package wire

import (
	"context"
	"errors"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

func listenTrigger(t *testing.T) *Publisher {
	t.Helper()
	p, err := ListenTrigger(t.Context(), "127.0.0.1:0", Guard{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func dialTrigger(t *testing.T, addr string) *Subscriber {
	t.Helper()
	s, err := DialTrigger(t.Context(), addr, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// hear publishes beacons until s hears one, so that it misses nothing after.
func hear(t *testing.T, p *Publisher, s *Subscriber) {
	t.Helper()
	late := time.After(wait)
	for {
		if err := p.Publish(Order{Kind: Beacon}); err != nil {
			t.Fatal(err)
		}
		select {
		case <-s.Orders():
			return
		case <-time.After(10 * time.Millisecond):
		case <-late:
			t.Fatal("no beacon arrived")
		}
	}
}

// next returns the next order that is no beacon.
func next(t *testing.T, s *Subscriber) Received {
	t.Helper()
	late := time.After(wait)
	for {
		select {
		case r, open := <-s.Orders():
			if !open {
				t.Fatal("the subscriber ended")
			}
			if r.Kind != Beacon {
				return r
			}
		case <-late:
			t.Fatal("no order arrived")
		}
	}
}

func TestEverySubscriberGetsEveryOrder(t *testing.T) {
	p := listenTrigger(t)
	var subs []*Subscriber
	for range 3 {
		s := dialTrigger(t, p.Addr().String())
		hear(t, p, s)
		subs = append(subs, s)
	}
	run := tag.RunID{1, 2, 3}
	for i, kind := range []OrderKind{Arm, Fire, Stop, Release} {
		want := Order{Kind: kind, Seq: uint64(i + 1), Run: run, Instant: int64(i), Sent: time.Now().UnixNano()}
		if err := p.Publish(want); err != nil {
			t.Fatal(err)
		}
		for _, s := range subs {
			r := next(t, s)
			if r.Order != want || r.At.UnixNano() < want.Sent-int64(time.Second) {
				t.Fatalf("got %v, want %v", r, want)
			}
		}
	}
}

func TestSubscriberOutlivesThePublisher(t *testing.T) {
	first, addr := play(t, "publisher", "127.0.0.1:0")
	s := dialTrigger(t, addr)
	from := func(cmd *exec.Cmd) {
		t.Helper()
		late := time.After(wait)
		for {
			select {
			case r := <-s.Orders():
				if r.Seq == uint64(cmd.Process.Pid) {
					return
				}
			case <-late:
				t.Fatalf("nothing from process %d", cmd.Process.Pid)
			}
		}
	}
	from(first)
	kill(first)
	second, _ := play(t, "publisher", addr)
	from(second)
}

func TestTriggerPortInUse(t *testing.T) {
	p := listenTrigger(t)
	_, err := ListenTrigger(t.Context(), p.Addr().String(), Guard{})
	if err == nil || !strings.Contains(err.Error(), p.Addr().String()) || !strings.Contains(err.Error(), "choose another port") {
		t.Fatalf("got %v", err)
	}
}

func TestPublishAfterCloseFails(t *testing.T) {
	p := listenTrigger(t)
	for range 2 {
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Publish(Order{Kind: Stop}); err == nil {
		t.Fatal("published on a closed port")
	}
}

func TestSubscriberEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s, err := DialTrigger(ctx, "127.0.0.1:1", "", nil) // nobody listens
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	select {
	case _, open := <-s.Orders():
		if open {
			t.Fatal("an order from nobody")
		}
	case <-time.After(wait):
		t.Fatal("still there")
	}
	if _, err := DialTrigger(t.Context(), "no port", "", nil); err == nil {
		t.Fatal("accepted an address without port")
	}
}

// A subscriber gets what begins with one of its topics, and only that.
func TestOnlySubscribersGetOrders(t *testing.T) {
	p := listenTrigger(t)
	for name, c := range map[string]struct {
		said []string
		want bool
	}{
		"all":                 {[]string{"\x01"}, true},
		"the topic":           {[]string{"\x01trig/"}, true},
		"nothing":             {nil, false},
		"another topic":       {[]string{"\x01trigger/"}, false},
		"left":                {[]string{"\x01trig/", "\x00trig/"}, false},
		"left once of twice":  {[]string{"\x01trig/", "\x01trig/", "\x00trig/"}, true},
		"left what never was": {[]string{"\x00trig/", "\x01trig/"}, true},
	} {
		conn, err := zmtp.Dial(t.Context(), "tcp", p.Addr().String(), zmq4.Sub)
		if err != nil {
			t.Fatal(err)
		}
		// The last subscription is to something else, so that it is seen when
		// all before it have been taken.
		for _, topic := range append(c.said, "\x01last") {
			if err := conn.Send(wait, []byte(topic)); err != nil {
				t.Fatal(err)
			}
		}
		var s *subscriber
		for late := time.After(wait); s == nil; {
			p.mu.Lock()
			for peer := range p.subscribers {
				if peer.topics["last"] > 0 {
					s = peer
				}
			}
			p.mu.Unlock()
			select {
			case <-late:
				t.Fatalf("%s: never subscribed", name)
			case <-time.After(time.Millisecond):
			}
		}
		p.mu.Lock()
		got := s.topics.Want(encodeOrder(Order{Kind: Fire}))
		p.remove(s)
		p.mu.Unlock()
		if got != c.want {
			t.Errorf("%s: wanted is %v", name, got)
		}
		conn.Close()
	}
}

// What was published before Close still reaches who listens.
func TestCloseSendsWhatWasPublished(t *testing.T) {
	p := listenTrigger(t)
	s := dialTrigger(t, p.Addr().String())
	hear(t, p, s)
	if err := errors.Join(p.Publish(Order{Kind: Release, Seq: 1}), p.Close()); err != nil {
		t.Fatal(err)
	}
	if r := next(t, s); r.Kind != Release {
		t.Fatalf("got %v", r)
	}
}

// A subscriber that takes nothing does not keep the port from closing.
func TestCloseDoesNotWaitForAStalledSubscriber(t *testing.T) {
	p := listenTrigger(t)
	dialStalled(t, p)
	var stalled *subscriber
	unsent := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		for s := range p.subscribers {
			if len(s.topics) > 0 {
				stalled = s
			}
		}
		if stalled == nil {
			return 0
		}
		return len(stalled.unsent)
	}
	for still := 0; still < 20; { // until the kernel takes no more
		if unsent() > 0 {
			still++
			time.Sleep(time.Millisecond)
			continue
		}
		still = 0
		for range maxUnsent / 2 {
			if err := p.Publish(Order{Kind: Arm}); err != nil {
				t.Fatal(err)
			}
		}
	}
	closed := make(chan error, 1)
	go func() { closed <- p.Close() }()
	select {
	case err := <-closed:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(wait):
		t.Fatal("still waiting")
	}
}
