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
func (a *analysis) noticeStart(stage string, c AlignConfig, found foundClock) {
	reference, target := a.manifest.NodeOf(c.Reference), a.manifest.NodeOf(c.Target)
	if reference == nil || target == nil || comparedBy(reference, target) == "" {
		return
	}
	if len(found.shots) == 0 {
		a.noticeStartOf(stage, c, reference.Start, target.Start, found.Alignment)
	}
	for i, shot := range found.shots {
		if shot.Refused == nil && a.noticeStartOf(fmt.Sprintf("%s (shot %d)", stage, i+1), c, reference.StartOf(i), target.StartOf(i), shot.Alignment) {
			return // of many shots the first is told
		}
	}
}

// noticeStartOf holds the photons of one start against the clocks, and reports whether
// they exclude each other.
func (a *analysis) noticeStartOf(stage string, c AlignConfig, reference, target *run.Start, found align.Alignment) bool {
	if reference == nil || target == nil {
		return false
	}
	skew := run.Skew(c.Target, *target, c.Reference, *reference)
	later := LaterByPhotons(a.recipe, c.Reference, c.Target, found)
	const sure = 5 // deviations
	if math.Abs(later-float64(skew.SkewNs)) <= float64(skew.UncertaintyNs)+sure*found.StartSD/1000 {
		return false
	}
	by := comparedBy(a.manifest.NodeOf(c.Reference), a.manifest.NodeOf(c.Target))
	a.manifest.Notice(run.Reason{Condition: run.Tainted, Message: fmt.Sprintf(
		"stage %q: by the photons %s began %.9g us after %s, by the clocks (%s) %s: that source is not to be believed, or a controller or the light on its way is slower than known",
		stage, c.Target, later/1000, c.Reference, by, text.Bounded(skew.SkewNs, skew.UncertaintyNs))})
	return true
}

// LaterByPhotons is by how many ns the controller of the target began later than that of
// the reference, as the photons say.
func LaterByPhotons(r *recipe.Recipe, reference, target string, found align.Alignment) float64 {
	delays := float64(delayOf(r, target)-delayOf(r, reference)) / 1000
	return -(found.StartOffset.Float()/1000 - delays)
}

// comparedBy names the source that compared the clocks of two nodes; "": none did.
func comparedBy(nodes ...*run.Node) (by string) {
	for _, n := range nodes {
		switch {
		case n.Host == "local":
		case !n.Compared():
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
