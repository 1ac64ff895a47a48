package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// waysText calls the ways of an order by name.
var waysText = map[string]string{fact.ByPub: "PUB/SUB", fact.ByUDP: "UDP", fact.ByXDP: "AF_XDP", fact.ByAnswer: "the answer to a report"}

// reportHeard says how the order to start came to nodes that fire on receipt, and what of
// datagrams started nothing.
func reportHeard(out *strings.Builder, m *run.Manifest) {
	for _, node := range m.NodeOrder() {
		heard := m.Nodes[node].Heard
		if len(heard) == 0 {
			continue
		}
		entry(out, "order", "%s had it %s", node, heardText(heard))
		if d := heard[len(heard)-1].Dropped; d != nil && d.All() > 0 {
			entry(out, "", "of its datagrams started nothing: %d of another form, %d forged, %d stale, %d that came again", d.Malformed, d.Forged, d.Stale, d.Again)
		}
	}
}

// heardText says by which way the orders of all shots came first, and by how much.
func heardText(heard []fact.Heard) string {
	if len(heard) == 1 {
		words := "by " + waysText[heard[0].By]
		for _, way := range slices.Sorted(maps.Keys(heard[0].LaterNs)) {
			words += fmt.Sprintf(", by %s %s later", waysText[way], microseconds(heard[0].LaterNs[way]))
		}
		return words
	}
	first := map[string]int{}
	for _, h := range heard {
		first[h.By]++
	}
	var words []string
	for _, way := range slices.Sorted(maps.Keys(first)) {
		words = append(words, fmt.Sprintf("by %s in %s", waysText[way], quantity.Counted(first[way], "shot")))
	}
	return "first " + strings.Join(words, ", ")
}
