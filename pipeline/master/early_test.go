package master

import (
	"testing"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
)

// Controllers whose commands were timed are fired earlier alike, by nothing measured, or
// each by its own: as the nodes have told, in the order to arm and in the manifest.
func TestMasterSharesCompensation(t *testing.T) {
	told := func(there, doubt int64) wire.Early {
		e := wire.Early{Controller: "tc", Compensation: fact.Compensation{UsedNs: there, MeasuredNs: &there, By: fact.ByMeasurement}}
		e.Path = &fact.CommandPath{Questions: 64, RoundTripNs: 2 * there, ThereNs: there, DoubtNs: doubt}
		return e
	}
	cannot := wire.Early{Controller: "tc", Compensation: fact.Compensation{By: fact.ByNothing, Why: "it is unplugged"}}
	number := wire.Early{Controller: "tc", Compensation: fact.Compensation{UsedNs: 500, RecipeNs: 500, By: fact.ByRecipe}}
	for name, c := range map[string]struct {
		alice, bob wire.Early
		shared     bool
		used       [2]int64
	}{
		"alike":                  {told(100, 30), told(200, 30), true, [2]int64{150, 150}},
		"different":              {told(100, 10), told(200, 10), false, [2]int64{100, 200}},
		"one cannot":             {told(100, 10), cannot, true, [2]int64{0, 0}},
		"one is doubtful":        {told(100, 10), told(200, 300), true, [2]int64{0, 0}},
		"one has a number":       {told(100, 10), number, true, [2]int64{100, 500}},
		"nobody was timed":       {number, number, false, [2]int64{500, 500}},
		"of another controller":  {told(100, 10), wire.Early{Controller: "none"}, true, [2]int64{100, 0}},
		"what cannot be is none": {told(100, 10), told(-1<<62, 1<<62), true, [2]int64{0, 0}},
	} {
		l := listening(t)
		t.Cleanup(l.saver.wait) // the link to the latest run
		l.book.beEarly("alice", &c.alice)
		l.book.beEarly("bob", &c.bob)
		order := wire.Order{Kind: wire.Fire}
		if l.shareEarly(&order); order.Shared {
			t.Errorf("%s: a start tells of compensation", name)
		}
		order.Kind = wire.Arm
		l.shareEarly(&order)
		used := [2]int64{}
		for i, node := range []string{"alice", "bob"} {
			if c := l.book.manifest.Nodes[node].Controllers["tc"].Compensation; c != nil {
				used[i] = c.UsedNs
			}
		}
		if order.Shared != c.shared || used != c.used {
			t.Errorf("%s: %+v, used %v", name, order, used)
		}
		again := told(700, 10) // a slave that is started anew within the run, and has measured again
		l.book.beEarly("bob", &again)
		want := int64(700)
		if c.shared {
			want = order.SharedNs
		}
		if got := l.book.manifest.Nodes["bob"].Controllers["tc"].Compensation.UsedNs; got != want {
			t.Errorf("%s: started anew, bob is fired %d ns earlier, want %d", name, got, want)
		}
	}
}

// A controller that was started although its start was called off is told.
func TestStartedAlone(t *testing.T) {
	c := listening(t)
	t.Cleanup(c.saver.wait)
	said := func() (all []string) {
		c.book.manifest.Judge()
		for _, r := range c.book.manifest.Reasons {
			if r.Condition == run.Aborted && r.Node == "alice" {
				all = append(all, r.Message)
			}
		}
		return all
	}
	c.tellAlone("alice", &wire.ShotFired{Controller: "tc"})
	if got := said(); len(got) != 0 {
		t.Errorf("of a start that holds: %q", got)
	}
	c.state.phase = failed
	c.tellAlone("alice", &wire.ShotFired{Controller: "tc"})
	if got := said(); len(got) != 1 || got[0] != `controller "tc" had been started when the start was called off, and recorded alone` {
		t.Errorf("of one that was called off: %q", got)
	}
}
