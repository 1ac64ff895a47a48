package tdc1

import (
	"encoding/binary"
	"math"
	"sync"
	"time"

	"tsrun/sdk/fifteen"
	"tsrun/sim/sky"
)

const (
	stepPs = fifteen.ShortTick
	msPs   = 1_000_000_000
	// slice is how much of an open gate is looked at at once, in ps.
	slice = 2 * msPs
)

// gate is one acquisition.
//
// Step n of the counter lies about n times 2 ns, so that a time stamp stands
// for the middle of its step. A dummy is sent at each mark, half a round apart,
// when no word was sent since the mark before; the first mark is passed over.
type gate struct {
	start      sky.Instant
	clock      sky.Clock
	detections *sky.Detections
	steps      int64 // of the gate; without end: as many as there are
	words      bool  // else only counts
	losses     []loss

	looked  int64 // ps of true time since start
	pending int64 // the step whose inputs are still gathered; -1: none
	inputs  uint8
	mark    int64 // the next one
	written bool  // a word since the mark before
	out     []byte
	drop    int                   // bytes that a fault takes from what follows
	room    func(already int) int // how many bytes of a word the unit can keep

	singles [fifteen.Detectors]uint64
	pairs   [4]uint64 // 1-3, 1-4, 2-3, 2-4

	mu      sync.Mutex
	truth   sky.Truth
	ledgers []*sky.Ledger
}

func newGate(eye *sky.Eye, acquisition int, start sky.Instant, locked bool, ms int64, words bool, losses []loss) *gate {
	g := &gate{start: start, clock: eye.Clock(locked), detections: eye.Detections(fifteen.Detectors, start, locked), steps: math.MaxInt64,
		words: words, losses: losses, pending: -1, mark: fifteen.ShortMark + fifteen.ShortHalf, truth: eye.Truth(acquisition, start, locked)}
	if ms > 0 {
		g.steps = ms * msPs / stepPs
	}
	for input := range fifteen.Detectors {
		g.ledgers = append(g.ledgers, sky.NewLedger(input+1))
	}
	return g
}

func (g *gate) told() sky.Truth {
	g.mu.Lock()
	defer g.mu.Unlock()
	t := g.truth
	t.Channels = nil
	for _, l := range g.ledgers {
		t.Channels = append(t.Channels, l.Truth())
	}
	return t
}

// advance sends what the inputs saw up to a moment, and says whether the gate is over.
func (g *gate) advance(now sky.Instant, send func(b []byte, at time.Time) error) (over bool, err error) {
	for until := now.Sub(g.start); g.looked < until && !over; {
		g.looked = min(g.looked+slice, until)
		shown := g.clock.Reading(g.looked).Whole
		over = g.look(shown)
		if err == nil {
			ns, _ := g.start.Add(g.looked).Unix()
			err = send(g.out, time.Unix(0, ns))
		}
		g.out = g.out[:0]
		if err != nil {
			return false, err
		}
	}
	return over, nil
}

// look takes in what the inputs saw until the clock shows a time.
func (g *gate) look(shown int64) (over bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	reached := min((shown+stepPs/2)/stepPs, g.steps) // no step before it changes any more
	g.detections.Until(shown, func(at int64, input int) {
		if at < 0 {
			return
		}
		step := (at + stepPs/2) / stepPs
		if step != g.pending {
			g.stamp(g.pending)
			g.pending = step
		}
		g.inputs |= 1 << (input - 1)
	})
	if g.pending < reached || reached == g.steps {
		g.stamp(g.pending)
	}
	g.pass(reached - 1)
	return reached == g.steps
}

// stamp writes the word of the step that is pending, if one is.
func (g *gate) stamp(step int64) {
	if step < 0 || g.pending < 0 || g.inputs == 0 {
		return
	}
	inputs := g.inputs
	g.pending, g.inputs = -1, 0
	if step >= g.steps {
		return
	}
	g.count(inputs)
	if !g.words {
		return
	}
	g.pass(step)
	whole := g.write(step, fifteen.NewShort(uint64(step), inputs))
	g.written = true
	for input, l := range g.ledgers {
		switch {
		case inputs>>input&1 == 0:
		case whole:
			l.Enter(uint64(step) * stepPs)
		default:
			l.LostToFault++
		}
	}
}

// pass writes the dummies that are due up to a step.
func (g *gate) pass(step int64) {
	for ; g.words && g.mark <= step; g.mark += fifteen.ShortHalf {
		if !g.written {
			g.write(g.mark, fifteen.ShortDummy(uint64(g.mark)))
		}
		g.written = false
	}
}

// write sends a word, or what a fault leaves of it.
func (g *gate) write(step int64, w fifteen.Short) (whole bool) {
	var b [wordSize]byte
	binary.LittleEndian.PutUint32(b[:], uint32(w))
	keep, most := 0, g.room(len(g.out))
	if g.drop == 0 && len(g.losses) > 0 && step*stepPs >= g.losses[0].at {
		g.drop, keep = g.losses[0].bytes, 1
		g.losses = g.losses[1:]
	}
	gone := min(g.drop, len(b)-keep)
	if gone == 0 && most == len(b) {
		g.out = append(g.out, b[:]...)
		return true
	}
	g.drop -= gone
	left := append(b[:keep:keep], b[keep+gone:]...)
	left = left[:min(len(left), most)]
	g.out = append(g.out, left...)
	return len(left) == len(b)
}

func (g *gate) count(inputs uint8) {
	for i := range g.singles {
		g.singles[i] += uint64(inputs >> i & 1)
	}
	for i, pair := range [...]uint8{0b0101, 0b1001, 0b0110, 0b1010} {
		if inputs&pair == pair {
			g.pairs[i]++
		}
	}
}
