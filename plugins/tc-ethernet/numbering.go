package main

import (
	"errors"
	"slices"
	"time"
)

// A message of the DataLinkTarget service holds tags of one record and does
// not say of which. These rules of the service are what there is to go by:
//
//   - messages of a channel come in order; a record gives one message when it
//     is over, several when it is large, and none when it is empty;
//   - the service hands over the tags of a record, then counts the record as
//     completed, then goes on to the next one. It counts empty records too.
//
// From them follow bounds for the number of a message's record:
//
//	count, before   A status that counts k records and only tags that came with
//	                earlier messages: at least k.
//	count, after    A status asked for when the message was there: at most k.
//	arrival         A record arrives after its end: at most as many as have ended.
//	restart         Values fall: at least one more than the message before.
//	order           Never less than the message before; and a message whose
//	                number is known bounds those still undecided before it.
//
// A message is numbered when its bounds meet. That is at once as long as this
// process is not held up for a whole period; after that, it takes a message or
// two more. Bounds that contradict each other, or never meet, make a message
// ambiguous: it is reported as lost, and never put at a guessed time. After a
// contradiction arrival proves nothing, until a status has counted what there is.
//
// A service that is itself late keeps the rules or has put records out of
// order; nothing tells which. So when it leaves a record uncounted that is long
// over, though it answers and its tags are taken, every message is ambiguous
// that can be of more than one record, until it has caught up.
//
// The controller's clock may jump, and then records end at other times. It has
// jumped ahead when a message is of a record that is not over yet, though counts
// prove its number, or when two of them come a period apart. It has jumped back
// when messages are late, but all by the same time, which is no multiple of the
// period: beats.go.

// snapshot is what one status says: so many records completed, so many tags
// counted.
type snapshot struct {
	records int
	tags    uint64
}

// counted is a snapshot with its circumstances.
type counted struct {
	snapshot
	asked    time.Duration // since the start command
	calm     bool          // asked and answered promptly, while this process was waiting for tags
	answered time.Duration // since the start command
}

// message is what is known of a message on its arrival.
type message struct {
	at          time.Duration // since the start command
	tags        uint64
	first, last uint64 // smallest and largest value
	count       int    // records counted by a status asked for after its arrival; -1: none was
	begun       bool   // may have come before its record was over
}

// numbering finds the numbers of one channel's messages. It is fed with
// statuses and messages and does nothing else.
type numbering struct {
	timing   timing
	records  int    // in the acquisition; 0: no end
	received uint64 // tags of all messages so far

	statuses []counted     // which count tags that have not come yet, in order
	floor    int           // the next message is of no earlier record
	floorAt  time.Duration // when the newest status was asked for all of whose tags have come

	follows  bool          // a message was taken before
	previous int           // lower bound of its record
	last     uint64        // its largest value
	came     time.Duration // when the last message came, numbered or not
	jumps    uint64        // of the controller's clock
	beat     beat          // of messages that came at times at which no record ends
	lostAt   time.Duration // when the last message came that contradicts; 0: none, or floorAt is later

	held []candidate // undecided messages, in order

	late       bool          // the last status left a record uncounted that was long over
	lateRecord int           // that record
	lateSince  time.Duration // when it was first found so
	doubtful   bool          // the service is late: its count proves nothing
	sure       int           // floor when it was not late yet
}

// candidate is a message with the bounds of its record number.
type candidate struct {
	low, high int
	apart     int // 1 when its record is certainly not that of the message before
	at        time.Duration
	begun     bool
}

// maxStatuses bounds the statuses remembered. Forgetting an old one makes a
// bound wider, never wrong.
const maxStatuses = 64

func newNumbering(p plan, returned time.Duration) numbering {
	return numbering{timing: newTiming(p, returned), records: p.records}
}

// note takes a status in; statuses come in the order they were answered.
func (n *numbering) note(c counted) {
	n.timing.counted(c.asked, c.records)
	if k := len(n.statuses); k > 0 && n.statuses[k-1].tags == c.tags {
		n.statuses[k-1] = c
	} else {
		if k == maxStatuses {
			n.statuses = slices.Delete(n.statuses, 0, 1)
		}
		n.statuses = append(n.statuses, c)
	}
	n.settle()
	n.watch(c)
	if !n.late && !n.doubtful {
		n.sure = n.floor
	}
}

