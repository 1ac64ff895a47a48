package report

import (
	"testing"

	"tsrun/pipeline/fact"
)

// TestEveryWayHasWords: what a manifest may say of the way of an order, the summary calls
// by name.
func TestEveryWayHasWords(t *testing.T) {
	for _, way := range []string{fact.ByPub, fact.ByUDP, fact.ByXDP, fact.ByAnswer} {
		h := fact.Heard{Shot: 1, By: way}
		if !h.Plausible() || waysText[way] == "" {
			t.Errorf("%s: %+v is called %q", way, h, waysText[way])
		}
	}
	if got := heardText([]fact.Heard{{Shot: 1, By: fact.ByXDP, LaterNs: map[string]int64{fact.ByPub: 1000}}}); got != "by AF_XDP, by PUB/SUB 1.0 us later" {
		t.Error(got)
	}
	if (&fact.Heard{Shot: 1, By: "ebpf"}).Plausible() || (&fact.Heard{Shot: 1, By: fact.ByXDP, LaterNs: map[string]int64{fact.ByXDP: -1}}).Plausible() {
		t.Error("what cannot be is plausible")
	}
}
