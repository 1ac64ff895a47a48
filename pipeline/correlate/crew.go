package correlate

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// crew counts pairs on all cores, each with a tally of its own; which core
// counts what makes no difference to the sum.
type crew struct{ tallies []tally }

const (
	privateBins   = 1 << 22 // of all tallies of a crew together: 32 MiB
	piecesPerCore = 4       // so that cores end at nearly the same time
	smallBlock    = 1 << 13 // tags that are counted sooner than a core wakes up
)

// newCrew returns a crew for differences from lo on, in bins of bin ps.
func newCrew(lo, bin int64, bins int) *crew {
	c := &crew{make([]tally, max(1, min(runtime.GOMAXPROCS(0), privateBins/bins)))}
	width := uint64(bins) * uint64(bin)
	for i := range c.tallies {
		c.tallies[i] = tally{lo: uint64(lo), width: width, divide: newDivider(uint64(bin), width), counts: make([]uint64, bins)}
	}
	return c
}

// add counts the pairs of a and b and returns the number of all so far, or any
// above maxPairs.
func (c *crew) add(a, b []uint64) (pairs uint64) {
	pieces := min(piecesPerCore*len(c.tallies), len(a))
	if len(c.tallies) == 1 || len(a)+len(b) < smallBlock {
		pieces = 1
	}
	var next atomic.Int64
	work := func(y *tally) {
		for y.pairs <= maxPairs {
			n := int(next.Add(1))
			if n > pieces {
				return
			}
			part := a[len(a)*(n-1)/pieces : len(a)*n/pieces]
			from := y.reach(part[0], b)
			to := y.reach(part[len(part)-1]+y.width, b)
			y.add(part, b[from:to])
		}
	}
	var others sync.WaitGroup
	for i := 1; i < len(c.tallies) && i < pieces; i++ {
		others.Go(func() { work(&c.tallies[i]) })
	}
	work(&c.tallies[0])
	others.Wait()
	for i := range c.tallies {
		pairs += c.tallies[i].pairs
	}
	return pairs
}

// sum adds up what the crew counted.
func (c *crew) sum() (counts []uint64, pairs uint64) {
	counts = c.tallies[0].counts
	for i := range c.tallies {
		pairs += c.tallies[i].pairs
		if i > 0 {
			for k, n := range c.tallies[i].counts {
				counts[k] += n
			}
		}
	}
	return counts, pairs
}

// Each calls do with 0 to n-1, as many calls at a time as there are cores.
// Results that go each to its own place do not depend on how many those are.
func Each(n int, do func(i int)) {
	workers := min(n, runtime.GOMAXPROCS(0))
	if workers <= 1 {
		for i := range n {
			do(i)
		}
		return
	}
	var next atomic.Int64
	var all sync.WaitGroup
	for range workers {
		all.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		})
	}
	all.Wait()
}
