package correlate

const (
	nearRecord = 80 // of the record, a shift is at most such a part where it may be: what its ends do would make chance uncertain
	nearWindow = 2  // windows, at least, of such a shift
)

// placesFor chooses by how much channels are moved when chance is counted.
func (g *gather) placesFor(o CoincidenceOptions) places {
	if o.Shift != 0 {
		return evenly(o.Shift)
	}
	shift := max(10*o.Window, minShift)
	if g.ended() {
		shift = g.fit(shift, o.Window)
	}
	return evenly(shift)
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
