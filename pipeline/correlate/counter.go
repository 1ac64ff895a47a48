package correlate

import (
	"maps"
	"math"
	"slices"
)

// A fold of three channels or more may take so many steps, and so many more for
// each tag of its first channel. Windows that rarely see two tags take a few.
const (
	freeSteps   = 1 << 24
	stepsPerTag = 256
)

// counter counts the tuples of some of the channels. The first of them stands
// where it is, each of the others in nine places: unshifted, and shifted by one
// to four shifts to both sides. Every choice of places is a way to divide the
// channels into groups that were moved together, so that only the members of a
// group can have seen one event.
//
// With M(g) the mean number of tuples where the groups g were apart, the tuples
// that are of one event are the joint cumulant
//
//	net = sum over all groupings g of (-1)^(|g|-1) (|g|-1)! M(g)
//
// (T. N. Thiele; for counts, D. J. Daley and D. Vere-Jones, An Introduction to
// the Theory of Point Processes, 5.2). For two channels that is the plain All
// minus the mean of the eight shifted windows.
type counter struct {
	mask   int   // of the channels
	lanes  []int // the same
	half   int64 // ps
	at     places
	found  map[grouping]uint64
	placed placed // of two channels: found, by place
	steps  int64  // left

	one     uint64
	listed  bool       // whether matched is asked for
	matched [][]uint64 // numbers of the tags of each one-to-one tuple of the span, by channel
	free    []uint64   // by channel: number of the first tag that no tuple has taken

	windows [][]window // by channel after the first, by place
	near    [][]int    // by channel after the first: the places where its window holds tags
	group   [shiftedWindows + 1]grouping

	sieve *sieve // of two channels: see pairs
	piece piece
}

// grouping says which channels were shifted together: for each channel after
// the first, three bits with the number of its group. The first channel's is 0,
// and groups are numbered as they appear.
type grouping uint32

// together is the grouping of channels that are all unshifted.
const together = grouping(0)

// window is what lies in one channel's window about a tag of the first.
type window struct {
	low, high int64 // ps: beyond that tag
	from, to  int   // the tags within
}

func newCounter(mask int, half int64, at places) *counter {
	c := &counter{mask: mask, half: half, at: at, found: map[grouping]uint64{}, steps: freeSteps}
	for i := range MaxChannels {
		if mask&(1<<i) != 0 {
			c.lanes = append(c.lanes, i)
		}
	}
	c.free = make([]uint64, len(c.lanes))
	c.near = make([][]int, len(c.lanes)-1)
	c.windows = make([][]window, len(c.lanes)-1)
	for j := range c.windows {
		for _, by := range at {
			c.windows[j] = append(c.windows[j], window{low: by - half, high: by + half})
		}
	}
	if len(c.lanes) == 2 {
		c.sieve = newSieve(half, at)
	}
	return c
}

// count counts the tuples whose first channel's tag is in the span; those of two
// channels it matches as well.
func (c *counter) count(g *gather) error {
	first := g.lanes[c.lanes[0]]
	if len(c.lanes) == 2 {
		c.pairs(first.view, g.lanes[c.lanes[1]].view)
		return nil
	}
	own := first.fixed[first.low:first.high]
	if len(own) == 0 {
		return nil
	}
	return c.tuples(own, g)
}

func (c *counter) tuples(own []uint64, g *gather) error {
	for j, windows := range c.windows {
		tags := g.lanes[c.lanes[j+1]].fixed
		for place := range windows {
			w := &windows[place]
			w.from = search(len(tags), func(i int) bool { return int64(tags[i]-own[0]) >= w.low })
			w.to = w.from
		}
	}
	c.steps += stepsPerTag * int64(len(own))
	for _, t := range own {
		if !c.moveWindows(t, g) {
			continue
		}
		c.group = [shiftedWindows + 1]grouping{}
		c.group[shiftsEachSide] = 1 // one more than its number: 0 is none
		if !c.extend(g, t, stretch{}, 1, 1, together) {
			return &LimitError{What: "number of tags near each other", Value: "hundreds for every tag", Limit: "that",
				Hint: "choose a shorter window, or check the files for tags that repeat"}
		}
	}
	return nil
}

