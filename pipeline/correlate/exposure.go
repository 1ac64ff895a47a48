package correlate

import (
	"math"
	"slices"
)

// interval is a stretch of time, in ps since the base of a gather.
type interval struct{ from, to float64 }

// places are by how much a channel is moved when chance is counted, in order; the
// middle one, unmoved, is 0.
type places [shiftedWindows + 1]int64

// evenly are the places so many ps apart.
func evenly(shift int64) (p places) {
	for i := range p {
		p[i] = int64(i-shiftsEachSide) * shift
	}
	return p
}

// exposure is for how long the channels of a counter could have seen something
// together, when they are moved. Uncorrelated light is counted in proportion.
type exposure struct {
	records []interval // by lane of the counter
	tags    []float64  // in these
	half    float64    // ps, of the window
	at      places
}

// exposureOf is that of the counter's channels, after all was read. Of more than
// two channels the first one's tags are those of the time all recorded.
func (c *counter) exposureOf(g *gather) exposure {
	e := exposure{half: float64(c.half), at: c.at}
	for _, lane := range c.lanes {
		e.records = append(e.records, g.lanes[lane].record(g))
		e.tags = append(e.tags, float64(g.lanes[lane].count))
	}
	if r := &e.records[0]; g.slack >= 0 {
		r.from, r.to = max(r.from, float64(g.from-g.slack)), min(r.to, float64(g.stop()+g.slack))
		e.tags[0] = float64(g.lanes[c.lanes[0]].singles)
	}
	return e
}

// record is from the lane's first tag to its last; empty without tags.
func (l *lane) record(g *gather) interval {
	if l.count == 0 {
		return interval{}
	}
	return interval{float64(l.began), float64(g.since(l.correct.Apply(l.last)))}
}

// ofPair is the part of the time at no shift that two channels have at a place: of
// every difference in the window, how long A recorded and B recorded so much later.
func (e exposure) ofPair(place int) float64 {
	a, b := e.records[0], e.records[1]
	whole := timeOver(a, b, -e.half-0.5, e.half+0.5) // a whole ps stands for the nearest times
	if whole <= 0 {
		return 0
	}
	at := float64(e.at[place])
	return timeOver(a, b, at-e.half-0.5, at+e.half+0.5) / whole
}

// timeOver is the integral over delays of how long a recorded and b recorded so
// much later. Between the corners, where another end begins to limit it, the time is
// a straight line, so the value in the middle times the length is exact.
func timeOver(a, b interval, low, high float64) (sum float64) {
	corners := []float64{b.from - a.to, b.from - a.from, b.to - a.to, b.to - a.from, high}
	slices.Sort(corners)
	for _, corner := range corners {
		if to := min(corner, high); to > low {
			middle := (low + to) / 2
			sum += (to - low) * max(0, min(a.to, b.to-middle)-max(a.from, b.from-middle))
			low = to
		}
	}
	return sum
}

// suffices says whether every way to move groups apart leaves time that all
// channels recorded.
func (e exposure) suffices() bool {
	if n := len(e.records); n > 2 {
		return e.whole() > float64(n-1)*float64(e.at[shiftsEachSide+1])
	}
	return e.of(1) > 0
}

// whole is how long all channels recorded, in ps.
func (e exposure) whole() float64 {
	all := e.records[0]
	for _, r := range e.records {
		all = all.and(r, 0)
	}
	return max(0, all.to-all.from)
}

// of is the sum, over all ways to move the groups of g apart, of the part of the
// time at no shift that all channels have then.
func (e exposure) of(g grouping) float64 {
	n := len(e.records)
	if n == 2 {
		sum := 0.0
		for place := range e.at {
			if place != shiftsEachSide {
				sum += e.ofPair(place)
			}
		}
		return sum
	}
	groups := make([]interval, g.groups(n))
	for i := range groups {
		groups[i] = interval{math.Inf(-1), math.Inf(1)}
	}
	for j, r := range e.records {
		groups[g.of(j)] = groups[g.of(j)].and(r, 0)
	}
	var taken [shiftedWindows + 1]bool
	taken[shiftsEachSide] = true
	return e.apart(groups[0], groups[1:], &taken) / e.whole()
}

// apart is the sum over all ways to move the groups to places that none has taken.
func (e exposure) apart(common interval, groups []interval, taken *[shiftedWindows + 1]bool) (sum float64) {
	if len(groups) == 0 {
		return max(0, common.to-common.from)
	}
	for place, at := range e.at {
		if !taken[place] {
			taken[place] = true
			sum += e.apart(common.and(groups[0], float64(at)), groups[1:], taken)
			taken[place] = false
		}
	}
	return sum
}

// and is what two intervals have in common, the other one moved back.
func (v interval) and(o interval, by float64) interval {
	return interval{max(v.from, o.from-by), min(v.to, o.to-by)}
}

