package keys

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/wire"
	"tsrun/sdk/zmtp"
)

// BenchmarkTrigger publishes orders to one slave over the loopback, with TLS and,
// turn by turn, without. It reports the time from publishing to receiving, the
// half and 99 of 100 that are below, and the medians of the ratios of turns.
func BenchmarkTrigger(b *testing.B) {
	master, bob := benched(b)
	secure, plain := newOrders(b, master, bob), newOrders(b, nil, nil)
	const turn, turns = 200, 15
	secure.times(b, turn)
	plain.times(b, turn)
	var with, without []time.Duration
	var half, most []float64
	for b.Loop() {
		for range turns {
			s, p := secure.times(b, turn), plain.times(b, turn)
			half = append(half, float64(quantile(s, 0.5))/float64(quantile(p, 0.5)))
			most = append(most, float64(quantile(s, 0.99))/float64(quantile(p, 0.99)))
			with, without = append(with, s...), append(without, p...)
		}
	}
	us := func(d time.Duration) float64 { return float64(d) / 1e3 }
	b.ReportMetric(us(quantile(with, 0.5)), "tls-p50-us")
	b.ReportMetric(us(quantile(with, 0.99)), "tls-p99-us")
	b.ReportMetric(us(quantile(without, 0.5)), "plain-p50-us")
	b.ReportMetric(us(quantile(without, 0.99)), "plain-p99-us")
	b.ReportMetric(quantile(half, 0.5), "tls-of-plain-p50")
	b.ReportMetric(quantile(most, 0.5), "tls-of-plain-p99")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkChunks moves chunks of a file of 1 MiB over the loopback, as the files port
// does, with TLS and, turn by turn, without. It reports medians.
func BenchmarkChunks(b *testing.B) {
	master, bob := benched(b)
	secure, plain := newChunks(b, master, bob), newChunks(b, nil, nil)
	const turn, turns = 64, 9
	secure.rate(b, turn)
	plain.rate(b, turn)
	var with, without, ratios []float64
	for b.Loop() {
		for range turns {
			s, p := secure.rate(b, turn), plain.rate(b, turn)
			with, without, ratios = append(with, s), append(without, p), append(ratios, s/p)
		}
	}
	b.ReportMetric(quantile(with, 0.5), "tls-GB/s")
	b.ReportMetric(quantile(without, 0.5), "plain-GB/s")
	b.ReportMetric(quantile(ratios, 0.5), "tls-of-plain")
	b.ReportMetric(0, "ns/op")
}

// quantile returns the value that a share of all is below. It sorts them.
func quantile[T float64 | time.Duration](all []T, share float64) T {
	slices.Sort(all)
	return all[min(int(share*float64(len(all))), len(all)-1)]
}

// benched returns what the two ends of a laboratory show and check.
func benched(b *testing.B) (master, bob *zmtp.Security) {
	b.Helper()
	s := &Store{dir: filepath.Join(b.TempDir(), "keys"), now: time.Now}
	if _, err := s.Init(); err != nil {
		b.Fatal(err)
	}
	if err := s.Issue("bob", s.dir, time.Hour); err != nil {
		b.Fatal(err)
	}
	master, err := s.Master()
	if err != nil {
		b.Fatal(err)
	}
	if bob, err = s.Node("bob"); err != nil {
		b.Fatal(err)
	}
	return master, bob
}

// orders is a trigger port and one slave that listens to it.
type orders struct {
	publisher  *wire.Publisher
	subscriber *wire.Subscriber
	seq        uint64
}

func newOrders(b *testing.B, master, bob *zmtp.Security) *orders {
	b.Helper()
	p, err := wire.ListenTrigger(b.Context(), "127.0.0.1:0", wire.Guard{Security: master})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { p.Close() })
	s, err := wire.DialTrigger(b.Context(), p.Addr().String(), "", bob)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { s.Close() })
	o := &orders{publisher: p, subscriber: s}
	for { // until it has subscribed
		if err := p.Publish(wire.Order{Kind: wire.Beacon}); err != nil {
			b.Fatal(err)
		}
		select {
		case <-s.Orders():
			o.drain()
			return o
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// drain takes what is still on its way.
func (o *orders) drain() {
	for {
		select {
		case <-o.subscriber.Orders():
		case <-time.After(100 * time.Millisecond):
			return
		}
	}
}

// times publishes n orders, one after the other, and returns how long each took.
func (o *orders) times(b *testing.B, n int) (all []time.Duration) {
	for range n {
		o.seq++
		begun := time.Now()
		if err := o.publisher.Publish(wire.Order{Kind: wire.Beacon, Seq: o.seq}); err != nil {
			b.Fatal(err)
		}
		select {
		case r := <-o.subscriber.Orders():
			if r.Seq != o.seq {
				b.Fatalf("order %d came for %d", r.Seq, o.seq)
			}
			all = append(all, r.At.Sub(begun))
		case <-time.After(time.Minute):
			b.Fatal("an order did not come")
		}
	}
	return all
}

// chunks is a connection of the files port.
type chunks struct {
	out, in *zmtp.Conn
	sent    []byte
	buf     []byte
}

func newChunks(b *testing.B, master, bob *zmtp.Security) *chunks {
	b.Helper()
	l, err := zmtp.Listen("tcp", "127.0.0.1:0", zmq4.Pair, zmtp.Options{Security: master})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	c := &chunks{sent: make([]byte, 1<<20), buf: make([]byte, 1<<20)}
	if c.out, err = zmtp.DialSecure(b.Context(), "tcp", l.Addr().String(), zmq4.Pair, bob); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.out.Close() })
	if c.in, err = l.Accept(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { c.in.Close() })
	return c
}

// rate moves n chunks and returns GB/s.
func (c *chunks) rate(b *testing.B, n int) float64 {
	begun, sent := time.Now(), make(chan error, 1)
	go func() { // ends with the last chunk
		for range n {
			if err := c.out.Send(time.Minute, c.sent); err != nil {
				sent <- fmt.Errorf("send: %w", err)
				return
			}
		}
		sent <- nil
	}()
	for range n {
		if _, _, err := c.in.ReadFrame(c.buf); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
	return float64(n) * float64(len(c.sent)) / time.Since(begun).Seconds() / 1e9
}
