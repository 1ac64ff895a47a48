package recipe

import (
	"math"
	"math/bits"
	"slices"
)

// Segments is of how many files a run is made when it goes as planned: so many
// series, one of each channel and sink, of so many segments each.
func (r *Recipe) Segments() (series, each int64) {
	for _, sink := range r.Sinks {
		for _, n := range r.Nodes {
			for _, channel := range n.Channels {
				if (sink.At == "source" || sink.At == n.Name) && sink.Keeps(n.Name+"."+channel.Name) {
					series++
				}
			}
		}
	}
	return series, ((int64(r.Acquire.Duration)-1)/int64(r.Acquire.Segment) + 1) * int64(r.Acquire.Shots())
}

// Files is how many files of tags the sinks that keep such make of a node, or of all
// nodes for "", when the run goes as planned.
func (r *Recipe) Files(node string, keepsFiles func(plugin string) bool) int64 {
	kept := *r
	kept.Sinks = slices.DeleteFunc(slices.Clone(r.Sinks), func(s Sink) bool { return !keepsFiles(s.Sink) })
	if node != "" {
		kept.Nodes = slices.DeleteFunc(slices.Clone(r.Nodes), func(n Node) bool { return n.Name != node })
	}
	series, each := kept.Segments()
	return series * each // a recipe with more than MaxSegments was refused
}

// LeastTags is how many tags the sinks that keep files of tags will keep of a
// node, or of all nodes for "", if the run is as expect says: at the lowest rate
// that is good. What the recipe says nothing of counts as nothing.
func (r *Recipe) LeastTags(node string, keepsFiles func(plugin string) bool) int64 {
	total := uint64(0)
	for _, e := range r.Expect {
		for _, n := range r.Nodes {
			for _, c := range n.Channels {
				if name := n.Name + "." + c.Name; name != e.Channel || node != "" && node != n.Name || e.RateMin == nil {
					continue
				}
				for _, s := range r.Sinks {
					if (s.At == "source" || s.At == n.Name) && s.Keeps(e.Channel) && keepsFiles(s.Sink) {
						total += tagsOf(uint64(max(0, *e.RateMin)), uint64(max(0, r.Acquire.Total())))
						total = min(total, math.MaxInt64)
					}
				}
			}
		}
	}
	return int64(total)
}

// tagsOf is a rate in mHz times a time in ps, as far as an int64 goes.
func tagsOf(rate, duration uint64) uint64 {
	const unit = 1e15 // mHz ps
	high, low := bits.Mul64(rate, duration)
	if high >= unit {
		return math.MaxInt64
	}
	quotient, _ := bits.Div64(high, low, unit)
	return min(quotient, math.MaxInt64)
}
