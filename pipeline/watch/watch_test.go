package watch

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const second = uint64(1_000_000_000_000) // ps

// bench is a recipe of which alice's two channels are of one controller and bob's is not.
func bench(t *testing.T) *recipe.Recipe {
	t.Helper()
	loaded, err := recipe.Load("../../recipes/coincidence.yaml", recipe.Options{Stages: stage.Kinds(),
		Set: []string{"pipeline.1.config.of=[alice.signal, alice.herald, bob.idler]"}})
	if err != nil {
		t.Fatal(err)
	}
	return loaded.Recipe
}

// light are pairs of which each side is seen with a probability, and noise.
func light(seed uint64, seconds float64, pairs, noise float64, seen [2]float64, offset int64, ppb float64) (sides [2][]uint64) {
	r := rand.New(rand.NewPCG(seed, 1))
	for at := r.ExpFloat64() / pairs; at < seconds; at += r.ExpFloat64() / pairs {
		t := uint64(at * 1e12)
		for i := range sides {
			if r.Float64() < seen[i] {
				v := t + uint64(int64(r.NormFloat64()*80))
				if i == 1 {
					v += uint64(offset + int64(math.Round(ppb*1e-9*float64(t))))
				}
				sides[i] = append(sides[i], v)
			}
		}
	}
	for i := range sides {
		for at := r.ExpFloat64() / noise; at < seconds; at += r.ExpFloat64() / noise {
			sides[i] = append(sides[i], uint64(at*1e12))
		}
		sides[i] = slices.DeleteFunc(sides[i], func(v uint64) bool { return v >= uint64(seconds*1e12) })
		slices.Sort(sides[i])
	}
	return sides
}

// show shows the tags of a stream up to a time.
func show(stream uint16, tags []uint64, from, to uint64, zero int64) wire.StreamGlimpse {
	inside := within(tags, from, to)
	return wire.StreamGlimpse{StreamCounts: fact.StreamCounts{Stream: stream, Counts: fact.Counts{Tags: uint64(search(tags, to)), Until: to}},
		ZeroNs: zero, FromPs: from, ToPs: to, Packed: wire.PackGlimpse(from, inside)}
}

