package master

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
)

// shotOf is the record of a shot, with a clock of its own.
type shotOf struct {
	truth      pairs.Truth
	alice, bob []run.Segment
	at         uint64
	began      map[string]*run.Start // by node
}

// newShots makes shots of 2 s in segments of 1 s, which begin 10 s apart.
func newShots(r *rig, n int) (shots []shotOf) {
	for i := range n {
		a, b, truth := pairs.Experiment{Seed: uint64(i + 1), Seconds: 2, SinglesA: 20e3, SinglesB: 20e3, Start: 1e12, Offset: int64(i+1) * 3e9}.Make()
		s := shotOf{truth: truth, at: uint64(i) * 10e12}
		s.alice = r.keepShot(i, "alice", "signal", a, truth.Start)
		s.bob = r.keepShot(i, "bob", "idler", b, truth.Start)
		s.bob = s.bob[:min(2, len(s.bob))] // the last photons come after the end
		shots = append(shots, s)
	}
	return shots
}

// keepShot writes one channel of a shot.
func (r *rig) keepShot(shot int, node, channel string, tags []uint64, start uint64) []run.Segment {
	segments := r.keep(node, fmt.Sprintf("%s-%d", channel, shot), tags, start, 1)
	for i := range segments {
		segments[i].Channel, segments[i].Part = channel, shot
	}
	return segments
}

// offerAll offers the segments of a shot but for some.
func (r *rig) offerAll(s shotOf, without ...run.Segment) {
	for _, segment := range append(slices.Clone(s.alice), s.bob...) {
		if !slices.ContainsFunc(without, func(o run.Segment) bool { return o.File == segment.File }) {
			r.offerOf(s, segment)
		}
	}
}

// offerOf offers a segment of a shot. As nodes number them, the next shot goes on.
func (r *rig) offerOf(s shotOf, segment run.Segment) {
	nth := segment.Index
	segment.Index += 10 * segment.Part
	r.offer(offered{segment, nth, s.at, s.began[segment.Node]})
}

// wantBothShots ends the following and wants values of a clock that was found in two shots.
func (r *rig) wantBothShots() {
	r.t.Helper()
	found := map[int]int{}
	for _, v := range r.told() {
		if v.Value != nil && v.State == align.Tracking {
			found[v.Shot]++
		}
	}
	if found[1] == 0 || found[2] == 0 {
		r.t.Errorf("values of shots: %v", found)
	}
}

// rigOfShots is a syncer of a run that takes several shots.
func rigOfShots(t *testing.T) *rig {
	r := newRig(t)
	for _, f := range r.stages { // nothing was offered yet
		f.several, f.ends = true, 1
		f.nameShot()
	}
	return r
}

// Each shot is followed by itself, says which it is, and lies at its place in the run.
func TestSyncerFollowsEachShot(t *testing.T) {
	r := rigOfShots(t)
	shots := newShots(r, 3)
	for _, s := range shots {
		r.offerAll(s)
	}
	values := r.told()
	followed, last := make([]int, len(shots)), uint64(0)
	for _, v := range values {
		if v.Shot < 1 || v.Shot > len(shots) {
			t.Fatalf("of no shot: %+v", v)
		}
		if v.Value == nil {
			continue
		}
		s := shots[v.Shot-1]
		if v.State == align.Lost || v.Step != nil || v.Time < last || v.Time < s.at+s.truth.Start || v.Time > s.at+s.truth.Start+3e12 {
			t.Errorf("shot %d: %s at %d ps, after %d ps", v.Shot, v.State, v.Time, last)
		}
		last = v.Time
		if off := v.Offset.Minus(s.truth.OffsetAt(v.Time - s.at)); math.Abs(off) > 5*v.OffsetSD {
			t.Errorf("shot %d: %v ps beside the truth, stated %v", v.Shot, off, v.OffsetSD)
		}
		followed[v.Shot-1]++
	}
	if slices.Min(followed) < 10 || fmt.Sprint(closing(values)) != "[0 1 10 11 20 21]" {
		t.Errorf("%v values of the shots, segments %v", followed, closing(values))
	}
	if jumps := r.stages[0].allJumps(); len(jumps) > 0 {
		t.Errorf("another shot is no jump: %+v", jumps)
	}
	counted := 0
	for _, e := range r.seen.events {
		if p, ok := e.(event.Pairs); ok {
			counted++
			if p.Shot < 1 || p.Peak == nil || math.Abs(p.Peak.Centre) > 60 {
				t.Errorf("pairs %+v", p)
			}
		}
	}
	// The last segment is counted in any case; others are left out where files wait.
	if w := r.seen.warnings(); counted < 1 || len(w) > 0 {
		t.Errorf("%d segments were counted; warnings %q", counted, w)
	}
}

