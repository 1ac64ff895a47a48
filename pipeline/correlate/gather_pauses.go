package correlate

import (
	"cmp"
	"slices"
)

// passBreaks enters the pauses over the breaks that the tags of a span's time have passed.
func (l *lane) passBreaks(g *gather) {
	times := l.fixed[l.own:l.next]
	if len(times) == 0 {
		return
	}
	for ; l.passed < len(l.breaks); l.passed++ {
		at := g.since(l.correct.Apply(l.breaks[l.passed]))
		i := search(len(times), func(i int) bool { return g.since(times[i]) >= at })
		if i == len(times) {
			break
		}
		switch to := g.since(times[i]); {
		case i > 0:
			l.pauses = append(l.pauses, Gap{g.since(times[i-1]), to})
		case to > l.began: // else nothing was recorded before it
			l.pauses = append(l.pauses, Gap{l.latest, to})
		}
	}
	l.latest = g.since(times[len(times)-1])
}

// paused is how much of a time lies in a pause of any lane, in ps.
func (g *gather) paused(from, to int64) (sum uint64) {
	var all []Gap
	for _, l := range g.lanes {
		all = append(all, l.pauses...)
	}
	slices.SortFunc(all, func(a, b Gap) int { return cmp.Compare(a.From, b.From) })
	for _, p := range all {
		if high := min(p.To, to); high > from {
			low := max(p.From, from)
			sum += uint64(max(0, high-low))
			from = high
		}
	}
	return sum
}
