package correlate

import (
	"errors"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"tsrun/sdk/tag"
)

// TestCrewsTakeInOrder gives pieces of which the later ones are often done first.
func TestCrewsTakeInOrder(t *testing.T) {
	type work struct{ number, done int }
	for _, cores := range []int{1, 2, 5} {
		for _, n := range []int{0, 1, 3, 200} {
			var taken []int
			c := newCrew(cores, func(core int, w *work) {
				if core >= cores {
					t.Errorf("core %d of %d", core, cores)
				}
				for range rand.IntN(50) {
					runtime.Gosched()
				}
				w.done = w.number * w.number
			}, func(w *work) error {
				if w.done != w.number*w.number {
					t.Errorf("%d cores: piece %d is taken before it is done", cores, w.number)
				}
				taken = append(taken, w.number)
				return nil
			})
			for i := range n {
				w, err := c.next()
				if err != nil {
					t.Fatal(err)
				}
				w.number = i
				if err := c.give(); err != nil {
					t.Fatal(err)
				}
			}
			if err := c.finish(); err != nil {
				t.Fatal(err)
			}
			c.stop()
			if len(taken) != n || !slices.IsSorted(taken) {
				t.Errorf("%d cores take %v", cores, taken)
			}
		}
	}
}

// TestCrewsStopAtAnError takes no piece after one that is refused, and leaves nobody at
// work.
func TestCrewsStopAtAnError(t *testing.T) {
	refused := errors.New("refused")
	for _, cores := range []int{1, 3} {
		taken := 0
		c := newCrew(cores, func(_ int, p *int) { *p = -*p }, func(p *int) error {
			if taken++; *p == -7 {
				return refused
			}
			return nil
		})
		var err error
		for i := 0; err == nil && i < 100; i++ {
			var p *int
			if p, err = c.next(); err == nil {
				*p = i
				err = c.give()
			}
		}
		c.stop()
		if err != refused || taken != 8 {
			t.Errorf("%d cores: %v after %d pieces", cores, err, taken)
		}
	}
}

// TestSpansInUseStay holds on to spans while others are made: what they show is not
// written over, and all tags are handed out once.
func TestSpansInUseStay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	line, err := NewCorrection(Line{Reference: 1 << 40, Offset: 12_345, Frequency: 20_000_000})
	if err != nil {
		t.Fatal(err)
	}
	for _, reach := range []int64{0, 1_000_000, 1 << 36} { // the longest holds more than is read at once
		rng := rand.New(rand.NewPCG(3, uint64(reach)))
		a, b := drawRecord(rng, 200_000, 1<<40, 1_000_000), drawRecord(rng, 250_000, 1<<40, 800_000)
		g, err := newGather([]Channel{{Tags: piecewise{tag.NewReader(a)}}, {Tags: piecewise{tag.NewReader(b)}, Correction: line}}, reach, 1000, true)
		if err != nil {
			t.Fatal(err)
		}
		wants := [2][2][]uint64{{a, a}, {b, line.ApplyAll(nil, b)}}
		type use struct{ views, copies [2]view }
		var inUse []use
		var handed [2]int
		release := func() {
			for i, v := range inUse[0].views {
				if c := inUse[0].copies[i]; !slices.Equal(v.fixed, c.fixed) || !slices.Equal(v.raw, c.raw) {
					t.Fatalf("reach %d: a span in use has changed", reach)
				}
			}
			inUse = inUse[1:]
		}
		for {
			g.used = g.spans + 1 - len(inUse)
			more, err := g.another()
			if err != nil {
				t.Fatal(err)
			}
			if !more {
				break
			}
			var u use
			for i, l := range g.lanes {
				v := l.view
				u.views[i], u.copies[i] = v, view{fixed: slices.Clone(v.fixed), raw: slices.Clone(v.raw)}
				end := handed[i] + v.high - v.low
				if !slices.Equal(v.raw[v.low:v.high], wants[i][0][handed[i]:end]) || !slices.Equal(v.fixed[v.low:v.high], wants[i][1][handed[i]:end]) {
					t.Fatalf("reach %d: channel %d hands out other tags than those that follow", reach, i)
				}
				handed[i] = end
			}
			if inUse = append(inUse, u); len(inUse) > 6 {
				release()
			}
		}
		for len(inUse) > 0 {
			release()
		}
		g.close()
		if handed != [2]int{len(a), len(b)} {
			t.Errorf("reach %d: %v tags were handed out", reach, handed)
		}
	}
}

// TestSilenceHoldsNothing counts records of which A is silent for most of the time, or
// says nothing at all: what B brings meanwhile is not held.
func TestSilenceHoldsNothing(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(2))
	b := make([]uint64, 3<<20) // 24 strips of memory
	for i := range b {
		b[i] = uint64(i) * 1000
	}
	const half, most = 500, 8 // strips
	for name, a := range map[string][]uint64{
		"none": {}, "first": b[:1000], "both ends": slices.Concat(b[:1000], b[len(b)-1000:]), "few": {b[5], b[1<<20], b[2<<20]},
	} {
		for _, kind := range []string{"coincidences", "histogram"} {
			g, err := newGather([]Channel{{Tags: piecewise{tag.NewReader(a)}}, {Tags: piecewise{tag.NewReader(b)}}}, 1_000_000, chunk, false)
			if err != nil {
				t.Fatal(err)
			}
			found := uint64(0)
			if kind == "histogram" {
				y := newTallies(-half, half, 2)
				err = y.count(g)
				_, found = y.sum()
			} else {
				c := newCounter(3, half, evenly(200_000))
				err = newPairing(c, g, &lister{}).count()
				found = c.one
			}
			if err != nil || found != uint64(len(a)) {
				t.Errorf("%s, A %s: %d pairs of %d, %v", kind, name, found, len(a), err)
			}
			if held := len(g.lanes[1].strips[0].lent); held > most {
				t.Errorf("%s, A %s: %d strips of B are held at the end, want at most %d", kind, name, held, most)
			}
			g.close()
		}
	}
}

// piecewise is a stream that is not in memory.
type piecewise struct{ of Stream }

func (p piecewise) Next(buf []uint64) (int, error) { return p.of.Next(buf[:min(len(buf), 5000)]) }
