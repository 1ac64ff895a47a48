package wire

import (
	"context"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tsrun/pipeline/datagram"
	"tsrun/pipeline/fact"
	"tsrun/sdk/tag"
)

const fastWait = time.Minute // longer than any test needs, so that speed decides nothing

// fastLab is a publisher and the nodes that listen to it.
type fastLab struct {
	t         *testing.T
	ctx       context.Context
	publisher *FastPublisher
	running   sync.WaitGroup
}

func newFastLab(t *testing.T) *fastLab {
	t.Helper()
	l := &fastLab{t: t}
	goleak.VerifyNone(t, goleak.IgnoreCurrent()) // what others left is theirs
	before := goleak.IgnoreCurrent()
	var stop context.CancelFunc
	l.ctx, stop = context.WithCancel(t.Context())
	var err error
	if l.publisher, err = ListenFast("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	l.running.Go(func() { l.publisher.Run(l.ctx) })
	t.Cleanup(func() {
		stop()
		l.running.Wait()
		goleak.VerifyNone(t, before)
	})
	return l
}

// node listens, until the publisher has its place, and returns the orders that it hears.
func (l *fastLab) node(access *datagram.Access) (*FastSubscriber, <-chan Received) {
	l.t.Helper()
	orders := make(chan Received, 1000)
	s, err := DialFast("127.0.0.1", *access, tag.RunID{1}, func(r Received, _ string) {
		if r.Kind != Beacon {
			orders <- r
		}
	})
	if err != nil {
		l.t.Fatal(err)
	}
	l.running.Go(func() { s.Run(l.ctx) })
	for end := time.Now().Add(fastWait); !s.Heard(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatal("nothing is heard of the publisher")
		}
		l.publish(Order{Kind: Beacon, Run: tag.RunID{1}, Sent: 1})
	}
	return s, orders
}

func (l *fastLab) publish(o Order) {
	l.t.Helper()
	if err := l.publisher.Publish(o); err != nil {
		l.t.Fatal(err)
	}
}

func (l *fastLab) admit() *datagram.Access {
	l.t.Helper()
	a, err := l.publisher.Admit()
	if err != nil {
		l.t.Fatal(err)
	}
	return a
}

func (l *fastLab) next(orders <-chan Received) Order {
	l.t.Helper()
	select {
	case r := <-orders:
		return r.Order
	case <-time.After(fastWait):
		l.t.Fatal("no order comes")
		return Order{}
	}
}

// dropped waits until a node has dropped as much.
func (l *fastLab) dropped(s *FastSubscriber, want fact.Dropped) {
	l.t.Helper()
	for end := time.Now().Add(fastWait); s.Dropped() != want; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			l.t.Fatalf("dropped %+v, want %+v", s.Dropped(), want)
		}
	}
}

// TestOrdersByUDP: every node that was admitted hears an order once, and one that was
// dismissed hears nothing more.
func TestOrdersByUDP(t *testing.T) {
	l := newFastLab(t)
	l.publish(Order{Kind: Fire, Seq: 1, Run: tag.RunID{1}}) // to nobody
	accesses := []*datagram.Access{l.admit(), l.admit(), l.admit()}
	var orders []<-chan Received
	var nodes []*FastSubscriber
	for _, a := range accesses {
		s, o := l.node(a)
		nodes, orders = append(nodes, s), append(orders, o)
	}
	fire := Order{Kind: Fire, Seq: 7, Run: tag.RunID{1}, Instant: 5e18, Sent: 5e18}
	l.publish(fire)
	l.publish(fire)
	for i, o := range orders {
		if got := l.next(o); got != fire {
			t.Errorf("node %d hears %+v", i, got)
		}
		l.dropped(nodes[i], fact.Dropped{Again: 1})
	}
	l.publisher.Dismiss(accesses[1])
	fire.Seq++
	l.publish(fire)
	l.next(orders[0])
	l.next(orders[2])
	if len(orders[1]) != 0 {
		t.Error("a node that was dismissed hears an order")
	}
}

