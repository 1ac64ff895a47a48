package master

import (
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/event"
)

// The pairs of each segment are told once its clock was followed, whatever comes in which
// order.
func TestSyncerCountsPairs(t *testing.T) {
	r := newRig(t)
	a, b, truth := pairs.Experiment{Seed: 4, Seconds: 4, SinglesA: 20e3, SinglesB: 20e3, Frequency: 12e-9}.Make()
	alice, bob := r.keep("alice", "signal", a, truth.Start, 1), r.keep("bob", "idler", b, truth.Start, 1)
	for i := range 4 {
		r.offers(bob[3-i])
		r.offers(alice[i])
	}
	r.told()
	var last *event.Pairs
	for _, e := range r.seen.events {
		if p, ok := e.(event.Pairs); ok {
			if last != nil && (p.Segment <= last.Segment || p.Total.All < last.Total.All) {
				t.Errorf("after %+v comes %+v", last, p)
			}
			last = &p
		}
	}
	if last == nil || last.Counted+last.LeftOut != 4 || last.Counted == 0 || last.Sum == nil {
		t.Fatalf("%+v", last)
	}
	if math.Abs(last.Sum.Centre) > 30 || math.Abs(last.Sum.Sigma-truth.Sigma) > 0.1*truth.Sigma || last.Stage != "align" || last.Target != "bob.idler" {
		t.Errorf("%+v, sigma should be %v", last.Sum, truth.Sigma)
	}
	if w := r.seen.warnings(); len(w) > 0 {
		t.Error(w)
	}
}