// Pairs of one controller, and of two whose clocks differ, are those that were made.
func TestPairsAreThoseThatWereMade(t *testing.T) {
	w, err := New(bench(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	const pairs, noise, bobsZero = 12_000.0, 2000.0, int64(5_000_000)
	offset := int64(3_000_000_000) // 3 ms
	sides := light(3, 3, pairs, noise, [2]float64{0.8, 0.5}, offset, 400)
	idler := within(sides[1], uint64(bobsZero*1000), 3*second) // bob starts 5 ms later, and counts from there
	for i := range idler {
		idler[i] -= uint64(bobsZero * 1000)
	}
	ctx, end := context.WithCancel(t.Context())
	var following sync.WaitGroup
	for _, c := range w.clocks {
		following.Go(func() { c.follow(ctx) })
	}
	defer following.Wait()
	defer end()
	now := time.Now()
	for at := uint64(0); at < 29*second/10; at += second / 5 {
		to := at + second/5
		w.take(offer{"alice", &wire.Glimpse{Streams: []wire.StreamGlimpse{show(0, sides[0], at, to, 1e18), show(1, sides[0], at, to, 1e18)}}}, now)
		w.take(offer{"bob", &wire.Glimpse{Streams: []wire.StreamGlimpse{show(0, idler, at, to, 1e18+bobsZero)}}}, now)
	}
	deadline := time.Now().Add(time.Minute)
	e := w.look(now)
	for e.Pairs[1].Pairs == nil && time.Now().Before(deadline) {
		time.Sleep(10 * time.Millisecond)
		e = w.look(now)
	}
	if len(e.Pairs) != 3 || e.Pairs[0].A+e.Pairs[0].B != "alice.signalalice.herald" || e.Pairs[1].B != "bob.idler" {
		t.Fatalf("%+v", e.Pairs)
	}
	near := func(what string, got *float64, want, within float64) {
		t.Helper()
		if got == nil || math.Abs(*got-want) > within {
			t.Errorf("%s: %v, want %v ± %v", what, got, want, within)
		}
	}
	p := e.Pairs[1]
	near("pairs", p.Pairs, pairs*0.8*0.5, 6**p.PairsSD)
	near("heralding of the signal", p.HeraldingA, pairs*0.8*0.5/(pairs*0.5+noise), 0.03)
	near("heralding of the idler", p.HeraldingB, pairs*0.8*0.5/(pairs*0.8+noise), 0.03)
	singlesA, singlesB := pairs*0.8+noise, pairs*0.5+noise
	near("g2", p.G2, pairs*0.8*0.5/(singlesA*singlesB*1e-9), 0.1*pairs*0.8*0.5/(singlesA*singlesB*1e-9))
	if p.PeakPs == nil || math.Abs(float64(*p.PeakPs)) > 300 {
		t.Errorf("the peak is at %v", p.PeakPs)
	}
	near("a channel with itself", e.Pairs[0].Pairs, singlesA, 6**e.Pairs[0].PairsSD)
	if r := e.Channels[0].Rate.Millihertz(); math.Abs(float64(r)/1000-singlesA) > 6*math.Sqrt(singlesA*5) {
		t.Errorf("rate %d mHz, want %v Hz", r, singlesA)
	}
	if late := w.look(now.Add(2 * time.Second)); late.Channels[0].Rate != nil || late.Pairs[1].Pairs != nil {
		t.Error("there are numbers of nodes of which nothing is heard")
	}
}

// Light without pairs has no peak, and as many coincidences as chance.
func TestChanceIsNoPeak(t *testing.T) {
	m := newMeeting(1000)
	a, b := light(5, 1, 1, 200_000, [2]float64{}, 0, 0), light(6, 1, 1, 200_000, [2]float64{}, 0, 0)
	m.limit(&channel{}, &channel{})
	m.count(piece{0, second, a[0]}, piece{0, second, b[1]}, line{})
	var e event.WatchedPairs
	m.tell(&e)
	if e.PeakPs != nil || math.Abs(*e.Pairs) > 6**e.PairsSD || math.Abs(*e.G2-1) > 6**e.G2SD {
		t.Errorf("peak %v, %v pairs/s, g2 %v", e.PeakPs, *e.Pairs, *e.G2)
	}
}

// What a node shows may be anything; nothing of it is believed that cannot be.
func TestGlimpsesThatMakeNoSense(t *testing.T) {
	w, err := New(bench(t), nil)
	if err != nil {
		t.Fatal(err)
	}
	good := show(0, []uint64{5, 6}, 0, second, 1e18)
	for _, bad := range []wire.StreamGlimpse{
		{StreamCounts: fact.StreamCounts{Stream: 9}},
		{ZeroNs: -5, ToPs: 7},
		{ZeroNs: math.MaxInt64, ToPs: 7},
		{ZeroNs: 1e18, FromPs: 5, ToPs: 1},
		{ZeroNs: 1e18, FromPs: 1, ToPs: math.MaxUint64},
		{ZeroNs: 1e18, ToPs: 3, Packed: []byte{9}},
		good, // told before
	} {
		for _, g := range []wire.StreamGlimpse{good, bad} {
			w.take(offer{"alice", &wire.Glimpse{Streams: []wire.StreamGlimpse{g}}}, time.Now())
		}
		w.take(offer{"nobody", &wire.Glimpse{Streams: []wire.StreamGlimpse{bad}}}, time.Now())
	}
	if n := len(w.streams["alice"][0].pieces); n != 1 {
		t.Errorf("%d stretches were kept", n)
	}
	w.look(time.Now())
}
