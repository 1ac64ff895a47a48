package clock

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// network makes exchanges of clocks that are known: θ(t) = offset + drift t, and
// ways of at least out and back ns with tails.
type network struct {
	offset    int64   // ns
	drift     float64 // a fraction
	bend      float64 // of the drift, in 1/s
	out, back float64 // ns
	tail      float64 // ns: mean of what is added to each way
	held      float64 // ns that the other PC, which is busy, holds an answer back at most
}

const epoch = int64(1_790_000_000_000_000_000)

// turned is what θ has become besides offset.
func (n network) turned(ns float64) float64 { return n.drift*ns + n.bend*ns*ns/2e9 }

// local returns what this PC's clock shows at a moment of the other's.
func (n network) local(ns float64) int64 {
	return epoch + n.offset + int64(math.Round(ns+n.turned(ns)))
}

func (n network) exchanges(rng *rand.Rand, count int, every float64) []Exchange {
	window := make([]Exchange, count)
	for i := range window {
		sent := (float64(i) + rng.Float64()/2) * every // on the other's clock
		came := sent + n.out + n.tail*rng.ExpFloat64()
		left := came + (20_000+n.held)*rng.Float64()
		heard := left + n.back + n.tail*rng.ExpFloat64()
		window[i] = Exchange{
			T1: n.local(sent), T2: epoch + int64(math.Round(came)),
			T3: epoch + int64(math.Round(left)), T4: n.local(heard)}
	}
	return window
}

// TestReadingsHold asks many readings of known clocks: the bound always holds, and
// with equal ways the deviation is one.
func TestReadingsHold(t *testing.T) {
	for name, n := range map[string]network{
		"kernel stamps":     {offset: 0, out: 400, back: 400, tail: 150},
		"a millisecond":     {offset: 1e6, drift: 10e-6, out: 400, back: 400, tail: 150},
		"a second behind":   {offset: -1e9, drift: -50e-6, out: 20e3, back: 20e3, tail: 8e3},
		"an hour":           {offset: 3.6e12, drift: 50e-6, out: 40e3, back: 40e3, tail: 40e3},
		"since 1970":        {offset: -epoch, drift: 3e-6, out: 400, back: 400, tail: 100},
		"asymmetric":        {offset: 5e5, drift: 1e-6, out: 100.4e3, back: 400, tail: 2e3},
		"asymmetric back":   {offset: 5e5, drift: 1e-6, out: 400, back: 100.4e3, tail: 2e3},
		"a slow round trip": {offset: 5e6, drift: 20e-6, out: 1e9, back: 1e9, tail: 20e6},
		"a busy master":     {offset: 1e6, drift: -50e-6, out: 400, back: 400, tail: 150, held: 40e6},
		"busy, turned fast": {offset: 1e6, drift: 500e-6, out: 400, back: 400, tail: 150, held: 200e6},
		"turned fast":       {offset: 5e6, drift: 500e-6, out: 400, back: 400, tail: 150},
		"turned slow":       {offset: -5e6, drift: -500e-6, out: 20e3, back: 20e3, tail: 8e3},
		"a crystal":         {offset: 5e6, drift: 20e-6, bend: 1e-9, out: 400, back: 400, tail: 150},
	} {
		t.Run(name, func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			const trials = 400
			outside, far := 0, 0
			for range trials {
				count := []int{LeastExchanges, 20, 64, 256}[rng.IntN(4)]
				window := n.exchanges(rng, count, 50e6)
				last := float64(window[count-1].T3-epoch) + 1e9*rng.Float64()
				at := n.local(last)
				r, ok := read(window, at)
				if !ok {
					t.Fatal("no reading")
				}
				wrong := float64(r.Offset-n.offset) - n.turned(last)
				if math.Abs(wrong) > float64(r.Bound) {
					outside++
					t.Logf("off by %.0f ns, bound %d ns, of %d", wrong, r.Bound, count)
				}
				if math.Abs(wrong) > 3*r.Deviation {
					far++
				}
				if back := r.Translate(epoch + int64(math.Round(last))); math.Abs(float64(back-at)-wrong) > 2+math.Abs(n.drift*wrong)+float64(r.Bound)*maxDrift {
					t.Fatalf("translated to %d, want %d", back, at+int64(wrong))
				}
			}
			if outside > 0 {
				t.Errorf("%d of %d are outside of their bound", outside, trials)
			}
			if n.out == n.back && far > trials/50 {
				t.Errorf("%d of %d are more than 3 deviations off", far, trials)
			}
		})
	}
}

