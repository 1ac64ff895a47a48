package zmtp

import (
	"fmt"
	"testing"
	"time"
)

// TestNarrowWays: an address gets shorter packets one step after another, for a while,
// and no other does.
func TestNarrowWays(t *testing.T) {
	var n narrowWays
	now := time.Now()
	for i, want := range []int{0, 1160, 500, 500} {
		if got := n.limit("a:1", now); got != want {
			t.Errorf("after %d: %d, want %d", i, got, want)
		}
		now = now.Add(narrowStep)
		n.stuck("a:1", now)
		n.stuck("a:1", now.Add(time.Second)) // another connection, stuck with it
	}
	if got := n.limit("b:1", now); got != 0 {
		t.Errorf("another address: %d", got)
	}
	if got := n.limit("a:1", now.Add(narrowFor+time.Second)); got != 0 {
		t.Errorf("long after: %d", got)
	}
	for i := range 2 * maxNarrow {
		n.stuck(fmt.Sprint(i), now)
	}
	if len(n.ways) > maxNarrow {
		t.Errorf("%d addresses are kept", len(n.ways))
	}
	for addr, want := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "10.0.0.1:1": false, "x": false} {
		if ofThisPC(addr) != want {
			t.Error(addr)
		}
	}
}
