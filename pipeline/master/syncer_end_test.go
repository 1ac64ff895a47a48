package master

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/live"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

// network is a recipe of one align stage that finds several clocks against alice's.
func network(search quantity.Time, targets ...string) *recipe.Recipe {
	return &recipe.Recipe{
		Sinks: []recipe.Sink{{Name: "raw"}},
		Stages: []recipe.Stage{runtest.Stage("align", "align", stage.AlignConfig{Reference: "alice.signal", Others: targets,
			Search: search, MaxDrift: 1000 * quantity.PartPerBillion})},
	}
}

// lights are the segments of alice, whose light bob shares from the beginning, and carol
// from the second segment on.
func (r *rig) lights(seconds float64) (byNode map[string][]run.Segment) {
	a, b, truth := pairs.Experiment{Seed: 4, Seconds: 6, SinglesA: 10e3, SinglesB: 10e3, Pairs: 2e3, Offset: 1e6, Start: 1e12}.Make()
	_, dark, _ := pairs.Experiment{Seed: 5, Seconds: 6, SinglesA: 10e3, SinglesB: 10e3, Pairs: -1, Start: 1e12}.Make()
	until := truth.Start + uint64(2e12)
	n, _ := slices.BinarySearch(dark, until)
	k, _ := slices.BinarySearch(b, until)
	return map[string][]run.Segment{
		"alice": r.keep("alice", "signal", a, truth.Start, seconds),
		"bob":   r.keep("bob", "idler", b, truth.Start, seconds),
		"carol": r.keep("carol", "idler", append(dark[:n:n], b[k:]...), truth.Start, seconds),
	}
}

// followsFirst offers the first segments of nodes, and waits until all were followed.
func (r *rig) followsFirst(byNode map[string][]run.Segment) {
	r.t.Helper()
	for _, segments := range byNode {
		r.offers(segments[0])
	}
	for range 3000 {
		if r.seen.segments() == len(byNode)-1 {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	r.t.Fatal("the first segments are not followed after five minutes")
}

// segments is how many were told to be followed.
func (o *observed) segments() (n int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		if s, ok := e.(event.Sync); ok && s.Segment != nil {
			n++
		}
	}
	return n
}

// ends offers all segments but some first ones as if the run were over already, and no time
// were left for clocks that were never found. It returns how many values there are of each
// target, and the targets in the order in which segments were followed then.
func (r *rig) ends(byNode map[string][]run.Segment, first int) (values map[string]int, order []string) {
	r.finishing.Store(true)
	r.resign()
	for _, segments := range byNode {
		for _, s := range segments[first:] {
			r.offers(s)
		}
	}
	values = map[string]int{}
	for _, v := range r.told() {
		if v.Value != nil && v.State == align.Tracking {
			values[v.Target]++
		}
		if v.Segment != nil && *v.Segment >= first {
			order = append(order, v.Target)
		}
	}
	return values, order
}

// At the end of a run, a clock of several that was looked for and never found holds nothing
// up: the others are followed to the end, and first. What every segment was is told.
func TestSyncerEndsSearches(t *testing.T) {
	r := newRigOf(t, network(quantity.Millisecond, "carol.idler", "bob.idler"))
	lights := r.lights(2)
	r.followsFirst(lights)
	values, order := r.ends(lights, 1)
	if values["bob.idler"] < 20 || values["carol.idler"] != 0 {
		t.Errorf("values %v", values)
	}
	if n := len(order); n < 4 || !slices.IsSorted(order) { // bob's before carol's
		t.Errorf("followed %v", order)
	}
	if w := r.seen.warnings(); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
}

// A clock that was not looked for before the end of the run, because it is short, is looked
// for once.
func TestSyncerLooksOnceAtTheEnd(t *testing.T) {
	r := newRigOf(t, network(quantity.Millisecond, "carol.idler", "bob.idler"))
	if values, _ := r.ends(r.lights(10), 0); values["bob.idler"] < 20 || values["carol.idler"] != 0 {
		t.Errorf("values %v", values)
	}
}

// A lone clock, and clocks that merged tags wait for, are looked for to the end.
func TestSyncerLooksToTheEnd(t *testing.T) {
	merged, err := live.Listen(recipe.Live{Name: "live", Config: recipe.LiveConfig{Address: "ipc://" + filepath.Join(t.TempDir(), "s"), Queue: 1}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { merged.Close(0) })
	for _, c := range []struct {
		name string
		r    *rig
	}{
		{"alone", newRigOf(t, network(quantity.Millisecond, "carol.idler"))},
		{"merged", newRigOf(t, network(quantity.Millisecond, "carol.idler", "bob.idler"), merged)},
	} {
		lights := c.r.lights(2)
		if c.name == "alone" {
			delete(lights, "bob")
		}
		c.r.followsFirst(lights)
		if values, _ := c.r.ends(lights, 1); values["carol.idler"] < 10 {
			t.Errorf("%s: values %v", c.name, values)
		}
	}
}

// A shot has a clock of its own, which is looked for once at the end, whatever became of
// those before.
func TestSyncerLooksForEachShotAtTheEnd(t *testing.T) {
	r := newRigOf(t, network(20*quantity.Millisecond, "zoe.idler", "bob.idler"))
	for _, f := range r.stages { // nothing was offered yet
		f.several, f.ends = true, 1
		f.nameShot()
	}
	r.finishing.Store(true)
	r.resign()
	for _, s := range newShots(r, 2) {
		r.offerAll(s)
	}
	r.wantBothShots()
}
