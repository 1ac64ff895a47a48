package main

import (
	"encoding/binary"
	"math/bits"
	"slices"

	"tsrun/sdk/fifteen"
)

// events takes the stream of 64-bit words of a TDC2 apart. Their time is a
// number of ticks from origin on; a few come late, around dummies, by up to
// eventReorder.
type events struct {
	emit func(tag uint64, input int) // in order of time, ps
	late func()                      // an event came too late to be put in order

	origin  uint64  // ticks, of the first round
	part    []byte  // of a word
	latest  int64   // ticks since origin, of the words so far
	gone    int64   // ticks: nothing before comes out any more
	pending []event // in order, from head on
	head    int
	counted wordCount
}

type event struct {
	ticks  int64
	inputs uint64
}

const (
	eventSize    = 8
	eventReorder = 1 << 26 // ticks: 262 us
)

// take takes the next bytes of the stream.
func (e *events) take(b []byte) {
	if len(e.part) > 0 {
		n := min(eventSize-len(e.part), len(b))
		e.part = append(e.part, b[:n]...)
		b = b[n:]
		if len(e.part) < eventSize {
			return
		}
		e.word(fifteen.Event(binary.LittleEndian.Uint64(e.part)))
		e.part = e.part[:0]
	}
	for ; len(b) >= eventSize; b = b[eventSize:] {
		e.word(fifteen.Event(binary.LittleEndian.Uint64(b)))
	}
	e.part = append(e.part, b...)
	e.release(e.latest - eventReorder)
}

// word takes one word. Times begin again after 2^54 ticks: of those that a time
// may be, it is the one nearest to the latest. What was before origin is not of
// the acquisition.
func (e *events) word(w fifteen.Event) {
	e.counted.Words++
	if w.Dummy() || w.Detectors() == 0 {
		e.counted.Dummies++
		return
	}
	const unused = 64 - fifteen.EventTimeBits
	since := int64((w.Time()-e.origin-uint64(e.latest))<<unused) >> unused
	ticks := e.latest + since
	switch {
	case ticks < 0:
		return
	case ticks < e.gone:
		e.counted.Damaged++
		e.late()
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
	e.release(e.latest + 1)
	return len(e.part) > 0
}
