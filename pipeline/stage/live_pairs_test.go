package stage

import (
	"math"
	"slices"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// livePairs counts an experiment in segments of a second, by its true clock.
func livePairs(t *testing.T, r *recipe.Recipe, e pairs.Experiment) (p *LivePairs, truth pairs.Truth, a, b [][]uint64, clock [][]align.Value) {
	t.Helper()
	allA, allB, truth := e.Make()
	p, err := NewLivePairs(r, "align", "alice.signal", "bob.idler")
	if err != nil {
		t.Fatal(err)
	}
	cut := func(tags []uint64, from uint64) []uint64 {
		low, _ := slices.BinarySearch(tags, from)
		high, _ := slices.BinarySearch(tags, from+1e12)
		return tags[low:high]
	}
	for k := range uint64(e.Seconds) {
		from := truth.Start + k*1e12
		a, b = append(a, cut(allA, from)), append(b, cut(allB, from+uint64(truth.OffsetAt(from).Whole)))
		var values []align.Value
		for i := range uint64(11) {
			at := from + i*1e11
			values = append(values, align.Value{State: align.Tracking, Knot: track.Knot{Time: at, Offset: truth.OffsetAt(at), Frequency: truth.Frequency * 1e9}})
		}
		clock = append(clock, values)
	}
	return p, truth, a, b, clock
}

func TestLivePairs(t *testing.T) {
	r := &recipe.Recipe{Stages: []recipe.Stage{
		runtest.Stage("other", "coincidences", CoincidencesConfig{Of: []string{"bob.idler", "carol.x"}, Window: 1}),
		runtest.Stage("pairs", "coincidences", CoincidencesConfig{Of: []string{"bob.idler", "alice.signal"}, Window: 2 * quantity.Nanosecond}),
	}}
	p, truth, a, b, clock := livePairs(t, r, pairs.Experiment{Seed: 5, Seconds: 3, SinglesA: 20e3, SinglesB: 20e3, Frequency: 3e-9})
	var all, sum uint64
	for k := range a {
		e, ok, err := p.Count(0, k, a[k], b[k], clock[k])
		if err != nil || !ok {
			t.Fatalf("segment %d: %v %v", k, ok, err)
		}
		all += e.Last.All
		if e.Peak == nil || math.Abs(e.Peak.Centre) > 4*e.Peak.CentreSD || math.Abs(e.Peak.Sigma-truth.Sigma) > 4*e.Peak.SigmaSD {
			t.Errorf("segment %d: %+v, sigma should be %v", k, e.Peak, truth.Sigma)
		}
		if e.Segment != k || e.Counted != k+1 || e.WindowPs != 2000 || e.Total.All != all || e.AtPs != a[k][0] || !(e.Total.Net < quantity.Number(all)) || e.Total.CAR.Known() == (e.Total.CARAtLeast > 0) {
			t.Errorf("segment %d: %+v", k, e)
		}
		for _, n := range e.Newest {
			sum += n
		}
		if k < 2 {
			continue
		}
		var corrected, centre float64
		for i, n := range e.Counts {
			corrected += float64(n)
			sum -= n
			if i >= 180 {
				centre += float64(e.Raw[i]) // where drift has carried pairs to: 6 ns by the third second
			}
		}
		if sum != 0 || centre < 0.02*corrected {
			t.Errorf("newest and all differ by %d; raw has %v of %v beyond 8 of 10 ns", sum, centre, corrected)
		}
		if math.Abs(float64(e.Total.OfB)-float64(e.Last.OfB)) > 5*float64(e.Last.OfBSD) || !(e.Total.OfB > 0.05) {
			t.Errorf("heralding %v, of the last segment %v ± %v", e.Total.OfB, e.Last.OfB, e.Last.OfBSD)
		}
	}
}

// What is not known makes no number: no clock, no tags, a clock that was lost.
func TestLivePairsOfNothing(t *testing.T) {
	p, _, a, b, clock := livePairs(t, &recipe.Recipe{}, pairs.Experiment{Seed: 6, Seconds: 1, SinglesA: 20e3, SinglesB: 20e3})
	lost := slices.Clone(clock[0])
	for i := range lost {
		lost[i].State = align.Lost
	}
	for name, of := range map[string]struct {
		a, b  []uint64
		clock []align.Value
	}{"no clock": {a[0], b[0], nil}, "no tags of a": {nil, b[0], clock[0]}, "no tags of b": {a[0], nil, clock[0]}, "a clock that is lost": {a[0], b[0], lost}, "one tag each": {a[0][:1], b[0][:1], clock[0]}} {
		if e, ok, err := p.Count(0, 0, of.a, of.b, of.clock); ok || err != nil {
			t.Errorf("%s: %+v %v", name, e, err)
		}
	}
	e, ok, err := p.Count(0, 1, a[0], b[0], append(clock[0], clock[0]...)) // values twice, and backwards
	if err != nil || !ok || e.LeftOut != 5 || e.Counted != 1 || e.Peak == nil {
		t.Errorf("%v %v %+v", ok, err, e)
	}
}
