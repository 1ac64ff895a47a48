package master

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/live"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

// observed collects events.
type observed struct {
	mu     sync.Mutex
	events []event.Event
}

func (o *observed) Observe(e event.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, e)
}

func (o *observed) warnings() (all []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, e := range o.events {
		if w, ok := e.(event.Warning); ok {
			all = append(all, w.Message)
		}
	}
	return all
}

// aligning is a recipe with one align stage between alice and bob.
func aligning() *recipe.Recipe {
	return &recipe.Recipe{
		Sinks: []recipe.Sink{{Name: "other", Takes: []string{"carol.third"}}, {Name: "raw"}, {Name: "copy"}},
		Stages: []recipe.Stage{
			runtest.Stage("g2", "histogram", stage.HistogramConfig{}),
			runtest.Stage("align", "align", stage.AlignConfig{Reference: "alice.signal", Target: "bob.idler",
				Search: 20 * quantity.Millisecond, MaxDrift: 20_000 * quantity.PartPerBillion}),
		},
	}
}

// rig is a syncer with a directory of segments.
type rig struct {
	*syncer
	t    *testing.T
	dir  *run.Directory
	seen *observed
}

func newRig(t *testing.T) *rig { return newRigOf(t, aligning()) }

// newRigOf is one of another recipe, with sinks that are sent merged tags.
func newRigOf(t *testing.T, recipes *recipe.Recipe, lives ...*live.Stream) *rig {
	t.Helper()
	dir, err := run.Create(t.TempDir(), "pairs", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dir.Close() })
	seen := &observed{}
	s, err := newSyncer(dir, recipes, run.NewManifest("", "", &recipe.Recipe{}, time.Now()), seen, lives)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.end)
	s.last = 5 * time.Minute // what else this PC does decides nothing
	return &rig{s, t, dir, seen}
}

// keep writes a record as segments of some seconds each and returns them.
func (r *rig) keep(node, channel string, tags []uint64, start uint64, seconds float64) (segments []run.Segment) {
	r.t.Helper()
	raw, err := r.dir.Raw(node)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; len(tags) > 0; i++ {
		n, _ := slices.BinarySearch(tags, start+uint64(float64(i+1)*seconds*1e12))
		name := fmt.Sprintf("%s-%06d.bin", channel, i)
		if err := tagfile.WriteFile(filepath.Join(raw, name), tagfile.Bin, 1, tags[:n]); err != nil {
			r.t.Fatal(err)
		}
		s := fact.Segment{Sink: "raw", Index: i, File: "raw/" + node + "/" + name, Tags: uint64(n)}
		if n > 0 {
			s.FirstPs, s.LastPs = tags[0], tags[n-1]
		}
		segments = append(segments, run.Segment{Node: node, Channel: channel, Segment: s})
		tags = tags[n:]
	}
	return segments
}

// offers offers a segment of a run that takes one shot.
func (r *rig) offers(s run.Segment) { r.offer(offered{Segment: s, nth: s.Index}) }

// told ends the syncer and returns the lines of sync.jsonl.
func (r *rig) told() (values []event.Sync) {
	r.t.Helper()
	r.finish(r.t.Context())
	text, err := os.ReadFile(filepath.Join(r.dir.Path(), stage.SyncFile))
	if err != nil {
		r.t.Fatal(err)
	}
	for decoder := json.NewDecoder(bytes.NewReader(text)); decoder.More(); {
		var v event.Sync
		if err := decoder.Decode(&v); err != nil {
			r.t.Fatal(err)
		}
		values = append(values, v)
	}
	return values
}

// closing are the numbers of the segments that told something, in their order.
func closing(values []event.Sync) (numbers []int) {
	for _, v := range values {
		if v.Segment != nil {
			numbers = append(numbers, *v.Segment)
		}
	}
	return numbers
}

