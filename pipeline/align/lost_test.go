package align

import (
	"context"
	"errors"
	"testing"

	"tsrun/internal/pairs"
)

// TestJumpBeyondTheSearch is of a clock that jumps in the middle to where nobody looks: half of
// the pairs are on one line for certain, so that is no chance and no other is looked for.
func TestJumpBeyondTheSearch(t *testing.T) {
	a, b, _ := pairs.Experiment{Seconds: 2, SinglesA: 20e3, SinglesB: 20e3, Offset: 5_000_000_000, Steps: []pairs.Step{{At: 1, Size: 50e9}}}.Make()
	_, err := Align(context.Background(), a, b, Options{Search: DefaultSearch, MaxDrift: DefaultMaxDrift})
	var refusal *Refusal
	if !errors.As(err, &refusal) || refusal.Code != "not-straight" || !refusal.certain {
		t.Fatalf("got %v, want not-straight of a line that is certain", err)
	}
	if unconfirmed(err) || !unconfirmed(lost(false)) {
		t.Error("another line is looked for where the first is certain, or none where it is not")
	}
}
