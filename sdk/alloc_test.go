//go:build !race

package sdk

import (
	"testing"
	"time"

	"tsrun/sdk/realtime"
)

// The race detector allocates; without it, nothing does.
func TestStreamAllocatesNothing(t *testing.T) {
	s := NewStream(discard{}, acquisitionOf(1))
	defer s.Finish()
	tags := make([]uint64, 1000)
	if n := testing.AllocsPerRun(1000, func() {
		if err := s.Send(1, tags); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations per Send", n)
	}
}

func TestAwaitAllocatesNothing(t *testing.T) {
	ctx := t.Context()
	if n := testing.AllocsPerRun(20, func() {
		if _, err := realtime.Await(ctx, time.Now().Add(2*time.Millisecond).UnixNano()); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("%v allocations while an instant is waited for", n)
	}
}
