package wire

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/internal/hostile"
	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

func drawOrder(t *rapid.T) Order {
	o := Order{
		Kind:    OrderKind(rapid.IntRange(int(Beacon), int(Release)).Draw(t, "kind")),
		Seq:     rapid.Uint64().Draw(t, "seq"),
		Instant: rapid.Int64().Draw(t, "instant"),
		Sent:    rapid.Int64().Draw(t, "sent"),
	}
	copy(o.Run[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "run"))
	return o
}

func TestOrderIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawOrder(t)
		b := encodeOrder(want)
		if len(b) != orderSize {
			t.Fatalf("%d bytes", len(b))
		}
		if got, err := decodeOrder(b); err != nil || got != want {
			t.Fatal(got, err)
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Order
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Fatal(got, err)
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := decodeOrder(b); err == nil {
			t.Fatalf("byte %d was changed unseen", at)
		}
	})
}

func TestOrderKindsHaveNames(t *testing.T) {
	for k, want := range map[OrderKind]string{Beacon: "beacon", Fire: "fire", Release: "release", 0: "order 0", 9: "order 9"} {
		if k.String() != want {
			t.Errorf("%d is %q, not %q", k, k, want)
		}
	}
}

func FuzzDecodeOrder(f *testing.F) {
	f.Add(encodeOrder(Order{Kind: Fire, Seq: 7, Instant: 1, Sent: 2}))
	f.Add([]byte(orderMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := decodeOrder(b)
		if err == nil && !cmp.Equal(encodeOrder(o)[:52], b[:52]) && b[10] == 0 && b[11] == 0 {
			t.Fatalf("%v reads back as something else", o)
		}
	})
}

func listenTrigger(t *testing.T) *Publisher {
	t.Helper()
	p, err := ListenTrigger(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func dialTrigger(t *testing.T, addr string) *Subscriber {
	t.Helper()
	s, err := DialTrigger(t.Context(), addr)
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

// dialStalled makes a subscriber to everything that reads none of it.
func dialStalled(t *testing.T, p *Publisher) {
	t.Helper()
	c, err := zmtp.Dial(t.Context(), "tcp", p.Addr().String(), zmq4.Sub)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Send(wait, []byte("\x01")); err != nil {
		t.Fatal(err)
	}
}

func TestStalledSubscriberStopsNobody(t *testing.T) {
	p := listenTrigger(t)
	good := dialTrigger(t, p.Addr().String())
	hear(t, p, good)
	dialStalled(t, p)
	peers := func() int {
		p.mu.Lock()
		defer p.mu.Unlock()
		return len(p.subscribers)
	}
	for late := time.After(wait); peers() != 2; {
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			t.Fatalf("%d peers", peers())
		}
	}
	seq := uint64(0)
	for batch := 0; peers() == 2; batch++ { // until the stalled one's buffers are full and it is dropped
		for range 100 {
			seq++
			if err := p.Publish(Order{Kind: Arm, Seq: seq}); err != nil {
				t.Fatal(err)
			}
		}
		for next(t, good).Seq != seq {
		}
		if batch > 20_000 {
			t.Fatal("two million orders fit into a socket's buffer")
		}
	}
	if err := p.Publish(Order{Kind: Release, Seq: seq + 1}); err != nil {
		t.Fatal(err)
	}
	if r := next(t, good); r.Kind != Release {
		t.Fatalf("got %v", r)
	}
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

func TestTriggerPortInUse(t *testing.T) {
	p := listenTrigger(t)
	_, err := ListenTrigger(t.Context(), p.Addr().String())
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
	s, err := DialTrigger(ctx, "127.0.0.1:1") // nobody listens
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
	if _, err := DialTrigger(t.Context(), "no port"); err == nil {
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
		got := s.wants(encodeOrder(Order{Kind: Fire}))
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