// moveWindows moves the windows to the tag t of the first channel and says whether
// every other channel has tags in one of them.
func (c *counter) moveWindows(t uint64, g *gather) bool {
	for j, windows := range c.windows {
		tags := g.lanes[c.lanes[j+1]].fixed
		near := c.near[j][:0]
		for place := range windows {
			w := &windows[place]
			for w.from < len(tags) && int64(tags[w.from]-t) < w.low {
				w.from++
			}
			w.to = max(w.to, w.from)
			for w.to < len(tags) && int64(tags[w.to]-t) <= w.high {
				w.to++
			}
			if w.to > w.from {
				near = append(near, place)
			}
		}
		if c.near[j] = near; len(near) == 0 {
			return false
		}
	}
	return true
}

// stretch is how far the tags of a part of a tuple reach, in ps beyond the first
// channel's.
type stretch struct{ low, high int64 }

func (s stretch) with(d int64) stretch { return stretch{min(s.low, d), max(s.high, d)} }

// extend adds channel j and those after it to a part of a tuple, in every way.
// It gives up, false, after too much work.
func (c *counter) extend(g *gather, t uint64, s stretch, j int, groups grouping, key grouping) bool {
	tags := g.lanes[c.lanes[j]].fixed
	for _, place := range c.near[j-1] {
		w := c.windows[j-1][place]
		shifted := t + uint64(c.at[place])
		was, grown := c.group[place], groups
		if was == 0 {
			grown++
			c.group[place] = grown
		}
		longer := key | (c.group[place]-1)<<(3*(j-1))
		if c.steps--; c.steps < 0 {
			return false
		}
		if j == len(c.lanes)-1 {
			c.found[longer] += within(tags[w.from:w.to], shifted, s.high-c.half, s.low+c.half)
		} else {
			for _, u := range tags[w.from:w.to] {
				wider := s.with(int64(u - shifted))
				if wider.high-wider.low <= c.half && !c.extend(g, t, wider, j+1, grown, longer) {
					return false
				}
			}
		}
		c.group[place] = was
	}
	return true
}

// within counts the tags that are low to high beyond t.
func within(tags []uint64, t uint64, low, high int64) uint64 {
	from := search(len(tags), func(i int) bool { return int64(tags[i]-t) >= low })
	return uint64(search(len(tags)-from, func(i int) bool { return int64(tags[from+i]-t) > high }))
}

// match gives each tag of the first channel that is in the span the earliest
// tags of the others that no tuple has taken, when these are within the window
// of each other. A tag that is too early for the latest of the others is too
// early for all to come, so it is passed over; no way to choose finds more.
func (c *counter) match(g *gather) {
	c.matched = c.matched[:0]
	for j, lane := range c.lanes {
		c.free[j] = max(c.free[j], g.lanes[lane].dropped)
	}
	first := g.lanes[c.lanes[0]]
	c.free[0] = max(c.free[0], first.dropped+uint64(first.low))
	for {
		latest := int64(math.MinInt64)
		for j, lane := range c.lanes {
			l := g.lanes[lane]
			i := int(c.free[j] - l.dropped)
			if i >= len(l.fixed) || j == 0 && i >= l.high {
				return
			}
			latest = max(latest, g.since(l.fixed[i]))
		}
		if c.pass(g, latest-c.half) {
			continue
		}
		c.one++
		if c.listed {
			c.matched = append(c.matched, slices.Clone(c.free))
		}
		for j := range c.free {
			c.free[j]++
		}
	}
}

