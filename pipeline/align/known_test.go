package align_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

// Where other pairs have told a clock, light is looked for near there and nowhere else; what is
// found is what would be found without.
func TestKnownClock(t *testing.T) {
	a, b, truth := pairs.Experiment{Seed: 3, Seconds: 4, SinglesA: 8e3, SinglesB: 8e3, Start: 5_000_000_000, Frequency: 3e-6}.Make()
	o := align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift, Brief: true}
	free, err := align.Align(context.Background(), a, b, o)
	if err != nil {
		t.Fatal(err, truth)
	}
	for _, c := range []struct {
		name  string
		wrong int64 // ps by which others have the clock wrong
		drift quantity.Drift
		found bool
	}{
		{"right", 0, 0, true},
		{"1 us of fibre and a little drift", 1_000_000, 20 * quantity.PartPerBillion, true},
		{"1 ms", 1_000_000_000, 0, false},
		{"nowhere", -1 << 60, 0, true}, // with no tags there, all is searched
	} {
		t.Run(c.name, func(t *testing.T) {
			line := free.Line()
			line.Offset, line.Frequency = line.Offset+c.wrong, line.Frequency+c.drift
			k, err := correlate.NewCorrection(line)
			if err != nil {
				t.Fatal(err)
			}
			known := o
			known.Known = &k
			r, err := align.Align(context.Background(), a, b, known)
			var refusal *align.Refusal
			if c.found && (err != nil || r.Offset != free.Offset || r.Pairs != free.Pairs) {
				t.Errorf("%+v, %v, want %+v", r, err, free)
			}
			if !c.found && (!errors.As(err, &refusal) || refusal.Code != "no-peak") {
				t.Errorf("%+v, %v", r, err)
			}
			if c.name == "1 ms" && !strings.Contains(refusal.Error(), "within 10 us of where other pairs have this clock") {
				t.Error(refusal)
			}
		})
	}
}
