package main

// beginning finds out whether readevents7 began late: it is a process, and sets up the
// device before its first event. Silence before that is no proof, as events may be rare: it
// is one where it is longer than the events behind it took together, and no dummy came
// meanwhile. A light that was switched on then looks the same.
type beginning struct {
	known bool
	first int64 // ticks since the start, of the first event
	words int
}

const (
	// beganLate is how late it may begin: as much as a controller may be started late.
	beganLate = 100e6 * ticksPerNs
	// beganWords is how many events behind the first decide; silence by chance is longer
	// once in 2^32.
	beganWords = 32
)

// alive takes the time of a word that is no event of the acquisition, but shows that it records.
func (b *beginning) alive(ticks int64) { b.known = b.known || ticks <= beganLate }

// late takes the times of events, in order, and reports once that what is before the first
// was not recorded.
func (b *beginning) late(ticks int64) bool {
	if b.known {
		return false
	}
	if b.words == 0 {
		b.first = ticks
	}
	b.words++
	b.known = b.first <= beganLate || b.words > beganWords
	return b.words > beganWords && b.first > ticks-b.first
}
