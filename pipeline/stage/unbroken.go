package stage

import (
	"fmt"
	"slices"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// unbroken leaves those segments of a channel that are of one part of its node's
// record: by how much its clock jumped when its controllers were started anew, nobody
// knows, so that nothing is computed across that.
func (a *analysis) unbroken(node string, segments []run.Segment) []run.Segment {
	stretch, parts := a.manifest.Unbroken()
	part, broken := parts[node]
	if !broken {
		return segments
	}
	a.manifest.Notice(run.Reason{Condition: run.Tainted, Node: node,
		Message: fmt.Sprintf("its controllers were started anew within the run, so stages look at one part of its record, that from %s to %s; the other tags are in its files",
			text.Seconds(stretch.From), text.Seconds(stretch.To))})
	return slices.DeleteFunc(segments, func(s run.Segment) bool { return s.Part != part })
}
