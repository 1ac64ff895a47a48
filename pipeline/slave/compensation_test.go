package slave

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/sdk/quantity"
)

func TestCompensationOf(t *testing.T) {
	const us = quantity.Microsecond
	path := &fact.CommandPath{RoundTripNs: 300_000, ThereNs: 100_000, DoubtNs: 99_999}
	busy := &fact.CommandPath{RoundTripNs: 300_000, ThereNs: 100_000, DoubtNs: 100_000}
	for name, c := range map[string]struct {
		asked recipe.Compensation
		path  *fact.CommandPath
		err   error
		used  int64
		by    string
		why   bool
	}{
		"a number":           {recipe.Compensation{Time: 250 * us}, nil, nil, 250_000, "recipe", false},
		"before":             {recipe.Compensation{Time: -250 * us}, nil, nil, -250_000, "recipe", false},
		"measured":           {recipe.Compensation{Auto: true}, path, nil, 100_000, "measurement", false},
		"measured and added": {recipe.Compensation{Auto: true, Time: 250 * us}, path, nil, 350_000, "measurement and recipe", false},
		"taken off":          {recipe.Compensation{Auto: true, Time: -250 * us}, path, nil, -150_000, "measurement and recipe", false},
		"not known":          {recipe.Compensation{Auto: true}, busy, nil, 0, "nothing", true},
		"not known, added":   {recipe.Compensation{Auto: true, Time: 250 * us}, busy, nil, 250_000, "recipe", true},
		"cannot":             {recipe.Compensation{Auto: true}, nil, nil, 0, "nothing", true},
		"cannot, and added":  {recipe.Compensation{Auto: true, Time: us}, nil, nil, 1000, "recipe", true},
		"failed":             {recipe.Compensation{Auto: true}, nil, errors.New("unplugged"), 0, "nothing", true},
		"at the limit":       {recipe.Compensation{Auto: true, Time: recipe.MaxCompensation}, path, nil, 50_000_000, "measurement and recipe", false},
	} {
		n := compensationOf(c.asked, c.path, c.err)
		if n.UsedNs != c.used || n.By != c.by || (n.Why != "") != c.why || (n.MeasuredNs != nil) != (c.path == path) {
			t.Errorf("%s: %+v", name, n)
		}
		none, alike := n.Shared(0, mostEarly), n.Shared(70_000, mostEarly)
		if none.MeasuredNs != nil || none.UsedNs != none.RecipeNs || (none.Why != "") != c.asked.Auto {
			t.Errorf("%s, beside one that is not known: %+v", name, none)
		}
		if c.path == path && (*alike.MeasuredNs != 70_000 || alike.UsedNs != min(n.RecipeNs+70_000, mostEarly) || !alike.Alike) || c.path != path && alike != n {
			t.Errorf("%s, alike with others: %+v", name, alike)
		}
	}
}

// starts are those of a controller whose latency walks, behind a way that takes 50 us and
// of which so many answers are held up. It returns how late each begins in truth.
func starts(e early, rng *rand.Rand, n int, latency, heldUp float64) (late []int64) {
	for range n {
		const way = 50_000
		held := int64(0)
		if rng.Float64() < heldUp {
			held = rng.Int64N(5_000_000)
		}
		out, back := int64(way+rng.Int64N(5000)), int64(way+rng.Int64N(5000))
		shot := fact.Shot{Called: -e.UsedNs}
		began := shot.Called + out + int64(latency)
		shot.Returned = began + back + held
		late = append(late, began)
		e.note(&shot)
		e.learn(shot)
		e = e.follow()
		latency = max(0, latency+rng.NormFloat64()*4000)
	}
	return late
}

// What all nodes use alike counts for controllers that were timed, and for no others; where
// the master has said nothing each has its own.
func TestCompensationIsShared(t *testing.T) {
	timed := early{Compensation: fact.Compensation{UsedNs: 150, RecipeNs: 50, MeasuredNs: new(int64(100))}}
	given := early{Compensation: fact.Compensation{UsedNs: 50, RecipeNs: 50}}
	s := &session{}
	eq := &equipment{s: s, drivers: []*controller{{early: timed}, {early: given}}}
	used := func() [2]int64 { return [2]int64{eq.drivers[0].early.UsedNs, eq.drivers[1].early.UsedNs} }
	if eq.shareEarly(); used() != [2]int64{150, 50} {
		t.Errorf("nothing is shared, used %v", used())
	}
	s.shared = new(int64(300))
	if eq.shareEarly(); used() != [2]int64{350, 50} {
		t.Errorf("300 ns are shared, used %v", used())
	}
}

// Fifty shots of a controller that starts 250 us late, more or less by 4 us each time: it
// comes to begin at the instant, and stays there to 50 us.
func TestCompensationFollowsWhatStartsTake(t *testing.T) {
	back := int64(50_000)
	for _, c := range []struct {
		heldUp float64
		known  int // shots, after which all begin at the instant
		of     int // in so many of 200 runs at least
	}{{0, 6, 200}, {0.1, 8, 200}, {0.6, 30, 190}} {
		good := 0
		for seed := range uint64(200) {
			e := early{Compensation: fact.Compensation{UsedNs: 50_000}, back: &back}
			late := starts(e, rand.New(rand.NewPCG(seed, 1)), 50, 250_000, c.heldUp)
			if late[0] < 200_000 {
				t.Fatalf("seed %d: the first begins %d ns late", seed, late[0])
			}
			if slices.Min(late[c.known:]) >= -50_000 && slices.Max(late[c.known:]) <= 50_000 {
				good++
			}
		}
		if good < c.of {
			t.Errorf("%.0f %% of the answers are held up: %d of 200 runs come to begin at the instant, want %d", 100*c.heldUp, good, c.of)
		}
	}
}

// A latency that jumps is followed, too.
func TestCompensationFollowsAJump(t *testing.T) {
	back := int64(50_000)
	for seed := range uint64(100) {
		e := early{Compensation: fact.Compensation{UsedNs: 300_000}, back: &back, took: []int64{300_000, 300_000, 300_000}}
		late := starts(e, rand.New(rand.NewPCG(seed, 2)), 60, 1_250_000, 0.1)
		if last := late[50:]; slices.Min(last) < -50_000 || slices.Max(last) > 50_000 {
			t.Errorf("seed %d: begins %d ns late", seed, last)
		}
	}
}

// Whatever a device answers, a compensation moves by little and stays within bounds; one
// whose device does not tell when it began does not move.
func TestCompensationIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		back := rapid.Int64Range(0, 1_000_000).Draw(t, "back")
		tells := rapid.Bool().Draw(t, "tells")
		e := early{Compensation: fact.Compensation{UsedNs: rapid.Int64Range(-50_000_000, 50_000_000).Draw(t, "used")}}
		if tells {
			e.back = &back
		}
		for range rapid.IntRange(0, 20).Draw(t, "shots") {
			called := rapid.Int64().Draw(t, "called")
			e.learn(fact.Shot{Called: called, Returned: rapid.OneOf(rapid.Int64(), rapid.Just(called), rapid.Int64Range(0, 1_000_000)).Draw(t, "returned")})
			next := e.follow()
			if moved := next.UsedNs - e.UsedNs; moved > 100_000 || moved < -100_000 || next.UsedNs > 50_000_000 || next.UsedNs < -50_000_000 || !tells && moved != 0 {
				t.Fatalf("from %d to %d by %v", e.UsedNs, next.UsedNs, e.took)
			}
			e = next
		}
	})
}
