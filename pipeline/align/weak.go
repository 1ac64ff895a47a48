package align

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
	"sync/atomic"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/quantity"
)

// A weak signal hides in cells that are wide enough for every frequency that
// is allowed. The way out is to cut the segment into slices so short that no
// frequency smears them, to count the differences of each slice in narrow bins,
// and to add the slices up along every line (see tree). With bins of width r
// over a time T, p pairs and s singles per second, the peak stands
//
//	p/s * sqrt(T/r)
//
// standard deviations out of the background, where one correlation reaches
// p/s * sqrt(1/drift). Lists of the highest ridges are then looked at closely.
type weakPlan struct {
	slices int // a power of two
	shift  int // bins are 2^shift ps wide
	length int64
	reward float64 // T/r
	pairs  float64 // that will be counted, if tags come evenly
	cost   float64 // ns of one core
}

const (
	treeWidth     = 1 << 12
	mostSlices    = 1 << 11
	minShift      = 10
	maxShift      = 30
	maxPerBin     = 0.25 // of what a slice's bin can hold, expected
	slightReward  = 8    // T drift/r, of a search that finds what correlations find
	nsPerPair     = 1.5
	nsPerTag      = 10 // of A, for each part of the bins
	nsPerSum      = 0.35
	nominations   = 64
	patience      = 1e8    // pairs that may be counted in any case
	confirmPoints = 10_000 // of each

	// The search may take so much time of one core for each second that both
	// recorded, and no more than weakMost: who measures longer can wait longer.
	weakPerSecond = 0.33e9 // ns
	weakMost      = 6e9    // ns
)

// most is how many pairs may be counted before tags count as bursts.
func (p weakPlan) most() int64 { return int64(4*p.pairs + patience) }

// planWeak returns the search that is most sensitive, or the cheapest of those
// that are sensitive enough, within the cost.
func (s *searcher) planWeak(most, enough float64) (best weakPlan, ok bool) {
	all := s.to - s.from
	rateA := float64(len(s.a)) / float64(s.a[len(s.a)-1]-s.a[0])
	drift := float64(s.MaxDrift) / quantity.DriftUnit
	for shift := minShift; shift <= maxShift; shift++ {
		bin := float64(int64(1) << shift)
		for slices := 4; slices <= mostSlices; slices *= 2 {
			slice := float64(all) / float64(slices)
			if drift > 0 {
				slice = min(slice, bin/drift)
			}
			length := slice * float64(slices)
			if tags := rateA * length; tags < enoughTags && length < 0.99*float64(all) {
				continue // too short to hold pairs
			}
			perBin := rateA * slice * s.rateB() * bin
			if perBin > maxPerBin*float64(1<<14/slices-1) {
				continue
			}
			bins := 2*float64(s.reach)/bin + 2*float64(slices)
			halo := 1 + float64(slices)/treeWidth
			sums := bins * float64(2*slices*bits.Len(uint(slices)))
			chunks := bins/treeWidth + 1
			counted := rateA * length * s.rateB() * bins * bin * halo
			cost := nsPerPair*rateA*length*(s.rateB()*bins*bin*halo+nsPerTag/nsPerPair*chunks) + nsPerSum*sums*halo
			p := weakPlan{slices, shift, int64(length), min(length/bin, enough), counted, cost}
			if cost <= most && (p.reward > 1.01*best.reward || p.reward > 0.99*best.reward && cost < best.cost) {
				best, ok = p, true
			}
		}
	}
	return best, ok
}

// budget is how many ns of one core the search may take.
func (s *searcher) budget() float64 {
	return min(weakMost, weakPerSecond*float64(s.to-s.from)/1e12)
}

// slightly is the cheapest search that finds what correlations find.
func (s *searcher) slightly() (weakPlan, bool) {
	if s.MaxDrift == 0 {
		return s.planWeak(s.budget()/2, math.Inf(1))
	}
	return s.planWeak(s.budget(), slightReward*quantity.DriftUnit/float64(s.MaxDrift))
}

// deepest is the most sensitive search, without reward where there is none.
func (s *searcher) deepest() weakPlan {
	p, _ := s.planWeak(s.budget(), math.Inf(1))
	return p
}

// brighter is the sum of correlations that finds more than counting pairs does,
// where light is so strong that there is one. A brief search has the cheapest
// that finds much more.
func (s *searcher) brighter(first weakPlan) (sumPlan, bool) {
	if s.Brief && s.MaxDrift > 0 {
		drift := s.MaxDrift
		if s.near { // else a search as narrow would look for light a hundred times weaker, for as long as a wide one
			drift = max(drift, DefaultMaxDrift)
		}
		p, ok := s.planSummed(s.budget(), 8*slightReward*quantity.DriftUnit/float64(drift))
		return p, ok && p.reward > 2*first.reward
	}
	p, ok := s.planSummed(s.budget(), math.Inf(1))
	return p, ok && p.reward > s.deepest().reward
}

