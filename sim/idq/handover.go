package idq

import (
	"encoding/binary"
	"slices"
	"sync/atomic"
)

// part is what the device hands to the DataLinkTargetService at once: a
// record, or a piece of one.
type part struct {
	channel int
	values  []uint64
	indices []uint64 // empty: no reference, all zero
	ends    bool     // the last of its record: raises acquisitions_count
	gone    *undelivered
}

// undelivered counts tags of a recording that were handed over and never taken.
type undelivered struct{ atomic.Uint64 }

// strikesData reports whether a fault will change the tags of record k, which
// must then be handed over in one piece.
func (f faults) strikesData(k uint64) bool {
	for _, on := range []onRecord{f.stuck, f.crash, f.split, f.empty, f.repeat, f.swap} {
		if on.strikes(k) {
			return true
		}
	}
	return f.highRate || f.rawErrors > 0 && k == 0
}

// finish hands over record k, which is complete.
func (r *recording) finish(k uint64, begin int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.device.faults
	if f.crash.strikes(k) {
		r.device.hub.crash()
	}
	released := r.held
	r.held = nil
	for _, w := range r.raws {
		if !r.device.send[w.Channel].Load() {
			w.rest(begin + r.period)
			w.values, w.indices = nil, nil
			continue
		}
		w.on = true
		w.rest(begin + r.width)
		r.spoil(w, k)
		r.hand(w, k, begin, true)
	}
	for _, p := range released {
		r.device.hub.deliver(p)
	}
}

// spoil applies the faults that cost tags. The number of errors the device
// counts is that of the tags it lost.
func (r *recording) spoil(w *raw, k uint64) {
	f := r.device.faults
	if f.highRate {
		fits := int(float64(r.width) * 1e-12 * fullQuarter)
		if over := len(w.values) - fits; over > 0 {
			w.lose(over)
			r.device.lost[w.Channel].Add(uint64(over))
		}
	}
	if f.empty.strikes(k) || f.crash.strikes(k) {
		w.lose(len(w.values))
	}
	if f.rawErrors > 0 && k == 0 {
		r.device.lost[w.Channel].Store(f.rawErrors)
		w.lose(int(min(f.rawErrors, uint64(len(w.values)))))
	}
}

// lose leaves out the first n tags of the running record.
func (w *raw) lose(n int) {
	w.LostToFault += uint64(n)
	w.values = w.values[n:]
	if len(w.indices) > 0 {
		w.indices = w.indices[n:]
	}
}

// hand gives the tags collected so far to the channel's open acquisition, and
// enters them into the ledger; without one they are dropped.
func (r *recording) hand(w *raw, k uint64, begin int64, ends bool) {
	p := part{channel: w.Channel, values: w.values, indices: w.indices, ends: ends, gone: w.gone}
	w.values, w.indices = make([]uint64, 0, len(p.values)), nil
	if !r.device.hub.claimed(w.Channel) {
		w.Unclaimed += uint64(len(p.values))
		return
	}
	entered := p.values
	if r.clock.Step.By < 0 && w.ref == nil { // the ledger is in the order of time
		entered = slices.Sorted(slices.Values(p.values))
	}
	w.enter(begin, entered)
	f := r.device.faults
	switch {
	case f.swap.strikes(k):
		r.held = append(r.held, p)
	case f.split.strikes(k):
		a, b := p.halves()
		r.device.hub.deliver(a)
		r.device.hub.deliver(b)
	case f.repeat.strikes(k):
		again := p
		again.ends, again.gone = false, &undelivered{}
		r.device.hub.deliver(again)
		r.device.hub.deliver(p)
	default:
		r.device.hub.deliver(p)
	}
}

// release hands over what still waits for a next record that will not come.
func (r *recording) release() {
	for _, p := range r.held {
		r.device.hub.deliver(p)
	}
	r.held = nil
}

// halves cuts a part in two; only the second ends the record.
func (p part) halves() (a, b part) {
	a, b = p, p
	n := len(p.values) / 2
	a.values, b.values = p.values[:n], p.values[n:]
	if len(p.indices) > 0 {
		a.indices, b.indices = p.indices[:n], p.indices[n:]
	}
	a.ends = false
	return a, b
}

// enter adds tags of a record that began at begin to the ledger.
func (l *ledger) enter(begin int64, values []uint64) {
	if len(values) == 0 {
		return
	}
	if l.Tags == 0 {
		l.First = uint64(begin) + values[0]
	}
	l.Tags += uint64(len(values))
	l.Last = uint64(begin) + values[len(values)-1]
	const batch = 4096
	buf := make([]byte, 0, 8*batch)
	for i, v := range values {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(begin)+v)
		if len(buf) == cap(buf) || i == len(values)-1 {
			l.sum.Write(buf)
			buf = buf[:0]
		}
	}
}
