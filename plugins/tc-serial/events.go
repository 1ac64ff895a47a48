package main

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"tsrun/sdk/fifteen"
)

// events takes the stream of 64-bit words of a TDC2 apart. Their time is a
// number of ticks from origin on; a few come late, around dummies, by up to
// eventReorder.
//
// The stream has no marks, and whatever readevents7 writes is in it. A word is
// believed when its time lies between the start and now; where that is not so,
// the bytes that are no words are passed over and counted.
type events struct {
	emit func(tag uint64, input int) // in order of time, ps
	lost func(n uint64, why string)

	origin  uint64  // ticks, of the first round
	now     int64   // ticks since origin that no event can be behind; 0: not known
	buf     []byte  // not taken yet
	latest  int64   // ticks since origin, of the words so far
	gone    int64   // ticks: nothing before comes out any more
	pending []event // in order, from head on
	head    int
	gaps    holes
	start   beginning
	counted wordCount
}

type event struct {
	ticks  int64
	inputs uint64
}

const (
	eventSize    = 8
	eventReorder = 1 << 26 // ticks: 262 us
	// eventKeeps is more than the pipe of readevents7 and its own buffer keep, in bytes.
	eventKeeps = 4 << 20
	eventSpare = 20e6 * 256 // ticks that a time may be before the start or behind now: 20 ms
	// eventAhead is how many bytes tell where words begin again.
	eventAhead = 3*eventSize - 1
)

// take takes the next bytes of the stream.
func (e *events) take(b []byte) {
	e.buf = append(e.buf, b...)
	e.decide(eventAhead)
}

// decide takes words as long as there are some, and bytes that tell what to do
// about one that is none.
func (e *events) decide(ahead int) {
	b := e.buf
	for len(b) >= eventSize {
		word := fifteen.Event(binary.LittleEndian.Uint64(b))
		if e.fits(word) {
			e.word(word)
			b = b[eventSize:]
			continue
		}
		if len(b) < ahead {
			break
		}
		by := e.next(b)
		b = b[by:]
		e.counted.Damaged++
		e.lost(1, "what came was no event; it may have been of this channel")
	}
	e.buf = append(e.buf[:0], b...)
	e.release(e.latest - eventReorder)
}

// ticks is the time of a word, since origin. Times begin again after 2^54 ticks:
// of those that a time may be, it is the one nearest to the latest.
func (e *events) ticks(w fifteen.Event) int64 {
	const unused = 64 - fifteen.EventTimeBits
	return e.latest + int64((w.Time()-e.origin-uint64(e.latest))<<unused)>>unused
}

// fits says that a word may be one, of an event or a dummy: both have their time.
func (e *events) fits(w fifteen.Event) bool {
	ticks := e.ticks(w)
	return ticks > -eventSpare && (e.now == 0 || ticks < e.now+eventSpare)
}

// next is how many bytes behind a word that is none the next one may begin: where
// two in a row have a time that fits, best where it was expected.
func (e *events) next(b []byte) int {
	at := func(by int) fifteen.Event { return fifteen.Event(binary.LittleEndian.Uint64(b[by:])) }
	if len(b) < eventAhead || e.fits(at(eventSize)) {
		return eventSize
	}
	for by := 1; by < eventSize; by++ {
		if e.fits(at(by)) && e.fits(at(by+eventSize)) {
			return by
		}
	}
	return eventSize
}

// word takes one word. What was before origin is not of the acquisition.
func (e *events) word(w fifteen.Event) {
	e.counted.Words++
	ticks := e.ticks(w)
	if w.Dummy() || w.Detectors() == 0 {
		e.counted.Dummies++
		e.start.alive(ticks)
		return
	}
	switch {
	case ticks < 0:
		e.start.alive(ticks) // it has recorded since before the start
		return
	case ticks < e.gone:
		e.counted.Damaged++
		e.lost(1, "an event came too late to be put in order; it may have been of this channel")
		return
	}
	e.latest = max(e.latest, ticks)
	at := len(e.pending)
	for at > e.head && e.pending[at-1].ticks > ticks {
		at--
	}
	e.pending = slices.Insert(e.pending, at, event{ticks, w.Detectors()})
}

// release gives out what is before a time.
func (e *events) release(before int64) {
	for ; e.head < len(e.pending) && e.pending[e.head].ticks < before; e.head++ {
		now := e.pending[e.head]
		if e.start.late(now.ticks) {
			e.lost(1, fmt.Sprintf("nothing came of readevents7 in the first %d ms after the instant: it began late, or there was no light on any input; how many tags of this channel were lost is not known", e.start.first/(1e6*ticksPerNs)))
		}
		if e.gaps.at(uint64(now.ticks), eventSize) {
			e.counted.Holes++
			e.lost(1, "this PC did not read what readevents7 wrote until it had to wait, and behind that the time of the TDC2 has a hole: it could not keep its events; how many tags of this channel were among them is not known")
		}
		tag, ok := fifteen.TicksToPs(uint64(now.ticks))
		for of := now.inputs; of > 0 && ok; of &= of - 1 {
			e.emit(tag, bits.TrailingZeros64(of)+1)
		}
	}
	e.gone = max(e.gone, before)
	if e.head == len(e.pending) {
		e.pending, e.head = e.pending[:0], 0
	} else if e.head > 1<<16 {
		e.pending = e.pending[:copy(e.pending, e.pending[e.head:])]
		e.head = 0
	}
}

// finish gives out the rest; it says whether the stream ended within a word.
func (e *events) finish() (cut bool) {
	e.decide(0)
	e.release(e.latest + 1)
	return len(e.buf) > 0
}
