package live

import (
	"math/rand/v2"
	"slices"
	"testing"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
)

// TestAChainOfClocks: carol is followed against bob and bob against alice. Each tag of carol
// is once in the messages, where the lines of both carry it; those of bob's clock are there
// even if none of his channels is sent.
func TestAChainOfClocks(t *testing.T) {
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 2))
		const segments = 10
		r := newRig(t, recipe.LiveConfig{Of: []string{"alice.a", "carol.d"}}, true, func(whole *recipe.Recipe) {
			whole.Nodes = append(whole.Nodes, recipe.Node{Name: "carol", Channels: []recipe.Channel{{Name: "d", Controller: "tc"}}})
			whole.Stages = append(whole.Stages, runtest.Stage("second", "align", stage.AlignConfig{Reference: "bob.c", Target: "carol.d"}))
		})
		l := r.subscribe("")
		a, d := recorded(random, segments, 100), recorded(random, segments, 100)
		bob, carol := random.Int64N(4*int64(length))-2*int64(length), random.Int64N(4*int64(length))-2*int64(length)
		for i := range segments {
			give := []func(){
				func() { r.segment("alice", "a", i, a[i]...) },
				func() { r.segment("carol", "d", i, d[i]...) },
				func() {
					r.followed(i, align.Tracking, value(uint64(i)*length, bob+random.Int64N(201)-100, 1000*random.NormFloat64()))
				},
				func() {
					r.Follow(Followed{Stage: "second", Reference: "bob.c", Target: "carol.d", Next: i + 1, State: align.Tracking,
						Values: []align.Value{value(uint64(i)*length, carol+random.Int64N(201)-100, 1000*random.NormFloat64())}})
				},
			}
			random.Shuffle(len(give), func(i, k int) { give[i], give[k] = give[k], give[i] })
			for _, g := range give {
				g()
			}
		}
		r.End()
		all := l.all()
		tags, before, n := slices.Concat(d...), int64(-1<<62), 0
		for _, m := range all {
			if m.Kind != KindTags {
				continue
			}
			for i, at := range m.times {
				if at < before {
					t.Fatalf("a tag at %d follows one at %d", at, before)
				}
				if before = at; m.channels[i] == 0 {
					continue
				}
				if len(m.Clocks) != 2 || m.Clocks[0].Clock != "bob.tc" || m.Clocks[1].Against != "bob.tc" {
					t.Fatalf("%+v", m.Clocks)
				}
				due := tags[n]
				for _, c := range []Clock{m.Clocks[1], m.Clocks[0]} {
					correction, err := correlate.NewCorrection(c.Lines...)
					if err != nil {
						t.Fatal(err)
					}
					due = correction.Apply(due)
				}
				if n++; at != int64(due) {
					t.Fatalf("seed %d: tag %d is at %d, its lines say %d", seed, tags[n-1], at, int64(due))
				}
			}
		}
		if end := all[len(all)-1].Totals; n != len(tags) || end.Late+end.Withheld != 0 {
			t.Errorf("seed %d: %d tags of %d, %+v", seed, n, len(tags), end)
		}
	}
}