// shared is the variance that the windows of two channels have beyond that of
// independent pairs, because one tag is in the windows of many: of the count at no
// shift times unmoved, and of those at all others times moved. Light is Poisson's and so many
// tags were recorded of each. With f(t) the mean count, so weighted, in the windows
// of a tag at t, it is n (mean of f^2 - square of its mean), of both channels.
func (e exposure) shared(unmoved, moved float64) (variance float64) {
	for side, own := range e.records {
		other := e.records[1-side]
		length, rate := own.to-own.from, e.tags[1-side]/(other.to-other.from)
		if !(length > 0) || !(other.to > other.from) {
			return 0
		}
		windows, corners := e.windowsOf(side), []float64{own.to}
		for _, w := range windows {
			for _, end := range []float64{other.from, other.to} {
				corners = append(corners, end-w.from, end-w.to)
			}
		}
		slices.Sort(corners)
		count := func(t float64) (f float64) {
			for place, w := range windows {
				seen := rate * max(0, min(other.to, t+w.to)-max(other.from, t+w.from))
				if place == shiftsEachSide {
					f += unmoved * seen
				} else {
					f += moved * seen
				}
			}
			return f
		}
		mean, squares, t := 0.0, 0.0, own.from
		for _, corner := range corners { // f is a straight line from corner to corner
			if to := min(corner, own.to); to > t {
				x, y := count(t), count(to)
				part := (to - t) / length
				mean, squares = mean+part*(x+y)/2, squares+part*(x*x+x*y+y*y)/3
				t = to
			}
		}
		variance += e.tags[side] * max(0, squares-mean*mean)
	}
	return variance
}

// windowsOf are the windows of the other channel about a tag of one side.
func (e exposure) windowsOf(side int) (windows []interval) {
	for _, at := range e.at {
		w := interval{float64(at) - e.half - 0.5, float64(at) + e.half + 0.5}
		if side == 1 {
			w = interval{-w.to, -w.from}
		}
		windows = append(windows, w)
	}
	return windows
}

const (
	nearRecord = 80      // of the record, a shift is at most such a part where it may be: what its ends do would make chance uncertain
	nearWindow = 2       // windows, at least, of such a shift
	mostHeld   = 1 << 20 // tags in a shift by a period; a longer period than that is slow
)

// placesFor chooses by how much channels are moved when chance is counted: beyond
// dead times, and by whole periods of the light.
func (g *gather) placesFor(o CoincidenceOptions, l light) places {
	if o.Shift != 0 {
		return evenly(o.Shift)
	}
	shift := max(10*o.Window, minShift, l.blind+l.blind/4+o.Window)
	if g.ended() {
		shift = g.fit(shift, o.Window)
	}
	return l.wholly(shift)
}

// wholly are places about so many ps apart or more that are whole periods: of the
// longest, and as near to that as those of the shorter ones allow.
//
// Tags in steps are moved by whole ones, so that windows hold as many of them: where the
// light repeats, by those whole periods that are nearest to such.
func (l light) wholly(shift int64) places {
	if len(l.periods) == 0 {
		if l.step == 0 {
			return evenly(shift)
		}
		var p places
		for i := range p {
			p[i] = int64(math.Round(float64(i-shiftsEachSide) * math.Ceil(float64(shift)/l.step) * l.step))
		}
		return p
	}
	step, n := 0.0, len(l.periods)
	for ; n > 0; n-- {
		longest := l.periods[n-1].length
		if step = longest * math.Ceil(float64(shift)/longest); n == 1 || step*l.rate < mostHeld {
			break
		}
	}
	var p places
	for i := range p {
		at := float64(i-shiftsEachSide) * step
		for _, shorter := range slices.Backward(l.periods[:n-1]) {
			at = math.Round(at/shorter.length) * shorter.length
		}
		p[i] = int64(math.Round(at))
	}
	if l.step > 0 {
		for i := 1; i <= shiftsEachSide; i++ {
			at := l.onGrid(float64(p[shiftsEachSide+i]))
			p[shiftsEachSide+i], p[shiftsEachSide-i] = at, -at
		}
	}
	return p
}

// onGrid is the whole step nearest to a whole period of the shortest, at so many ps or not
// much later, of those that it is nearest to.
func (l light) onGrid(at float64) (found int64) {
	const tries, near, slow = 512, 0.02, 0.02 // of a step or a period, that is no matter; of a longer period
	period, best := l.periods[0].length, math.Inf(1)
	for n := range tries {
		whole := at + float64(n)*period
		steps := math.Round(whole/l.step) * l.step
		if off := math.Abs(steps - whole); off < best {
			if found, best = int64(math.Round(steps)), off; off < near*min(l.step, period) {
				break
			}
		}
		if len(l.periods) > 1 && float64(n+1)*period > slow*l.periods[1].length {
			break
		}
	}
	return found
}

// fit makes a shift short against the time all recorded, but longer than the
// window.
func (g *gather) fit(shift, window int64) int64 {
	shift = min(shift, max(g.whole()/nearRecord, nearWindow*window))
	if most := g.whole() / (2 * shiftsEachSide); shift > most {
		shift = max(most, window+window/4+1)
	}
	return shift
}

// ended says whether all lanes have been read to their ends.
func (g *gather) ended() bool {
	for _, l := range g.lanes {
		if !l.ended {
			return false
		}
	}
	return true
}

// whole is how long all lanes recorded, in ps, as far as they have been read.
func (g *gather) whole() int64 { return int64(g.overlap()) }
