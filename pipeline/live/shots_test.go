package live

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"tsrun/pipeline/align"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

// shotSegment offers a segment of a shot, whose files count from its own start.
func (r *rig) shotSegment(node, channel string, shot, nth int, at uint64, tags ...uint64) {
	r.t.Helper()
	name := fmt.Sprintf("%s-%s-%d-%d.bin", node, channel, shot, nth)
	if err := tagfile.WriteFile(filepath.Join(r.dir, name), tagfile.Bin, 1, tags); err != nil {
		r.t.Fatal(err)
	}
	r.Offer(Segment{Segment: run.Segment{Node: node, Channel: channel, Segment: fact.Segment{Sink: "raw", Index: 2*shot + nth, Part: shot, File: name, Tags: uint64(len(tags))}}, Nth: nth, At: at})
}

// TestShotsAreMergedOneAfterTheOther: each with a clock of its own, which may be heard of
// before the shot is due, or never; the last segment of a shot reaches beyond the next
// one's beginning, and does not hold it up.
func TestShotsAreMergedOneAfterTheOther(t *testing.T) {
	const shots, apart = 3, 4 * length
	for seed := range uint64(12) {
		random := rand.New(rand.NewPCG(seed, 1))
		r := newRig(t, recipe.LiveConfig{}, true, func(whole *recipe.Recipe) {
			whole.Acquire.Repeat, whole.Acquire.Duration = shots, quantity.Time(length+length/2)
		})
		l := r.subscribe("")
		var give, later []func()
		for shot := range shots {
			at := uint64(shot) * apart
			for nth := range 2 {
				first := uint64(nth) * length
				offer := []func(){
					func() { r.shotSegment("alice", "a", shot, nth, at, first+10, first+20) },
					func() { r.shotSegment("alice", "b", shot, nth, at, first+15) },
					func() { r.shotSegment("bob", "c", shot, nth, at, first+17, first+400_000+uint64(nth)*200_000) },
				}
				random.Shuffle(len(offer), func(i, k int) { offer[i], offer[k] = offer[k], offer[i] })
				give = append(give, offer...)
				found := func() {
					f := Followed{Stage: "align", Reference: "alice.a", Target: "bob.c", Shot: shot, Next: nth + 1, State: align.Searching}
					if shot != 1 { // where it is never known
						f.Values, f.State = []align.Value{value(at+first, int64(5+shot), 0)}, align.Tracking
					}
					r.Follow(f)
				}
				if random.IntN(2) == 0 {
					later = append(later, found)
					continue
				}
				give = append(give, append(later, found)...) // in order, as they are found
				later = nil
			}
		}
		for _, g := range append(give, later...) {
			g()
		}
		r.End()
		all := l.all()
		counts, before, until := map[int]int{}, int64(-1<<62), int64(-1<<62)
		for _, m := range all {
			if m.Kind == KindEnd {
				break
			}
			if m.Shot < 1 || m.ShotPs == nil || *m.ShotPs != int64(m.Shot-1)*int64(apart) {
				t.Fatalf("%+v", m.Header)
			}
			for i, at := range m.times {
				if at < before || at < until || at < *m.ShotPs || at >= *m.ShotPs+int64(apart) {
					t.Errorf("shot %d: %d ps behind %d and %d", m.Shot, at, before, until)
				}
				if m.channels[i] == 2 {
					if in := (at - *m.ShotPs) % int64(length); in != 17-int64(4+m.Shot) && in != 400_000-int64(4+m.Shot) && in != 600_000-int64(4+m.Shot) {
						t.Errorf("shot %d: bob's tag is at %d ps", m.Shot, at)
					}
				}
				before = at
			}
			counts[m.Shot] += m.Tags
			until = m.UntilPs
		}
		end := all[len(all)-1]
		if counts[1] != 10 || counts[2] != 6 || counts[3] != 10 || end.Totals.Late != 0 || end.Totals.Withheld != 4 {
			t.Errorf("seed %d: %v, %+v", seed, counts, end.Totals)
		}
	}
}
