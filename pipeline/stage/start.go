package stage

import (
	"fmt"
	"math"

	"tsrun/pipeline/align"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// noticeStart holds the photons against the clocks of two PCs: by how much later one
// node began than the other, its tags are less. Nodes of one PC read one clock, of
// which nothing can be said.
func (a *analysis) noticeStart(stage string, c AlignConfig, found align.Alignment) {
	reference, target := a.manifest.NodeOf(c.Reference), a.manifest.NodeOf(c.Target)
	if reference == nil || target == nil || reference.Start == nil || target.Start == nil {
		return
	}
	by := comparedBy(reference, target)
	if by == "" {
		return
	}
	skew := run.Skew(c.Target, *target.Start, c.Reference, *reference.Start)
	delays := float64(delayOf(a.recipe, c.Target)-delayOf(a.recipe, c.Reference)) / 1000
	later := -(found.StartOffset.Float()/1000 - delays) // ns, as the photons say
	const sure = 5                                      // deviations
	if math.Abs(later-float64(skew.SkewNs)) <= float64(skew.UncertaintyNs)+sure*found.StartSD/1000 {
		return
	}
	a.manifest.Notice(run.Reason{Condition: run.Tainted, Message: fmt.Sprintf(
		"stage %q: by the photons %s began %.9g us after %s, by the clocks (%s) %s: that source is not to be believed, or a controller or the light on its way is slower than known",
		stage, c.Target, later/1000, c.Reference, by, text.Bounded(skew.SkewNs, skew.UncertaintyNs))})
}

// comparedBy names the source that compared the clocks of two nodes; "": none did.
func comparedBy(nodes ...*run.Node) (by string) {
	for _, n := range nodes {
		switch {
		case n.Host == "local":
		case n.Clock == nil || n.Clock.Start == nil:
			return ""
		default:
			by = n.Clock.Start.By()
		}
	}
	return by
}

// delayOf is by how much later a channel's tags are made, in ps.
func delayOf(r *recipe.Recipe, channel string) int64 {
	for _, n := range r.Nodes {
		for _, ch := range n.Channels {
			if n.Name+"."+ch.Name == channel {
				return int64(ch.Delay)
			}
		}
	}
	return 0
}
