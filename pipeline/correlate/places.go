package correlate

import (
	"math"
	"slices"
)

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
func (l light) wholly(shift int64) places {
	if len(l.periods) == 0 {
		return evenly(shift)
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
	return p
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
