package report

import (
	"strings"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// reportOwnClock says what is known of the clock of a PC that nobody compared with
// another's.
func reportOwnClock(out *strings.Builder, node string, c run.OwnClock) {
	s, ok := c.Known()
	if !ok {
		entry(out, "clock", "how far the clock of %s's PC was off is not known: %s", node, c.Why)
		return
	}
	entry(out, "clock", "the clock of %s's PC was %s ahead of %s, as %s says", node, text.Bounded(s.Offset, s.Bound), s.Reference, s.Source)
}

// reportDelivery says how a local part comes to a master.
func reportDelivery(out *strings.Builder, l *run.LocalPart) {
	entry(out, "delivery", "it waits there for a master that runs: tsrun collect RECIPE; here start a slave with the same --data: tsrun --mode slave --node %s --master HOST --data DIR", l.Node)
}
