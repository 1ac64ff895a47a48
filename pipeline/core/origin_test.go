package core_test

import (
	"math"
	"slices"
	"strings"
	"testing"
)

// TestOrigin: all times of a record that begins later in the run are moved, exactly.
func TestOrigin(t *testing.T) {
	for _, origin := range []uint64{1, 1<<27 + 1, 1 << 40, 1<<53 + 1, 1<<63 + 1} {
		n := newNode(t)
		n.Origin = origin
		in, out := n.inlet("tc", 7), n.outlet("raw", 7)
		n.start()
		s := newSink(t, out, 1)
		d := newDriver(t, in)
		d.tags(7, 0, 3, 1<<53+1)
		d.tags(7, 1<<62+1)
		d.end(7, math.MaxUint64)
		if err := n.wait(); err != nil {
			t.Fatal(err)
		}
		<-s.done
		if want := []uint64{origin, origin + 3, origin + 1<<53 + 1, origin + 1<<62 + 1}; !slices.Equal(s.tags[7], want) || s.last[7].Until != math.MaxUint64 || s.err != nil {
			t.Errorf("origin %d: %d to %d, %v; want %d", origin, s.tags[7], s.last[7].Until, s.err, want)
		}
		if c := n.Counts()[0]; c.First != origin || c.Last != origin+1<<62+1 {
			t.Errorf("origin %d: counts %+v", origin, c)
		}
	}
	n := newNode(t)
	n.Origin = math.MaxUint64 - 5
	in, out := n.inlet("tc", 7), n.outlet("raw", 7)
	n.start()
	newSink(t, out, 1)
	d := newDriver(t, in)
	d.tags(7, 6)
	if err := n.wait(); err == nil || !strings.Contains(err.Error(), "beyond the end of time") {
		t.Errorf("a tag beyond the end of time: %v", err)
	}
}