// TestDatagramsThatStartNothing: each is counted, and none is passed on.
func TestDatagramsThatStartNothing(t *testing.T) {
	l := newFastLab(t)
	mine, others := l.admit(), l.admit()
	s, orders := l.node(mine)
	guest := func(a *datagram.Access) *datagram.Guest[struct{}] {
		return &datagram.Guest[struct{}]{Session: a.Session, Key: datagram.Key(a.Key)}
	}
	const now = int64(5e18)
	s.Note(now)
	fire := Order{Kind: Fire, Seq: 9, Run: tag.RunID{1}, Instant: now, Sent: now}
	good := appendDatagram(nil, kindOrder, fire, guest(mine))
	changed := func(i int, by byte) []byte {
		b := slices.Clone(good)
		b[i] ^= by
		return b
	}
	foreign, stranger := fire, *guest(mine)
	foreign.Run = tag.RunID{2}
	stranger.Key = datagram.Key{}
	old := fire
	old.Sent = now - 2*staleAfter.Nanoseconds()
	var want fact.Dropped
	for name, c := range map[string]struct {
		b     []byte
		count *uint64
	}{
		"nothing":            {nil, &want.Malformed},
		"a byte":             {good[:1], &want.Malformed},
		"cut":                {good[:len(good)-1], &want.Malformed},
		"without its code":   {good[:datagramHead], &want.Malformed},
		"too long":           {append(slices.Clone(good), 0), &want.Malformed},
		"as long as may be":  {make([]byte, datagramSize), &want.Malformed},
		"longer than may be": {append(slices.Clone(good), make([]byte, 2*datagramSize)...), &want.Malformed},
		"of another program": {changed(0, 1), &want.Malformed},
		"of another version": {changed(4, 3), &want.Malformed},
		"a hello":            {appendDatagram(nil, kindHello, fire, guest(mine)), &want.Malformed},
		"more codes told":    {changed(6, 2), &want.Malformed},
		"no codes told":      {changed(6, 1), &want.Malformed},
		"another order":      {changed(8+9, 1), &want.Forged},
		"another instant":    {changed(8+36, 1), &want.Forged},
		"another code":       {changed(len(good)-1, 1), &want.Forged},
		"another session":    {changed(datagramHead, 1), &want.Forged},
		"of another node":    {appendDatagram(nil, kindOrder, fire, guest(others)), &want.Forged},
		"of another key":     {appendDatagram(nil, kindOrder, fire, &stranger), &want.Forged},
		"of another run":     {appendDatagram(nil, kindOrder, foreign, guest(mine)), &want.Forged},
		"what was held up":   {appendDatagram(nil, kindOrder, old, guest(mine)), &want.Stale},
	} {
		*c.count++
		s.take(c.b, time.Now(), fact.ByUDP)
		if got := s.Dropped(); got != want {
			t.Fatalf("%s: %+v, want %+v", name, got, want)
		}
	}
	if len(orders) != 0 {
		t.Fatal("an order was passed on")
	}
	s.take(good, time.Now(), fact.ByUDP)
	if got := l.next(orders); got != fire {
		t.Errorf("the good one is %+v", got)
	}
	s.take(good, time.Now(), fact.ByUDP)
	if want.Again++; s.Dropped() != want || len(orders) != 0 {
		t.Errorf("a replayed one: %+v", s.Dropped())
	}
}

