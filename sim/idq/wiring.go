package idq

import (
	"fmt"
	"strconv"
	"strings"
)

// maxWired bounds the blocks that the events of one block pass through, each
// as often as it is passed.
const maxWired = 100

// windowReach is how long before its begin a recording looks for the edges
// that opened or closed a window, in ps.
const windowReach = int64(10_000_000_000)

// splitAddress cuts "TSCO12" into its parts; a block without a number has 0.
func splitAddress(address string) (block string, n int) {
	block = strings.TrimRight(address, "0123456789")
	n, _ = strconv.Atoi(address[len(block):])
	return block, n
}

// follow returns what comes out of a block as everything is set now, or nil
// when nothing is linked. Links lead to an end, because checkWired refuses
// circles.
func (d *device) follow(address string) wire {
	block, n := splitAddress(address)
	number := strconv.Itoa(n)
	switch block {
	case "INPU":
		return d.followInput(n)
	case "STAR":
		if d.get("STARt:ENABle").text == "ON" {
			return delayWire{generatorWire{}, d.get("STARt:DELAy").n}
		}
	case "DELA":
		if of := d.follow(d.get("DELAy" + number + ":LINK").text); of != nil {
			return delayWire{of, d.get("DELAy" + number + ":VALUe").n}
		}
	case "TSCO":
		return d.followCombiner("TSCO" + number)
	case "GEN":
		return d.followGenerator(n)
	case "REC":
		return recordWire{}
	}
	return nil
}

// followInput returns what an input sees: its own signal, or its output's.
func (d *device) followInput(n int) wire {
	if !d.enabled(n) {
		return nil
	}
	if !d.loops(n) {
		return inputWire{n}
	}
	output := "OUTPut" + strconv.Itoa(n)
	if d.get(output+":ENABle").text != "ON" {
		return nil
	}
	if of := d.follow(d.get(output + ":LINK").text); of != nil {
		return delayWire{of, d.get(output + ":DELAy").n}
	}
	return nil
}

// loops reports whether an input looks at the output of its number.
func (d *device) loops(n int) bool {
	from := d.get(fmt.Sprintf("INPUt%d:SELEct", n)).text
	return from == "OUTP" || from == "LOOP"
}

// followCombiner returns what a combiner passes on. One that passes one input
// on and has no window is as good as a wire.
func (d *device) followCombiner(at string) wire {
	w := combinedWire{inside: d.get(at + ":OPIN").text, outside: d.get(at + ":OPOUt").text}
	window := d.get(at+":WINDow:ENABle").text == "ON"
	if !window {
		w.inside = w.outside
	}
	if passes(w.inside, atFirst) || passes(w.outside, atFirst) {
		w.first = d.follow(d.get(at + ":FIRst:LINK").text)
	}
	if passes(w.inside, atSecond) || passes(w.outside, atSecond) {
		w.second = d.follow(d.get(at + ":SECond:LINK").text)
	}
	switch {
	case w.first == nil && w.second == nil:
		return nil
	case w.inside == w.outside && w.second == nil:
		return w.first
	case w.inside == w.outside && w.first == nil:
		return w.second
	}
	if window {
		begin, end := d.get(at+":WINDow:BEGIn:DELAy").n, d.get(at+":WINDow:END:DELAy").n
		if of := d.follow(d.get(at + ":WINDow:BEGIn:LINK").text); of != nil {
			w.begin = delayWire{of, begin}
		}
		if of := d.follow(d.get(at + ":WINDow:END:LINK").text); of != nil {
			w.end = delayWire{of, end}
		}
		w.reach = max(begin, end) + windowReach
	}
	return w
}

func (d *device) followGenerator(n int) wire {
	at := "GENerator" + strconv.Itoa(n)
	if d.get(at+":ENABle").text != "ON" {
		return nil
	}
	link := d.get(at + ":TRIGger:LINK").text
	if link == unlinked {
		return generatorWire{n}
	}
	of := d.follow(link)
	if of == nil {
		return nil
	}
	count := d.get(at + ":PNUMber")
	w := triggeredWire{
		of: of, delay: d.get(at + ":TRIGger:DELAy").n, period: d.get(at + ":PPERiod").n,
		count: uint64(count.n), again: d.get(at+":TRIGger:ARM:MODE").text == "AUTO", armed: d.generators[n].armed,
	}
	if count.inf {
		w.count = endless
	}
	return w
}

// checkWired refuses links in a circle, and such a web of them that following
// it would take for ever.
func (d *device) checkWired() error {
	sizes := map[string]int{}
	for n := 1; n <= inputs; n++ {
		d.measure("INPU"+strconv.Itoa(n), sizes)
	}
	for n := 1; n <= delays; n++ {
		d.measure("DELA"+strconv.Itoa(n), sizes)
	}
	for n := 1; n <= combiners; n++ {
		d.measure("TSCO"+strconv.Itoa(n), sizes)
	}
	for n := 1; n <= generators; n++ {
		d.measure("GEN"+strconv.Itoa(n), sizes)
	}
	for _, size := range sizes {
		if size > maxWired {
			return &scpiError{"PARAM_TYPE", "No connection possible: the links would go round in a circle, or through too many blocks"}
		}
	}
	return nil
}

// measure returns how many blocks the events of one block pass through, and
// more than maxWired for a circle.
func (d *device) measure(address string, sizes map[string]int) int {
	const walking = maxWired + 1
	if size, known := sizes[address]; known {
		return size
	}
	block, n := splitAddress(address)
	number := strconv.Itoa(n)
	var links []string
	switch block {
	case "INPU":
		if d.loops(n) {
			links = []string{"OUTPut" + number + ":LINK"}
		}
	case "DELA":
		links = []string{"DELAy" + number + ":LINK"}
	case "TSCO":
		at := "TSCO" + number
		links = []string{at + ":FIRst:LINK", at + ":SECond:LINK", at + ":WINDow:BEGIn:LINK", at + ":WINDow:END:LINK"}
	case "GEN":
		links = []string{"GENerator" + number + ":TRIGger:LINK"}
	default:
		return 1
	}
	sizes[address] = walking
	size := 1
	for _, link := range links {
		if to := d.get(link).text; to != unlinked {
			size = min(walking, size+d.measure(to, sizes))
		}
	}
	sizes[address] = size
	return size
}

// wiring is how a RAW or HISTogram block was linked when a recording began.
type wiring struct {
	stop, ref wire
	origin    origin // of what is stamped
	self      bool   // stop and reference are the same: only earlier events refer
}

// wiring returns how a RAW or HISTogram block is linked now.
func (d *device) wiring(block string, n int) wiring {
	at := block + strconv.Itoa(n)
	stop, ref := d.get(at+":STOP:LINK").text, d.get(at+":REF:LINK").text
	w := wiring{stop: d.follow(stop), ref: d.follow(ref), origin: d.trace(stop)}
	w.self = w.origin.block != unlinked && w.origin == d.trace(ref)
	return w
}

// input returns the input whose detections are stamped; 0 when there is none.
func (w wiring) input() int {
	if w.stop != nil && w.origin.block == "INPU" {
		return w.origin.n
	}
	return 0
}
