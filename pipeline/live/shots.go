package live

import (
	"cmp"
	"context"

	"tsrun/pipeline/run"
)

// Segment is a proven one of a run directory.
type Segment struct {
	run.Segment
	Nth int    // of its channel in the shot, from 0
	At  uint64 // where the time 0 of the shot lies in the run, in ps
}

func (s Segment) place() place { return place{s.Part, s.Nth} }

// place is where a segment stands in the record of its channel.
type place struct {
	shot int // from 0
	nth  int // in the shot, from 0
}

func (p place) compare(o place) int {
	return cmp.Or(cmp.Compare(p.shot, o.shot), cmp.Compare(p.nth, o.nth))
}

// isBeyond reports whether segments of all channels are here that are of later shots.
func (m *merger) isBeyond() bool {
	for _, c := range m.channels {
		if c.last.shot <= m.next.shot {
			return false
		}
	}
	return len(m.channels) > 0
}

// shotIsOver reports whether nothing more comes of the shot that is due, and something of
// a later one is here. One channel that is far into a later shot waits for no other.
func (m *merger) shotIsOver() bool {
	if m.newest() >= m.next.nth {
		return false
	}
	later := 0
	for _, c := range m.channels {
		if c.last.shot > m.next.shot {
			later = max(later, len(c.here))
		}
	}
	return m.isBeyond() || later > missAfter || m.flushing && later > 0
}

// endShot sends what lies beyond the end of another clock's last segment, and goes to the
// next shot that something is here of. Its tags are later than all of this one.
func (m *merger) endShot(ctx context.Context) {
	m.merge(ctx, endOfTime, nil, false)
	next := m.next.shot
	for _, c := range m.channels {
		for at := range c.here {
			if at.shot > m.next.shot && (next == m.next.shot || at.shot < next) {
				next = at.shot
			}
		}
	}
	delete(m.starts, m.next.shot)
	m.next = place{shot: next}
	for _, c := range m.clocks {
		c.begin(next, m.sent)
	}
}

// endOfWindow is the end of the window that is due: a shot ends before its last segment
// would, and the next may begin soon.
func (m *merger) endOfWindow() uint64 {
	end := uint64(m.next.nth+1) * m.length
	if m.several {
		end = min(end, m.duration)
	}
	return m.starts[m.next.shot] + end
}