// weak looks for a signal that correlations of whole segments do not show.
func (s *searcher) weak() (line, bool) {
	first, ok := s.slightly()
	if p, ok := s.brighter(first); ok {
		if l, ok := s.summed(p); ok {
			return l, true
		}
	}
	if ok {
		if l, ok := s.among(first); ok {
			return l, true
		}
	}
	if s.Brief {
		return line{}, false
	}
	if all := s.deepest(); all.reward > 2*first.reward && s.ctx.Err() == nil {
		return s.among(all)
	}
	return line{}, false
}

// among looks for the line among the nominees of one search.
func (s *searcher) among(p weakPlan) (line, bool) {
	for _, c := range s.nominate(p) {
		if l, ok := s.confirm(c, confirmPoints); ok && !slices.Contains(s.refused, l.Line) {
			return l, true
		}
	}
	return line{}, false
}

// nominee is a ridge that is worth a closer look.
type nominee struct {
	line
	ll float64
}

// nominate returns the ridges that chance explains worst, the worst first.
func (s *searcher) nominate(p weakPlan) []nominee {
	from, to := s.segment(s.centre, p.length)
	bin := int64(1) << p.shift
	low := -s.reach - int64(p.slices)*bin
	chunks := int((s.reach-low)/(treeWidth*bin)) + 1
	found := make([][2]nominee, chunks)
	trees := make(chan *tree, chunks) // those not in use
	var counted atomic.Int64
	correlate.Each(chunks, func(i int) {
		if s.ctx.Err() != nil || counted.Load() > p.most() {
			return
		}
		var t *tree
		select {
		case t = <-trees:
		default:
			t = newTree(p.slices, treeWidth)
		}
		found[i] = s.ridges(p, t, from, to, low+int64(i)*treeWidth*bin, &counted)
		trees <- t
	})
	if counted.Load() > p.most() {
		return nil // tags in bursts: to count them all would take for ever
	}
	var all []nominee
	for _, f := range found {
		for _, n := range f {
			if n.ll > 0 {
				all = append(all, n)
			}
		}
	}
	slices.SortStableFunc(all, func(x, y nominee) int { return cmp.Compare(y.ll, x.ll) })
	return all[:min(len(all), nominations)]
}

// ridges returns the highest rising and the highest falling ridge that begin
// in the tree's bins from low on.
func (s *searcher) ridges(p weakPlan, t *tree, from, to uint64, low int64, total *atomic.Int64) (found [2]nominee) {
	counted := 0
	for i := range p.slices {
		a, b := span64(to-from, p.slices, i)
		n := t.fill(i, within(s.a, from+a, from+b), s.b, low, p.shift, int(p.most()))
		counted += n
		total.Add(int64(n))
	}
	chance := 2 * float64(counted) / float64(t.bins())
	if chance == 0 {
		return found
	}
	bin := float64(int64(1) << p.shift)
	apart := float64(to-from) * float64(p.slices-1) / float64(p.slices) // first to last slice's middle
	for i, reversed := range []bool{false, true} {
		r := t.highest(reversed)
		slope := float64(r.shift) * bin / apart
		if reversed {
			slope = -slope
		}
		found[i] = nominee{ll: surprise(float64(r.count), max(chance, 1e-3)), line: line{
			Line: correlate.Line{
				Reference: from + (to-from)/2,
				Offset:    low + int64((float64(r.at)+float64(r.shift)/2+1)*bin),
				Frequency: quantity.Drift(slope * quantity.DriftUnit),
			},
			length: int64(to - from), ux: 3 * bin, uy: 3 * bin / apart, bin: bin,
		}}
	}
	return found
}

// span64 is span for times.
func span64(length uint64, parts, i int) (from, to uint64) {
	n := length / uint64(parts)
	return n * uint64(i), n * uint64(i+1)
}

// confirm lists the pairs about a nominee, not many more than most, and looks for its line in bins as
// narrow as the pairs' jitter, where it must stand out against all places that
// the whole search could have pointed to.
func (s *searcher) confirm(c nominee, most int) (line, bool) {
	return s.closeIn(c.line, most, func(p peak, bin float64, length float64) bool {
		drift := float64(s.MaxDrift) / quantity.DriftUnit
		places := (2*float64(s.reach)/bin + 1) * (2*drift*length/bin + 1)
		return p.count >= 8 && p.ll+math.Log(p.trials)-math.Log(places) > convincedLL
	})
}
