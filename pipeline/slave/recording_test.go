package slave

import (
	"errors"
	"fmt"
	"os"
	"testing"

	"tsrun/pipeline/core"
	"tsrun/pipeline/recipe"
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