// TestHellosOfNobody: only a hello of a session that was not said before moves a node.
func TestHellosOfNobody(t *testing.T) {
	l := newFastLab(t)
	a := l.admit()
	guest := l.publisher.nodes.Find(a.Session)
	here, there := net.UDPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}, net.UDPAddr{IP: net.IPv4(192, 0, 2, 2), Port: 5}
	hello := func(seq uint64) []byte {
		return appendDatagram(nil, kindHello, Order{Kind: Beacon, Seq: seq}, guest)
	}
	l.publisher.hear(hello(5), here.AddrPort())
	for name, b := range map[string][]byte{
		"said before": hello(5), "an older one": hello(4), "nothing": {}, "cut": hello(6)[:80],
		"an order":         appendDatagram(nil, kindOrder, Order{Kind: Beacon, Seq: 6}, guest),
		"a Fire":           appendDatagram(nil, kindHello, Order{Kind: Fire, Seq: 6}, guest),
		"longer":           append(hello(6), 0),
		"of another key":   appendDatagram(nil, kindHello, Order{Kind: Beacon, Seq: 6}, &datagram.Guest[place]{Session: a.Session}),
		"of another guest": appendDatagram(nil, kindHello, Order{Kind: Beacon, Seq: 6}, &datagram.Guest[place]{Session: 1, Key: guest.Key}),
	} {
		l.publisher.hear(b, there.AddrPort())
		if guest.Of.at != here.AddrPort() {
			t.Fatalf("%s moves the node to %v", name, guest.Of.at)
		}
	}
	if l.publisher.hear(hello(6), there.AddrPort()); guest.Of.at != there.AddrPort() {
		t.Error("a new hello does not move the node")
	}
}

// BenchmarkOrderToTwenty sends one order to twenty nodes, each its own datagram.
func BenchmarkOrderToTwenty(b *testing.B) {
	p, err := ListenFast("127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer p.Close()
	for range 20 {
		a, err := p.Admit()
		if err != nil {
			b.Fatal(err)
		}
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			b.Fatal(err)
		}
		defer conn.Close()
		p.nodes.Find(a.Session).Of.at = conn.LocalAddr().(*net.UDPAddr).AddrPort()
	}
	for b.Loop() {
		if err := p.Publish(Order{Kind: Fire, Seq: 1, Run: tag.RunID{1}, Instant: 1, Sent: 1}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(20*b.N), "ns/node")
}

func TestAccessesThatAreNone(t *testing.T) {
	good := datagram.Access{Port: 5, Session: 1, Key: make([]byte, datagram.KeySize)}
	for name, change := range map[string]func(*datagram.Access){
		"no key":    func(a *datagram.Access) { a.Key = nil },
		"much port": func(a *datagram.Access) { a.Port = 1 << 20 },
		"no port":   func(a *datagram.Access) { a.Port = 0 },
	} {
		a := good
		change(&a)
		if s, err := DialFast("127.0.0.1", a, tag.RunID{1}, nil); err == nil {
			s.conn.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

// FuzzDatagrams: whatever comes, only what has the code of the session is passed on.
func FuzzDatagrams(f *testing.F) {
	mine := &datagram.Guest[struct{}]{Session: 3, Key: datagram.Key{4}}
	fire := Order{Kind: Fire, Seq: 1, Run: tag.RunID{1}, Instant: 1, Sent: 1}
	good := appendDatagram(nil, kindOrder, fire, mine)
	f.Add(good)
	f.Add(good[:70])
	f.Add(appendDatagram(nil, kindHello, fire, mine))
	f.Add(append(slices.Clone(good), good[datagramHead:]...))
	f.Fuzz(func(t *testing.T, b []byte) {
		passed := 0
		s := &FastSubscriber{run: tag.RunID{1}, session: *mine, hear: func(Received, string) { passed++ }, last: map[string]uint64{}}
		s.take(b, time.Time{}, fact.ByUDP)
		s.take(b, time.Time{}, fact.ByUDP)
		if passed > 1 || passed > 0 && !mine.Key.Made(b[datagramSigned:], b[:datagramSigned]) {
			t.Fatalf("passed on %d times", passed)
		}
		if d := s.Dropped(); d.All()+uint64(passed) != 2 && !s.heard {
			t.Fatalf("%+v", d)
		}
		p := &FastPublisher{}
		p.hear(b, (&net.UDPAddr{}).AddrPort())
	})
}
