package idq

import "tsrun/sim/sky"

// wiring is how a RAW or HISTogram block was linked when a recording began.
type wiring struct {
	stop, ref origin
}

// input returns the input whose detections are stamped; 0 when none is linked.
func (w wiring) input() int {
	if w.stop.block == "INPU" {
		return w.stop.n
	}
	return 0
}

// lane is one RAW or HISTogram block during a recording: the stamps of its
// input, cut into records and referred to its reference.
//
// A value is STOP minus the last event of REF within the record, or minus the
// begin of the record when there is none. The index counts the events of REF
// since the recording began.
type lane struct {
	stop, ref  *stamps // nil: no input linked
	perRecord  bool    // the reference is the begin of each record
	self       bool    // stop and reference are the same input: only earlier events refer
	resolution int64   // ps

	refs      []int64 // stamps of the reference within one collect, reused
	record    int64   // begin of the record that last and referred belong to
	last      int64   // stamp of the last reference event
	referred  bool    // there was one in this record
	index     uint64
	dead      uint64 // stamps between records
	early     uint64 // stamps below 0
	countFrom int64  // stamps before it, but behind 0, were left out on purpose
}

// newLane opens the inputs of a block. Sources begin early enough for every
// stamp from 0 on.
func newLane(w wiring, c Clock, resolution int64, open func(input int, from int64) sky.Source) *lane {
	l := &lane{resolution: resolution, perRecord: w.ref.block == "REC", self: w.ref.block == "INPU" && w.ref == w.stop, record: -1}
	if n := w.input(); n != 0 {
		l.stop = newStamps(c, w.stop.delay, func(from int64) sky.Source { return open(n, from) })
	}
	if w.ref.block == "INPU" {
		l.ref = newStamps(c, w.ref.delay, func(from int64) sky.Source { return open(w.ref.n, from) })
	}
	return l
}

// collect passes on what the record that began at begin holds before limit and
// was not passed on yet. Stamps between records are only counted.
func (l *lane) collect(begin, limit int64, emit func(value, index uint64)) {
	if l.stop == nil {
		return
	}
	if l.record != begin {
		l.record, l.referred = begin, false
		if l.perRecord {
			l.refs = append(l.refs, begin)
		}
	}
	if l.ref != nil {
		l.ref.until(limit, func(t int64) {
			if t >= begin {
				l.refs = append(l.refs, t)
			}
		})
	}
	used := 0
	l.stop.until(limit, func(t int64) {
		switch {
		case t < 0:
			l.early++
			return
		case t < begin:
			if t >= l.countFrom {
				l.dead++
			}
			return
		}
		for used < len(l.refs) && (l.refs[used] < t || l.refs[used] == t && !l.self) {
			l.refer(l.refs[used])
			used++
		}
		since := begin
		if l.referred {
			since = l.last
		}
		value := t - since
		emit(uint64(value-value%l.resolution), l.index)
	})
	for _, t := range l.refs[used:] { // before every stop to come
		l.refer(t)
	}
	l.refs = l.refs[:0]
}

// refer makes t the reference of what follows.
func (l *lane) refer(t int64) {
	l.index++
	l.last, l.referred = t, true
}

// rest ends a record at end without passing anything on: what was not
// collected before the next one begins is not counted either.
func (l *lane) rest(next int64) { l.countFrom = next }
