package zmtp

import (
	"fmt"
	"io"
	"net"
	"slices"
	"testing"
)

// BenchmarkPlainSocket gives the limit of the block path: what a unix socket carries
// in writes of several sizes, from memory that is in the cache (hot), from memory that
// is not (cold), and from there by a copy into memory that stays in the cache
// (copied). The sizes take turns; medians.
func BenchmarkPlainSocket(b *testing.B) {
	const moved, rounds = 64 << 20, 5 // bytes of one turn
	cold := make([]byte, 4*moved)
	for i := range cold {
		cold[i] = byte(i) // a page that nobody has written is not there
	}
	in, out := plainPair(b)
	if err := in.(*net.UnixConn).SetWriteBuffer(sendBuffer); err != nil {
		b.Fatal(err)
	}
	hot, got := make([]byte, benchBlock), make([]byte, benchBlock)
	rates := map[string][]float64{}
	for b.Loop() {
		for round := range rounds {
			for size := 16 << 10; size <= benchBlock; size *= 4 {
				at := round * moved
				next := func() []byte {
					at = (at + size) % len(cold)
					return cold[at : at+size]
				}
				for way, piece := range map[string]func() []byte{
					"hot":    func() []byte { return hot[:size] },
					"cold":   next,
					"copied": func() []byte { return hot[:copy(hot, next())] },
				} {
					took := timed(b, moved/size, func() error { _, err := in.Write(piece()); return err },
						func() error { _, err := io.ReadFull(out, got[:size]); return err })
					name := fmt.Sprintf("GB/s-%s-%dKiB", way, size>>10)
					rates[name] = append(rates[name], moved/took.Seconds()/1e9)
				}
			}
		}
	}
	for name, of := range rates {
		slices.Sort(of)
		b.ReportMetric(of[len(of)/2], name)
	}
	b.ReportMetric(0, "ns/op")
}
