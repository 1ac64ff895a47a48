package report

import (
	"math"
	"testing"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// The lanes of nodes have each moment that the manifest knows, where it was; what was far
// from the record stands at the edge, and what nobody knows nowhere.
func TestLanesOfNodes(t *testing.T) {
	m := runtest.FullManifest(t)
	m.Common = &run.Common{FromPs: 1e12, ToPs: 2e12}
	instant := time.Unix(0, m.Trigger.InstantNs)
	m.Nodes["alice"].Joined = instant.Add(-3 * time.Hour)
	for i := range m.Segments {
		m.Segments[i].ProvenAt = instant.Add(time.Duration(2+300*i) * time.Second)
	}
	l := nodeTimes(m)
	if len(l.Lanes) != 4 || l.Lanes[0].Name != "alice" || l.Lanes[3].Name != "bob, files here" {
		t.Fatalf("%+v", l.Lanes)
	}
	var letters string
	for _, mark := range l.Lanes[0].Marks {
		letters += mark.Letter
	}
	near := func(what string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-6 {
			t.Errorf("%s at %v s, want %v", what, got, want)
		}
	}
	near("alice joined long before", l.Lanes[0].Marks[0].At, -2.5)
	near("bob joined", l.Lanes[2].Marks[0].At, -1.5)
	near("bob fired", l.Lanes[2].Marks[2].At, 0)
	near("alice's first file", l.Lanes[1].Bars[0].From, 2)
	near("alice's last file", l.Lanes[1].Bars[1].From, 7.5)
	near("the left edge", l.From, -2.5)
	near("the right edge", l.To, 7.5)
	if letters != "JAF" || len(l.Lanes[0].Bars) != 1 || len(l.Shaded) != 1 || len(l.Lanes[2].Gaps)+len(l.Lanes[2].Marks) < 4 {
		t.Errorf("%q, %+v, shaded %+v", letters, l.Lanes, l.Shaded)
	}
	m = runtest.FullManifest(t) // as an earlier release wrote it
	for _, n := range m.Nodes {
		n.Joined, n.Armed = time.Time{}, time.Time{}
	}
	for i := range m.Segments {
		m.Segments[i].ProvenAt = time.Time{}
	}
	if l := nodeTimes(m); len(l.Lanes[0].Marks) != 1 || len(l.Lanes[1].Bars) != 0 || l.From != 0 {
		t.Errorf("of moments that nobody knows: %+v", l)
	}
	if l := nodeTimes(run.NewManifest("", "", runtest.TwoNodes(), runtest.Noon)); len(l.Lanes) != 0 || l.Empty == "" {
		t.Errorf("of a run that never began: %+v", l)
	}
}
