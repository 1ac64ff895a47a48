package zmtp

import (
	"io"
	"net"
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
// It reports the ratio of the two rates, which a busy machine leaves alone.
func BenchmarkBlock(b *testing.B) {
	push, pull := pair(b, "unix", zmq4.Push, zmq4.Pull)
	plainIn, plainOut := plainPair(b)
	head, body, buf := make([]byte, benchHead), make([]byte, benchBlock), make([]byte, benchBlock)
	const turn = 64 // blocks of one kind before the other has its turn
	var framed, plain time.Duration
	for b.Loop() {
		framed += timed(b, turn, func() error { return push.Send(time.Minute, head, body) }, func() error {
			if _, _, err := pull.ReadFrame(buf); err != nil {
				return err
			}
			_, _, err := pull.ReadFrame(buf)
			return err
		})
		plain += timed(b, turn, func() error {
			v := net.Buffers{head, body}
			_, err := v.WriteTo(plainIn)
			return err
		}, func() error {
			if _, err := io.ReadFull(plainOut, buf[:benchHead]); err != nil {
				return err
			}
			_, err := io.ReadFull(plainOut, buf)
			return err
		})
	}
	blocks := float64(b.N) * turn
	b.ReportMetric(blocks*(benchHead+benchBlock)/framed.Seconds()/1e9, "GB/s")
	b.ReportMetric(plain.Seconds()/framed.Seconds(), "of-plain-socket")
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
