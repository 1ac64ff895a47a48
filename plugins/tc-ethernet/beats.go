package main

import "time"

// beat is a row of messages that came a period apart, at times at which no record
// ends as far as is known. Counts alone give their numbers.
type beat struct {
	times  int           // how many there were
	record int           // of the last one, by counts
	at     time.Duration // when it came
	start  time.Duration // earliest start that they speak for
}

// How many messages of a beat prove that the clock has jumped, and that nothing
// else has happened. One that comes early cannot be late. Messages that are late
// may be so by chance, or be out of order: so they must all be late by the same
// time, which is far from a multiple of the period.
const (
	beatsAhead = 2
	beatsBack  = 5
)

// hasJumped says whether a message shows that the controller's clock has jumped,
// and then takes it that records end when this one did.
func (n *numbering) hasJumped(m message, c candidate) bool {
	period := n.timing.period
	ahead := c.low > c.high && !n.doubtful
	if m.begun || !ahead && !n.doubtful || n.records > 0 && c.low >= n.records || m.count < c.low {
		return false
	}
	if ahead && m.at-n.came < period/2 {
		return false // it may have come twice
	}
	if c.low != n.floor || m.at-n.floorAt >= period/2 || m.count > n.floor+1 {
		n.beat.times = 0 // no counts that are fresh enough
		return false
	}
	n.count(m, n.floor)
	switch {
	case ahead:
		return (m.count == n.floor || n.beat.times >= beatsAhead) && n.timing.jumped(m.at, n.floor)
	case n.beat.times >= beatsBack && n.timing.offBeat(n.beat.start):
		return n.timing.jumped(n.beat.start+time.Duration(n.floor)*period+n.timing.width, n.floor)
	}
	return false
}

// count adds a message to the beat, or begins another one with it.
func (n *numbering) count(m message, record int) {
	period := n.timing.period
	start := m.at - time.Duration(record)*period - n.timing.width
	if off := m.at - n.beat.at - period; n.beat.times > 0 && record == n.beat.record+1 && off > -period/8 && off < period/8 {
		n.beat.times++
		n.beat.start = min(n.beat.start, start)
	} else {
		n.beat = beat{times: 1, start: start}
	}
	n.beat.record, n.beat.at = record, m.at
}
