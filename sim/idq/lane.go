package idq

// lane is one RAW or HISTogram block during a recording: the stamps of its
// input, cut into records and referred to its reference.
//
// A value is STOP minus the last event of REF within the record, or minus the
// begin of the record when there is none. The index counts the events of REF
// since the recording began.
type lane struct {
	stop, ref  signal // nil: nothing linked
	self       bool   // stop and reference are the same: only earlier events refer
	resolution int64  // ps

	refs      []int64 // stamps of the reference within one collect, reused
	record    int64   // begin of the record that last and referred belong to
	last      int64   // stamp of the last reference event
	referred  bool    // there was one in this record
	index     uint64
	dead      uint64 // stamps between records
	early     uint64 // stamps below 0
	countFrom int64  // stamps before it, but behind 0, were left out on purpose
}

// newLane opens what a block is linked to, early enough for every stamp from 0 on.
func newLane(w wiring, resolution int64, s scene) *lane {
	l := &lane{resolution: resolution, self: w.self, record: -1}
	if w.stop != nil {
		l.stop = w.stop.open(s, 0)
	}
	if w.ref != nil {
		l.ref = w.ref.open(s, 0)
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
	}
	if l.ref != nil {
		l.ref.Until(limit, func(t int64) {
			if t >= begin {
				l.refs = append(l.refs, t)
			}
		})
	}
	used := 0
	l.stop.Until(limit, func(t int64) {
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
