package calibrate

import (
	"math"
	"math/rand/v2"
	"testing"

	"tsrun/pipeline/align"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

// repeated is a run of several shots of alice, whose controller begins 50 us after its
// command, and bob, whose takes 300 us. Commands are on their way up to 10 us longer, so many
// are held up by milliseconds, and bob's compensation is another in each shot.
func repeated(t *testing.T, rng *rand.Rand, shots int, heldUp float64) (*run.Manifest, *recipe.Recipe) {
	m, r := world{latency: map[string]int64{}}.run(t)
	s := stage.AlignSummary{Reference: "alice.c", Target: "bob.c", Alignment: &align.Alignment{}}
	m.Trigger.Shots = make([]run.TriggerShot, shots)
	for k := range shots {
		at := uint64(k) * 1_000_000_000_000
		instant := epoch + int64(k)*1_000_000_000
		begun := map[string]int64{}
		for _, name := range []string{"alice", "bob"} { // in this order: what is drawn is the same each time
			latency, used := map[string]int64{"alice": 50_000, "bob": 300_000}[name], int64(0)
			if name == "bob" {
				used = int64(k) * 5000
			}
			called := instant - used + rng.Int64N(3000)
			begun[name] = called + latency + rng.Int64N(10_000)
			if rng.Float64() < heldUp {
				begun[name] += rng.Int64N(5_000_000)
			}
			shot := fact.Shot{Asked: instant - used, Called: called, Returned: begun[name] + 50_000, CompensationNs: &used}
			m.Nodes[name].Take(fact.Take{Number: k + 1, At: at, InstantNs: instant, CompensationNs: used}, nil)
			m.Nodes[name].TakeShot("tc", shot)
		}
		s.Shots = append(s.Shots, stage.AlignedShot{Shot: k + 1, Start: at, StartOffset: quantity.NewFine((begun["alice"]-begun["bob"])*1000, 0), StartSD: 10})
	}
	m.StartTakes()
	m.Results = []run.Result{result(t, s)}
	return m, r
}

// All shots of a run are used: held up ones do not spoil what is proposed, more make it
// better, and what is stated of it holds.
func TestCalibrateByAllShots(t *testing.T) {
	const want = 250_000
	within, stated := 0, 0
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 3))
		shots := []int{1, 4, 10, 50}[seed%4]
		m, r := repeated(t, rng, shots, []float64{0, 0.3}[seed/4%2])
		if shots == 1 && seed/4%2 == 1 {
			continue // one that was held up is all there is
		}
		p := propose(m, r)
		if p.Refused != "" || len(p.Compensation) != 1 || p.Pairs[0].Shots != shots || (p.Pairs[0].ChangeSD != nil) != (shots >= fewest) {
			t.Fatalf("seed %d, %d shots: %+v", seed, shots, p)
		}
		off := math.Abs(float64(p.Compensation[0].Is - want))
		if off > 12_000 && shots != 4 {
			t.Errorf("seed %d, %d shots: off by %.0f ns", seed, shots, off)
		}
		if sd := p.Pairs[0].ChangeSD; sd != nil {
			stated++
			if off <= 3**sd+step {
				within++
			}
		}
	}
	if stated < 90 || within < stated*9/10 {
		t.Errorf("%d of %d are within three of the deviations that are stated", within, stated)
	}
}

// What may be chance is not changed; shots that were not started do not count.
func TestCalibrateRefusesChance(t *testing.T) {
	m, r := repeated(t, rand.New(rand.NewPCG(1, 1)), 10, 0)
	r.Trigger.Compensation["bob"] = recipe.Compensation{Time: 250_500 * quantity.Nanosecond}
	if p := propose(m, r); len(p.Compensation) != 0 || p.Pairs[0].Change == nil || *p.Pairs[0].Change != 0 && p.Refused == "" {
		t.Errorf("%+v of %+v", p, p.Pairs[0])
	}
	m, r = repeated(t, rand.New(rand.NewPCG(1, 1)), 10, 0)
	m.Nodes["bob"].Takes = m.Nodes["bob"].Takes[:6]
	if p := propose(m, r); p.Refused != "" || p.Pairs[0].Shots != 6 {
		t.Errorf("%+v", p.Pairs[0])
	}
	m.Nodes["bob"].Takes = nil
	if p := propose(m, r); p.Refused == "" {
		t.Errorf("%+v", p.Pairs[0])
	}
}