// watch finds out whether the service is late. It takes two statuses, both on
// a PC that is not held up itself: after a pause of the whole PC, one may well
// be answered before the first record is handed over.
func (n *numbering) watch(c counted) {
	period := n.timing.period
	switch {
	case c.records >= n.due(c.asked, period/4):
		n.late = false
		// Not one more may be over: the service might be about to hand over the
		// record before the one that it has counted.
		if c.tags <= n.received && c.records > n.lastOver(c.answered) {
			n.doubtful = false
		}
	case !c.calm:
		n.late = false
	case !n.late || n.lateRecord != c.records:
		n.late, n.lateRecord, n.lateSince = true, c.records, c.asked
	case c.asked-n.lateSince >= period/3:
		n.doubtful = true
	}
}

// lastOver returns the latest record that can be over at a time.
func (n *numbering) lastOver(at time.Duration) int {
	last := n.timing.latest(at, false)
	if n.records > 0 {
		last = min(last, n.records-1)
	}
	return last
}

// due returns how many records should be counted at a time: those that were
// over for so long.
func (n *numbering) due(at, since time.Duration) int {
	due := n.timing.over(at, since)
	if n.records > 0 {
		due = min(due, n.records)
	}
	return due
}

// settle raises the floor by the statuses all of whose tags have come.
func (n *numbering) settle() {
	passed := 0
	for _, s := range n.statuses {
		if s.tags > n.received {
			break
		}
		n.floor, n.floorAt = max(n.floor, s.records), max(n.floorAt, s.asked)
		passed++
	}
	n.statuses = slices.Delete(n.statuses, 0, passed)
}

// Why a message will never have a number.
var (
	errContradiction = errors.New("time, count and values contradict each other")
	errLate          = errors.New("the DataLinkTarget service is late by a record or more, so that its count proves nothing; " +
		"longer records or lower rates help, if the PC is too slow")
)

// take adds a message to those to be numbered, unless it can never have a
// number.
func (n *numbering) take(m message) error {
	c := n.bound(m)
	late := n.doubtful && c.low < c.high
	if m.count >= 0 {
		c.high = min(c.high, m.count)
	}
	n.came = m.at
	n.received += m.tags
	n.settle()
	switch {
	case late:
		return errLate
	case c.low > c.high:
		n.lostAt = m.at
		return errContradiction
	}
	n.follows, n.previous, n.last = true, c.low, m.last
	n.held = append(n.held, c)
	n.tighten()
	return nil
}

// bound finds the bounds of a message but for the count after it, and whether it
// shows that the clock has jumped.
func (n *numbering) bound(m message) candidate {
	c := candidate{low: n.floor, at: m.at, begun: m.begun}
	if n.follows {
		if m.first < n.last {
			c.apart = 1
		}
		c.low = max(c.low, n.previous+c.apart)
	}
	c.high = n.timing.latest(m.at, m.begun)
	if n.records > 0 {
		c.high = min(c.high, n.records-1)
	}
	switch {
	case n.hasJumped(m, c):
		n.jumps++
		n.late, n.doubtful, n.lostAt = false, false, 0
		c.high = c.low
	case n.lostAt > 0 && n.lostAt >= n.floorAt && m.count != n.floor:
		c.high = -1
	case n.doubtful:
		c.low = n.sure
		if n.follows {
			c.low = max(c.low, n.previous+c.apart)
		}
	}
	return c
}

// extend says that the message taken last goes on to a larger value.
func (n *numbering) extend(last uint64) { n.last = max(n.last, last) }

// tighten lets each undecided message bound the one before it. No bounds can
// cross, because take has made every lower bound respect the one before.
func (n *numbering) tighten() {
	for i := len(n.held) - 1; i > 0; i-- {
		n.held[i-1].high = min(n.held[i-1].high, n.held[i].high-n.held[i].apart)
	}
}

// next returns the number of the first undecided message and forgets it, or
// false when it is not decided yet.
func (n *numbering) next() (record int, ok bool) {
	if len(n.held) == 0 || n.held[0].low < n.held[0].high {
		return 0, false
	}
	c := n.held[0]
	n.held = slices.Delete(n.held, 0, 1)
	if !c.begun {
		n.timing.placed(c.at, c.low)
	}
	return c.low, true
}

// hopeless says whether the first undecided message will never have a number: one
// behind it has, so none that is to come can bound it.
func (n *numbering) hopeless() bool {
	return slices.ContainsFunc(n.held, func(c candidate) bool { return c.low == c.high })
}

// drop gives the first undecided message up and returns its bounds.
func (n *numbering) drop() (low, high int) {
	c := n.held[0]
	n.held = slices.Delete(n.held, 0, 1)
	return c.low, c.high
}

// finish says how many records there were, when no message will come any more.
// A last record that was cut short may not have been counted.
func (n *numbering) finish(records int) {
	if k := len(n.held); k > 0 {
		last := &n.held[k-1]
		last.high = min(last.high, max(records-1, last.low))
		n.tighten()
	}
}