// TestReadingsOfClocksThatRunTooFast: of a clock that runs as none does, too, the bound holds.
func TestReadingsOfClocksThatRunTooFast(t *testing.T) {
	for _, drift := range []float64{2000e-6, -2000e-6, 0.1} {
		rng := rand.New(rand.NewPCG(7, 8))
		n := network{offset: 5e6, drift: drift, out: 400, back: 400, tail: 150}
		for range 100 {
			window := n.exchanges(rng, 64, 50e6)
			at := window[63].T3
			r, ok := read(window, n.local(float64(at-epoch)))
			if wrong := math.Abs(float64(r.Offset-n.offset) - n.turned(float64(at-epoch))); !ok || !r.Unstable || wrong > float64(r.Bound) || !r.Plausible() {
				t.Fatalf("drift %g: reading %+v, off by %.0f ns", drift, r, wrong)
			}
		}
	}
}

// TestReadingsOfSlewedClocks has a service begin to turn a clock by the most that it
// does, anywhere in a window: the bound holds, and is a number.
func TestReadingsOfSlewedClocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(9, 10))
	for range 400 {
		window := network{out: 400, back: 400, tail: 100}.exchanges(rng, 128, 50e6)
		from := rng.IntN(127)
		begin := window[from].T4
		for i := from + 1; i < len(window); i++ {
			e := &window[i]
			e.T1 += (e.T1 - begin) / 2000
			e.T4 += (e.T4 - begin) / 2000
		}
		at := window[127].T4
		truth := float64(at-begin) / 2001
		r, ok := read(window, at)
		if wrong := math.Abs(float64(r.Offset) - truth); !ok || wrong > float64(r.Bound) || !r.Plausible() {
			t.Fatalf("from %d on: reading %+v, off by %.0f ns", from, r, wrong)
		}
	}
}

// TestReadingsOfBentClocks turns a clock faster in the middle of a window.
func TestReadingsOfBentClocks(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	before := network{out: 400, back: 400, tail: 100}
	window := before.exchanges(rng, 128, 50e6)
	for i := range window {
		if e := &window[i]; i >= 64 { // by 100 ppm
			e.T1 += (e.T1 - window[63].T4) / 10_000
			e.T4 += (e.T4 - window[63].T4) / 10_000
		}
	}
	at := window[127].T4
	truth := float64(at-window[63].T4) / 10_001
	r, ok := read(window, at)
	if wrong := math.Abs(float64(r.Offset) - truth); !ok || !r.Unstable || wrong > float64(r.Bound) || math.Abs(r.Drift-100_000) > 1000 {
		t.Errorf("reading %+v, off by %.0f ns", r, wrong)
	}
}

func TestTooFewExchangesAreNoReading(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	if r, ok := read(network{out: 400, back: 400}.exchanges(rng, LeastExchanges-1, 50e6), epoch); ok {
		t.Errorf("reading %+v", r)
	}
}

// A clock that shows another century is compared as any: 1960, 2050 and 2110, beside one that is right.
func TestClocksOfOtherCenturies(t *testing.T) {
	for _, year := range []int{1960, 2050, 2110} {
		off := time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC).UnixNano() - epoch
		var window []Exchange
		for i := range int64(20) {
			at := epoch + i*50e6
			e := Exchange{at + off, at + 400, at + 500, at + 900 + off}
			if !e.possible() {
				t.Fatalf("%d: %+v is not possible", year, e)
			}
			window = append(window, e)
		}
		r, ok := read(window, epoch+1e9+off)
		if !ok || r.Offset != off || r.Bound > 1000 || !r.Plausible() || r.Translate(epoch+2e9) != epoch+2e9+off {
			t.Errorf("%d: %+v, truly %d", year, r, off)
		}
		s := Standing{Source: PTP, At: epoch + off}
		if !s.Plausible() {
			t.Errorf("%d: %+v cannot be", year, s)
		}
	}
}

func TestImpossibleExchanges(t *testing.T) {
	good := Exchange{epoch, epoch + 500, epoch + 600, epoch + 1100}
	if !good.possible() {
		t.Fatal("a good one is not possible")
	}
	for _, e := range []Exchange{
		{good.T4, good.T2, good.T3, good.T1},
		{good.T1, good.T3, good.T2, good.T4},
		{good.T1, good.T2, good.T2 + 2000, good.T4}, // the answer took longer than all
		{good.T1, math.MinInt64, good.T3, good.T4},
		{good.T1, math.MinInt64, math.MaxInt64, good.T4},
		{math.MinInt64, good.T2, good.T3, math.MaxInt64},
		{},
	} {
		if e != (Exchange{}) && e.possible() {
			t.Errorf("%+v is possible", e)
		}
	}
}