func TestSyncerFollows(t *testing.T) {
	r := newRig(t)
	a, b, truth := pairs.Experiment{Seed: 4, Seconds: 6, SinglesA: 20e3, SinglesB: 20e3, Frequency: 12e-9,
		Steps: []pairs.Step{{At: 4.5, Size: 5000}}}.Make()
	alice, bob := r.keep("alice", "signal", a, truth.Start, 1), r.keep("bob", "idler", b, truth.Start, 1)
	bob = bob[:6] // the last photons come after B's sixth second
	for i := range alice {
		elsewhere := alice[i]
		elsewhere.Sink = "copy"
		r.offers(elsewhere)                // of another sink: the same tags once more
		r.offers(bob[len(bob)-1-i])        // backwards
		r.offers(run.Segment{Node: "zoe"}) // of no stage
		r.offers(alice[(i+3)%len(alice)])  // in another order
	}
	values := r.told()
	if got, want := fmt.Sprint(closing(values)), "[0 1 2 3 4 5]"; got != want {
		t.Errorf("segments %s told, want %s", got, want)
	}
	within, measured, steps := 0, 0, 0
	for _, v := range values {
		if v.Stage != "align" || v.Reference != "alice.signal" || v.Target != "bob.idler" {
			t.Fatalf("line %+v", v)
		}
		if v.Value == nil {
			continue
		}
		if v.Step != nil {
			steps++
		}
		if measured++; math.Abs(v.Offset.Minus(truth.OffsetAt(v.Time))) <= 3*v.OffsetSD {
			within++
		}
	}
	if measured < 50 || 100*within < 97*measured || steps != 1 {
		t.Errorf("%d of %d values are right, %d steps", within, measured, steps)
	}
	if jumps := r.stages[0].allJumps(); len(jumps) != 1 || math.Abs(jumps[0].Offset-5000) > 100 {
		t.Errorf("steps %+v", jumps)
	}
	shown, deviations := 0, 0
	for _, e := range r.seen.events {
		if s, ok := e.(event.Sync); ok && (s.Segment != nil || s.State == align.Stepped) {
			shown++
			if s.Segment == nil && s.Allan != nil {
				t.Errorf("within a segment deviations are told: %+v", s.Allan)
			}
			deviations = max(deviations, len(s.Allan))
		}
	}
	if logged := slices.ContainsFunc(values, func(v event.Sync) bool { return v.Allan != nil }); deviations < 3 || logged {
		t.Errorf("%d deviations are told, in %s: %t", deviations, stage.SyncFile, logged)
	}
	if shown != 7 {
		t.Errorf("%d events, want one of each segment and one of the step", shown)
	}
	for _, w := range r.seen.warnings() {
		if !strings.HasSuffix(w, "segments behind") { // all were offered at once
			t.Errorf("warning %q", w)
		}
	}
}

// A segment that never comes is passed over once many later ones are here.
func TestSyncerPassesOverMissing(t *testing.T) {
	r := newRig(t)
	a, b, truth := pairs.Experiment{Seed: 4, Seconds: 5, SinglesA: 20e3, SinglesB: 20e3}.Make()
	alice, bob := r.keep("alice", "signal", a, truth.Start, 0.2), r.keep("bob", "idler", b, truth.Start, 0.2)
	for i := range min(len(alice), len(bob)) {
		if i != 3 {
			r.offers(alice[i])
		}
		r.offers(bob[i])
	}
	got := closing(r.told())
	if len(got) < 20 || slices.Contains(got, 3) || got[3] != 4 {
		t.Errorf("segments %v told", got)
	}
}

// Tags that cannot be read end the following of a stage and nothing else.
func TestSyncerGivesUp(t *testing.T) {
	r := newRig(t)
	a := []uint64{1e12, 2e12, 3e12}
	alice, bob := r.keep("alice", "signal", a, 0, 10), r.keep("bob", "idler", a, 0, 10)
	again := alice[0] // goes back in time
	again.Index = 1
	missing := bob[0]
	missing.Index, missing.File = 1, "raw/bob/gone.bin"
	for _, s := range []run.Segment{alice[0], bob[0], again, missing} {
		r.offers(s)
	}
	if values := r.told(); fmt.Sprint(closing(values)) != "[0]" || values[0].State != align.Searching || values[0].Value != nil {
		t.Errorf("told %+v", values)
	}
	if w := r.seen.warnings(); len(w) != 1 || !strings.Contains(w[0], `stage "align" is not followed live any more`) {
		t.Errorf("warnings %q", w)
	}
}

// Offering never waits, also when nobody takes what is offered; what finds no
// room is counted, and said at the end.
func TestSyncerNeverHoldsUp(t *testing.T) {
	r := newRig(t)
	r.missed.Add(3)
	r.end()
	if w := r.seen.warnings(); len(w) != 1 || w[0] != "3 segments came faster than live alignment could follow" {
		t.Errorf("warnings %q", w)
	}
	for range maxProven + 10 {
		r.offers(run.Segment{})
	}
	if n := r.missed.Load(); n != 13 {
		t.Errorf("%d segments found no room, want 3 and 10", n)
	}
}

// The end of a run does not wait for values nobody will need.
func TestSyncerEnds(t *testing.T) {
	r := newRig(t)
	a, b, truth := pairs.Experiment{Seed: 4, Seconds: 6, SinglesA: 30e3, SinglesB: 30e3, Pairs: -1}.Make()
	r.offers(r.keep("alice", "signal", a, truth.Start, 10)[0])
	r.offers(r.keep("bob", "idler", b, truth.Start, 10)[0])
	r.end()
	r.end()
}