// Each shot is looked for by when its own nodes began: one that this PC has held up by more
// than the recipe searches is found, and the one after it, too.
func TestSyncerLooksByTheStartOfEachShot(t *testing.T) {
	const late = 80_000_000 // ns, where 20 ms are searched
	r := rigOfShots(t)
	for i, by := range []int64{0, late, 0} {
		a, b, truth := pairs.Experiment{Seed: uint64(i + 1), Seconds: 2, SinglesA: 20e3, SinglesB: 20e3, Start: 1e12, Offset: by * 1000}.Make()
		s := shotOf{truth: truth, at: uint64(i) * 10e12, began: map[string]*run.Start{
			"alice": {EstimateNs: 1e18, UncertaintyNs: 1000}, "bob": {EstimateNs: 1e18 - by, UncertaintyNs: 1000}}}
		s.alice, s.bob = r.keepShot(i, "alice", "signal", a, truth.Start), r.keepShot(i, "bob", "idler", b, truth.Start)
		r.offerAll(s)
	}
	found := map[int]int{}
	for _, v := range r.told() {
		if v.Value != nil && v.State == align.Tracking {
			found[v.Shot]++
		}
	}
	if found[1] == 0 || found[2] == 0 || found[3] == 0 {
		t.Errorf("values of shots: %v", found)
	}
}

// Files of a shot that never come, or come when the next one is followed already, hold
// nothing up and are mistaken for no other's.
func TestSyncerGoesOnWithoutFilesOfAShot(t *testing.T) {
	r := rigOfShots(t)
	shots := newShots(r, 4)
	r.offerAll(shots[0], shots[0].bob[1])
	r.offerAll(shots[1], shots[1].alice...) // nothing of alice in the second
	r.offerAll(shots[2])
	r.offerOf(shots[0], shots[0].bob[1])
	r.offerAll(shots[3])
	values := r.told()
	order := closing(values)
	if fmt.Sprint(order) != "[0 20 21 30 31]" {
		t.Errorf("segments %v", order)
	}
	if w := r.seen.warnings(); len(w) > 0 {
		t.Errorf("warnings %q", w)
	}
}

// A shot that is too short for a first look is looked at when its files are all here.
func TestSyncerFollowsShortShots(t *testing.T) {
	r := rigOfShots(t)
	r.stages[0].ends = 0
	for i := range 2 {
		a, b, truth := pairs.Experiment{Seed: uint64(i + 1), Seconds: 0.3, SinglesA: 20e3, SinglesB: 20e3, Start: 1e12}.Make()
		s := shotOf{truth: truth, at: uint64(i) * 10e12}
		s.alice, s.bob = r.keepShot(i, "alice", "signal", a, truth.Start), r.keepShot(i, "bob", "idler", b, truth.Start)
		r.offerAll(s)
	}
	r.wantBothShots()
}

// What lies beyond the end of time, as a node may say of itself, ends the following and
// nothing else.
func TestSyncerOfAShotBeyondTime(t *testing.T) {
	r := rigOfShots(t)
	shots := newShots(r, 1)
	shots[0].at = math.MaxUint64
	r.offerAll(shots[0])
	r.told()
	if w := r.seen.warnings(); len(w) != 1 {
		t.Errorf("warnings %q", w)
	}
}
