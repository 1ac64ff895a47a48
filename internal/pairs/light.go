package pairs

import (
	"io"
	"math/rand/v2"
	"slices"
)

// Light is strong light of any length, of which some photons that A detects
// have a partner at B. Its tags are made while they are read, so that a record
// needs no memory. A's clock shows true time; B's runs fast by Frequency and
// shows Offset more at 0.
type Light struct {
	Seed      uint64
	Tags      int     // of A
	Rate      float64 // counts per second of each node
	Share     float64 // of A's photons, that have a partner
	Jitter    float64 // ps, standard deviation, of B
	Frequency float64
	Offset    int64 // ps
}

// source makes photons of A one by one.
type source struct {
	Light
	rng *rand.Rand
	t   float64 // ps
	n   int
}

func (l Light) source() *source { return &source{Light: l, rng: rand.New(rand.NewPCG(l.Seed, 21))} }

func (s *source) next() bool {
	s.t += s.rng.ExpFloat64() / s.Rate * 1e12
	s.n++
	return s.n <= s.Tags
}

// A returns A's tags from the first on.
func (l Light) A() *LightA { return &LightA{source: l.source()} }

// B returns B's.
func (l Light) B() *LightB {
	return &LightB{source: l.source(), own: rand.New(rand.NewPCG(l.Seed, 22)), open: true}
}

// LightA reads the tags of A.
type LightA struct {
	*source
	last uint64
}

// Next fills buf with tags in order of time; the error is io.EOF at the end.
func (a *LightA) Next(buf []uint64) (n int, err error) {
	for n < len(buf) && a.next() {
		a.last = max(a.last, uint64(a.t))
		buf[n] = a.last
		n++
	}
	if n == 0 && len(buf) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// LightB reads the tags of B.
type LightB struct {
	*source
	own   *rand.Rand
	fill  float64 // ps: of light without a partner
	ready []uint64
	later []uint64 // not yet in order
	open  bool
}

const (
	atOnce   = 1 << 12 // photons of A
	unsorted = 100_000 // ps: jitter brings tags out of order by less
)

// Next fills buf with tags in order of time; the error is io.EOF at the end.
func (b *LightB) Next(buf []uint64) (n int, err error) {
	for n < len(buf) && (len(b.ready) > 0 || b.open) {
		if len(b.ready) == 0 {
			b.make()
			continue
		}
		k := copy(buf[n:], b.ready)
		b.ready, n = b.ready[k:], n+k
	}
	if n == 0 && len(buf) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// make makes the tags of the next photons of A.
func (b *LightB) make() {
	shown := func(t float64) uint64 { return uint64(b.Offset + int64(t+b.Frequency*t)) }
	for range atOnce {
		if b.open = b.next(); !b.open {
			break
		}
		if b.own.Float64() < b.Share {
			b.later = append(b.later, shown(b.t+b.Jitter*b.own.NormFloat64()))
		}
	}
	for b.fill < b.t {
		if b.fill > 0 {
			b.later = append(b.later, shown(b.fill))
		}
		b.fill += b.own.ExpFloat64() / (b.Rate * (1 - b.Share)) * 1e12
	}
	slices.Sort(b.later)
	n := len(b.later)
	if b.open {
		n, _ = slices.BinarySearch(b.later, shown(b.t)-min(shown(b.t), unsorted))
	}
	b.ready = append(b.ready[:0], b.later[:n]...)
	b.later = append(b.later[:0], b.later[n:]...)
}

// Pairs is how many of A's photons have a partner, on average.
func (l Light) Pairs() float64 { return float64(l.Tags) * l.Share }
