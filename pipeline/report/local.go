package report

import (
	"strings"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// reportOwnClock says what is known of a clock that nobody compared with another's.
func reportOwnClock(out *strings.Builder, l *run.LocalPart) {
	s, ok := l.Clock.Known()
	if !ok {
		entry(out, "clock", "how far this PC's clock is off is not known: %s", l.Clock.Why)
		return
	}
	entry(out, "clock", "this PC's clock is %s ahead of %s, as %s says", text.Bounded(s.Offset, s.Bound), s.Reference, s.Source)
}

// reportDelivery says how a local part comes to a master.
func reportDelivery(out *strings.Builder, l *run.LocalPart) {
	entry(out, "delivery", "it waits there for a master that runs: tsrun collect RECIPE; here start a slave with the same --data: tsrun --mode slave --node %s --master HOST --data DIR", l.Node)
}
