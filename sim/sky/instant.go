package sky

import (
	"fmt"
	"time"
)

// CellPs is the length of a cell of true time: 1 ms.
const CellPs = 1_000_000_000

const (
	cellNs  = CellPs / 1000
	psPerNs = 1000
)

// Instant is a point of true time: a number of whole cells since 1970 and
// picoseconds into the cell. Differences of instants are plain picoseconds,
// which 64 bits hold up to 106 days.
type Instant struct {
	cell int64
	ps   int64 // 0 to CellPs-1
}

// Unix returns the instant ps picoseconds after ns nanoseconds since 1970.
func Unix(ns, ps int64) Instant {
	cell := floorDiv(ns, cellNs)
	return Instant{cell: cell, ps: (ns - cell*cellNs) * psPerNs}.Add(ps)
}

// Now returns the present instant of this host's CLOCK_REALTIME, in whole nanoseconds.
func Now() Instant { return Unix(time.Now().UnixNano(), 0) }

// Unix returns whole nanoseconds since 1970 and the picoseconds (0 to 999) after them.
func (t Instant) Unix() (ns, ps int64) {
	return t.cell*cellNs + t.ps/psPerNs, t.ps % psPerNs
}

// Add returns the instant ps picoseconds later.
func (t Instant) Add(ps int64) Instant {
	cells := floorDiv(ps, CellPs)
	t.cell += cells
	t.ps += ps - cells*CellPs
	if t.ps >= CellPs {
		t.cell++
		t.ps -= CellPs
	}
	return t
}

// Sub returns t minus u in picoseconds; the two must lie within 106 days.
func (t Instant) Sub(u Instant) int64 { return (t.cell-u.cell)*CellPs + t.ps - u.ps }

// Before reports whether t is earlier than u.
func (t Instant) Before(u Instant) bool {
	return t.cell < u.cell || t.cell == u.cell && t.ps < u.ps
}

// Wait returns how long to sleep until t: 0 when it has passed, and never more
// than slice, so that a sleeper notices when CLOCK_REALTIME is set.
func (t Instant) Wait(slice time.Duration) time.Duration {
	now := Now()
	if !now.Before(t) {
		return 0
	}
	if t.cell-now.cell > int64(slice/time.Millisecond) {
		return slice
	}
	return min(slice, time.Duration(t.Sub(now)/psPerNs)+1)
}

// String returns the instant in UTC with all twelve decimals.
func (t Instant) String() string {
	ns, ps := t.Unix()
	return fmt.Sprintf("%s%03dZ", time.Unix(0, ns).UTC().Format("2006-01-02T15:04:05.000000000"), ps)
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
