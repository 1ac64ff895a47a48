package slave

import (
	"errors"
	"fmt"
	"math"
	"os"
	"testing"

	"tsrun/pipeline/core"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// TestWhyASinkFailed: what the core gave it up for is told, where the sink only knows that
// no more blocks come; else what the sink says.
func TestWhyASinkFailed(t *testing.T) {
	says := errors.New("the core left")
	for code, because := range map[string]error{
		"sink-lied": fmt.Errorf("%w: it gave 5 blocks back", core.ErrLied),
		"sink-slow": fmt.Errorf("it gave no block back: %w", os.ErrDeadlineExceeded),
		"":          errors.New("it has left"),
	} {
		dir, err := os.MkdirTemp("", "ts")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		eq := &equipment{s: &session{node: &recipe.Node{Name: "bob"}}, core: core.New(dir, nil)}
		if _, err := eq.core.Outlet("raw", []uint16{1}); err != nil {
			t.Fatal(err)
		}
		_ = eq.core.Run(t.Context()) // no driver brings the stream: it closes the endpoint
		eq.core.GiveUp("raw", because)
		got := eq.whyFailed(&sink{recipe: recipe.Sink{Name: "raw"}}, says)
		var f *sdk.Failure
		if errors.As(got, &f) != (code != "") || f != nil && f.Code != code || f == nil && got != says {
			t.Errorf("given up because %q: %v", because, got)
		}
	}
}

// TestKeptElsewhereCountsEachShot: a sink of the next shot begins to count anew, and the
// master is told of all of them.
func TestKeptElsewhereCountsEachShot(t *testing.T) {
	k := &sink{recipe: recipe.Sink{Name: "nats"}}
	eq := &equipment{}
	for shot, want := range []uint64{60, 120, 180} {
		got := eq.keptElsewhere(k, fact.Kept{Stream: 3, Tags: 60})
		if got.Tags != want || got.Sink != "nats" || got.Stream != 3 {
			t.Errorf("shot %d: %+v, want %d tags", shot+1, got, want)
		}
		eq.elsewhere = append(eq.elsewhere, *got)
	}
	eq.elsewhere = append(eq.elsewhere, wire.Kept{Sink: "other", Kept: fact.Kept{Stream: 3, Tags: 5}}, wire.Kept{Sink: "nats", Kept: fact.Kept{Stream: 4, Tags: 5}})
	if got := eq.keptElsewhere(k, fact.Kept{Stream: 3}); got.Tags != 180 {
		t.Errorf("what others have kept counts: %+v", got)
	}
	if got := eq.keptElsewhere(k, fact.Kept{Stream: 3, Tags: math.MaxUint64}); got.Tags != math.MaxUint64 {
		t.Errorf("a count that no number holds: %+v", got)
	}
}
