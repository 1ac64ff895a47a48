package core

import (
	"context"
	"os"
	"testing"
)

// TestHoldsUp: a sink for which drivers wait all of the time is named, another is not, and who
// is told to stop looking names none.
func TestHoldsUp(t *testing.T) {
	dir, err := os.MkdirTemp("", "tc") // short: sockets in it need a short path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	c := New(dir, nil)
	for _, name := range []string{"quick", "slow"} {
		if _, err := c.Outlet(name, []uint16{1}); err != nil {
			t.Fatal(err)
		}
	}
	defer c.closeAll()
	if name := c.HoldsUp(t.Context()); name != "" {
		t.Errorf("%q is named, and nobody waits", name)
	}
	c.outlets[1].sending.Store(true)
	if name := c.HoldsUp(t.Context()); name != "slow" {
		t.Errorf("%q is named, not the slow one", name)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if name := c.HoldsUp(over); name != "" {
		t.Errorf("%q is named when nobody wants to know", name)
	}
}