// pass passes over the tags before t and says whether there were any.
func (c *counter) pass(g *gather, t int64) (passed bool) {
	for j, lane := range c.lanes {
		l := g.lanes[lane]
		for i := int(c.free[j] - l.dropped); i < len(l.fixed) && g.since(l.fixed[i]) < t; i++ {
			c.free[j]++
			passed = true
		}
	}
	return passed
}

// yield is what a counter found, or how many singles a channel had.
type yield struct {
	net, variance         float64
	accidentals, ofChance float64 // net, accidentals and ofChance are unknown where no shift leaves time that all recorded
	accidentalsVariance   float64
	counted               float64         // tuples that tell the accidentals as well
	apart                 map[int]float64 // by channel: tuples where it alone was shifted
	ratioVariance         float64         // of all over accidentals, by tags that are in many windows
	ratesVariance         float64         // of accidentals, by the numbers of tags that happened to be recorded
	uneven                float64         // by what part chance near zero differs from accidentals, where that is certain
	blind                 float64         // by what part dead times make accidentals fewer
	repeated              float64         // the part of the tags that follow another one of their channel within the window
	divided               []float64       // of more than two channels: what adds to accidentals, regardless of its sign, by groups less two
	singles               bool            // whether it is of a channel's tags, which are known without error
}

func (c *counter) yield(e exposure) *yield {
	n := len(c.lanes)
	y := &yield{apart: map[int]float64{}}
	if !e.suffices() {
		y.net, y.accidentals, y.ofChance = math.NaN(), math.NaN(), math.NaN()
		return y
	}
	heaviest := 1 / e.of(grouping(1)<<(3*(n-2)))          // of one tuple, in accidentals
	for _, g := range slices.Sorted(maps.Keys(c.found)) { // sums of floats depend on their order
		groups := g.groups(n)
		if groups == 1 {
			continue
		}
		weight := 1.0
		for k := 1; k < groups; k++ {
			weight *= float64(k)
		}
		due, count := e.of(g), float64(c.found[g])
		mean := count / due
		if groups%2 == 0 {
			y.accidentals += weight * mean
		} else {
			y.accidentals -= weight * mean
		}
		for len(y.divided) <= groups-2 {
			y.divided = append(y.divided, 0)
		}
		y.divided[groups-2] += weight * mean
		y.accidentalsVariance += weight * weight * count / (due * due)
		if groups == n {
			y.ofChance = mean
		}
		for _, j := range g.alone(n) {
			y.apart[c.lanes[j]] += mean
		}
	}
	all := float64(c.found[together])
	if y.accidentals > 0 {
		y.counted = y.accidentals * y.accidentals / y.accidentalsVariance
	}
	y.accidentalsVariance += fewCounted * heaviest * heaviest
	y.net, y.variance = all-y.accidentals, all+fewCounted+y.accidentalsVariance
	if n == 2 {
		y.variance += e.shared(1, -heaviest)
		y.accidentalsVariance += e.shared(0, heaviest)
		a, b := max(1, e.tags[0]), max(1, e.tags[1])
		y.ratesVariance = y.accidentals * y.accidentals * (1/a + 1/b + 2*max(0, y.net)/(a*b))
		if y.accidentals > 0 {
			y.ratioVariance = e.shared(1, -heaviest*all/y.accidentals) / (y.accidentals * y.accidentals)
		}
	}
	return y
}

// of is the number of channel j's group.
func (g grouping) of(j int) int {
	if j == 0 {
		return 0
	}
	return int(g >> (3 * (j - 1)) & 7)
}

// groups is the number of groups of n channels.
func (g grouping) groups(n int) int {
	most := 0
	for j := range n {
		most = max(most, g.of(j))
	}
	return most + 1
}

// alone lists the channels that stand against all others, which are together.
func (g grouping) alone(n int) (channels []int) {
	if g.groups(n) != 2 {
		return nil
	}
	var members [2][]int
	for j := range n {
		members[g.of(j)] = append(members[g.of(j)], j)
	}
	for _, m := range members {
		if len(m) == 1 {
			channels = append(channels, m[0])
		}
	}
	return channels
}
