package wire

import "time"

const (
	// AwayAfter is how long nothing may be heard of a node, or of the master, before
	// it is called away: 25 heartbeats.
	AwayAfter = 5 * time.Second
	// heldUp is the time between two looks from which on it is a pause.
	heldUp = time.Second
)

// Attention tells how long a process was held up that waits for others: it was
// stopped, or waited for its disk. In that time it heard nobody, which says
// nothing about the others. Who waits looks several times a second.
type Attention struct{ looked time.Time }

// Pause returns for how long nobody looked since the look before, 0 for the time
// that usually passes between two.
func (a *Attention) Pause(now time.Time) time.Duration {
	since := now.Sub(a.looked)
	first := a.looked.IsZero()
	a.looked = now
	if first || since < heldUp {
		return 0
	}
	return since
}

// Forgive returns when a peer counts as heard last, a pause being left out.
func Forgive(heard time.Time, pause time.Duration, now time.Time) time.Time {
	if heard = heard.Add(pause); heard.After(now) {
		return now
	}
	return heard
}
