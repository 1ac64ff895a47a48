package zmtp

import (
	"io"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
)

const (
	benchHead  = 96
	benchBlock = 1 << 20
)

// BenchmarkBlock moves blocks of a header and 1 MiB over a unix socket as ZMTP
// messages, and beside it, turn by turn, the same bytes without any framing.
// It reports medians, also of the ratio of the two rates, which a busy machine
// leaves alone. The first turns, to which memory comes new, do not count.
func BenchmarkBlock(b *testing.B) {
	push, pull := pair(b, "unix", zmq4.Push, zmq4.Pull)
	plainIn, plainOut := plainPair(b)
	head, body, buf := make([]byte, benchHead), make([]byte, benchBlock), make([]byte, benchBlock)
	const turn, turns = 64, 15 // blocks of one kind before the other has its turn
	framing := func() float64 {
		return timed(b, turn, func() error { return push.Send(time.Minute, head, body) }, func() error {
			if _, _, err := pull.ReadFrame(buf); err != nil {
				return err
			}
			_, _, err := pull.ReadFrame(buf)
			return err
		}).Seconds()
	}
	bare := func() float64 {
		return timed(b, turn, func() error {
			v := net.Buffers{head, body}
			_, err := v.WriteTo(plainIn)
			return err
		}, func() error {
			if _, err := io.ReadFull(plainOut, buf[:benchHead]); err != nil {
				return err
			}
			_, err := io.ReadFull(plainOut, buf)
			return err
		}).Seconds()
	}
	framing()
	bare()
	var rates, ratios []float64
	for b.Loop() {
		for range turns {
			framed := framing()
			rates = append(rates, turn*(benchHead+benchBlock)/framed/1e9)
			ratios = append(ratios, bare()/framed)
		}
	}
	slices.Sort(rates)
	slices.Sort(ratios)
	b.ReportMetric(rates[len(rates)/2], "GB/s")
	b.ReportMetric(ratios[len(ratios)/2], "of-plain-socket")
	b.ReportMetric(0, "ns/op")
}

func timed(b *testing.B, n int, send, receive func() error) time.Duration {
	start, sent := time.Now(), make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < n && err == nil; i++ {
			err = send()
		}
		sent <- err
	}()
	for range n {
		if err := receive(); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-sent; err != nil {
		b.Fatal(err)
	}
	return time.Since(start)
}

func plainPair(b *testing.B) (in, out net.Conn) {
	l, err := net.Listen("unix", b.TempDir()+"/p")
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	if in, err = net.Dial("unix", l.Addr().String()); err != nil {
		b.Fatal(err)
	}
	if out, err = l.Accept(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { in.Close(); out.Close() })
	return in, out
}
