package idq

import (
	"strconv"
	"strings"
)

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

// Blocks that a LINK may name, by their long forms, and how many there are.
var linkable = []struct {
	long   string
	blocks int // 0: one, without a number
}{
	{"STARt", 0}, {"INPUt", inputs}, {"DELAy", delays}, {"TSCO", combiners}, {"GENerator", generators}, {"RECord", 0},
}

// How many blocks of each kind there are. The manual shows at least so many.
const (
	inputs     = 4
	delays     = 8
	combiners  = 24
	generators = 8
	outputs    = 4
	channels   = 4 // RAW and HISTogram blocks
)

const unlinked = "NONE"

// parseLink reads the address of a block; the result has the short form, "DELA8".
func parseLink(argument string) (value, error) {
	if strings.EqualFold(argument, unlinked) {
		return value{text: unlinked}, nil
	}
	name := strings.TrimRight(argument, "0123456789")
	digits := argument[len(name):]
	for _, b := range linkable {
		if !abbreviates(name, b.long) {
			continue
		}
		short := b.long[:shortForm(b.long)]
		if b.blocks == 0 && digits == "" {
			return value{text: short}, nil
		}
		if n, err := strconv.Atoi(digits); err == nil && n >= 1 && n <= b.blocks {
			return value{text: short + strconv.Itoa(n)}, nil
		}
	}
	return value{}, invalid(argument, "address of a block or NONE")
}

// addresses lists every address a LINK takes, as a Python list.
func addresses() string {
	list := []string{strconv.Quote(unlinked)}
	for _, b := range linkable {
		short := b.long[:shortForm(b.long)]
		if b.blocks == 0 {
			list = append(list, strconv.Quote(short))
		}
		for n := 1; n <= b.blocks; n++ {
			list = append(list, strconv.Quote(short+strconv.Itoa(n)))
		}
	}
	return "[" + strings.Join(list, ", ") + "]"
}

// origin is where a chain of links begins.
type origin struct {
	block string // "INPU", "STAR", "GEN", "REC", or NONE
	n     int    // of the block
	delay int64  // ps: sum of the delays on the way
}

// trace follows a link the way its events take, through delays, combiners and
// outputs, to the block that makes them. What combines events of several
// blocks is traced to the first of them; a window is passed over. A way without
// end, or with nothing on it, is NONE.
func (d *device) trace(address string) origin {
	const longest = 16
	var o origin
	for range longest {
		block, n := splitAddress(address)
		number := strconv.Itoa(n)
		switch block {
		case "DELA":
			o.delay += d.get("DELAy" + number + ":VALUe").n
			address = d.get("DELAy" + number + ":LINK").text
		case "TSCO":
			through := d.passed("TSCO" + number)
			if through == "" {
				return origin{block: unlinked}
			}
			address = d.get("TSCO" + number + ":" + through + ":LINK").text
		case "INPU":
			if !d.enabled(n) {
				return origin{block: unlinked}
			}
			if !d.loops(n) {
				o.block, o.n = block, n
				return o
			}
			if d.get("OUTPut"+number+":ENABle").text != "ON" {
				return origin{block: unlinked}
			}
			o.delay += d.get("OUTPut" + number + ":DELAy").n
			address = d.get("OUTPut" + number + ":LINK").text
		case "STAR":
			if d.get("STARt:ENABle").text != "ON" {
				return origin{block: unlinked}
			}
			o.block, o.delay = block, o.delay+d.get("STARt:DELAy").n
			return o
		default:
			o.block, o.n = block, n
			return o
		}
	}
	return origin{block: unlinked}
}

// passed returns the input of a combiner whose events it passes on; empty: none.
func (d *device) passed(at string) string {
	operation := d.get(at + ":OPOUt").text
	if d.get(at+":WINDow:ENABle").text == "ON" && d.get(at+":OPIN").text != "MUTE" {
		operation = d.get(at + ":OPIN").text
	}
	switch operation {
	case "MUTE":
		return ""
	case "ONLYSEC":
		return "SECond"
	}
	return "FIRst"
}
