package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// reportCommon says in which time every node recorded without a gap.
func reportCommon(out *strings.Builder, m *run.Manifest) {
	if m.Common != nil {
		entry(out, "common", "%s", commonWords(m.Common))
	}
}

// commonWords say in which time every node recorded without a gap, and by which clocks.
func commonWords(c *run.Common) string {
	if c.Length() == 0 {
		return "no time in which every node recorded without a gap: " + c.Why
	}
	node, _, _ := strings.Cut(c.Reference, ".")
	words := fmt.Sprintf("every node recorded without a gap from %s to %s of %s", text.Seconds(c.FromPs), text.Seconds(c.ToPs), node)
	var loose []string
	for _, name := range slices.Sorted(maps.Keys(c.Clocks)) {
		if c.Clocks[name].By == run.ByNothing {
			loose = append(loose, name)
		}
	}
	if len(loose) > 0 {
		words += "; nothing says how the start of " + strings.Join(loose, ", ") + " lay to it, they are taken as one"
	}
	return words
}
