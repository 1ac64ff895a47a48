package idq

import (
	"strconv"
	"strings"
	"sync"

	"tsrun/sim/sky"
)

// inputCounter is the rate counter of an INPUt or TSCO block, which runs
// whether or not anything records. In mode CYCLe it gives the detections of
// the last whole integration time, in mode ACCUmulate those since the reset.
type inputCounter struct {
	device *device
	block  string // canonical, "INPUt1"
	since  sky.Instant

	// Of mode ACCUmulate.
	events  signal // what has not been counted yet; nil: look again
	changes uint64 // settings that events was opened with
	counted int64  // ps after since: up to where
	total   uint64
}

// counter returns the counter of a block, from now on when it is new.
func (d *device) counter(block string, n int) *inputCounter {
	if n > 0 {
		block += strconv.Itoa(n)
	}
	c := d.counters[block]
	if c == nil {
		c = &inputCounter{device: d, block: block, since: sky.Now()}
		d.counters[block] = c
	}
	return c
}

func (d *device) resetCounter(block string, n int) error {
	c := d.counter(block, n)
	c.since, c.events, c.counted, c.total = sky.Now(), nil, 0, 0
	return nil
}

func (c *inputCounter) query() (string, error) {
	d := c.device
	if c.accumulates() {
		c.advance()
		return strconv.FormatUint(c.total, 10), nil
	}
	of := d.follow(c.address())
	if of == nil || d.replay != nil && d.recording() == nil { // a file plays only while something records
		return "0", nil
	}
	length := d.get(c.block+":COUNter:INTEgrationtime").n * millisecond
	from := sky.Now().Add(-length)
	start := from
	if d.replay != nil {
		start = d.rec.startOr(from)
	}
	first := from.Sub(start)
	n := tally(of.open(d.scene(start, sky.Clock{}), first), first, first+length)
	if n > mostTallied {
		return "", &scpiError{"EXECUTION_ERROR", "more than " + strconv.Itoa(mostTallied) + " events in the time of integration are not counted by this simulator"}
	}
	return strconv.FormatUint(n, 10), nil
}

// mostTallied bounds how long it takes to count for one query.
const mostTallied = 100_000_000

// millisecond is what the time of integration is given in, in ps.
const millisecond = int64(1_000_000_000)

func (c *inputCounter) accumulates() bool {
	return c.device.get(c.block+":COUNter:MODE").text == "ACCU"
}

// address returns the block as links write it, "INPU1".
func (c *inputCounter) address() string {
	v, _ := parseLink(c.block) // a known block is always linkable
	return v.text
}

// advance counts up to now in mode ACCUmulate. What the blocks are set to
// counts from the moment it is looked at again.
func (c *inputCounter) advance() {
	d := c.device
	if d.replay != nil || !c.accumulates() {
		return
	}
	now := sky.Now().Sub(c.since)
	if c.events == nil || c.changes != d.changes {
		c.events, c.changes = silence{}, d.changes
		if of := d.follow(c.address()); of != nil {
			c.events = of.open(d.scene(c.since, sky.Clock{}), c.counted)
		}
	}
	c.total += tally(c.events, c.counted, now)
	c.counted = max(c.counted, now)
}

// tally returns how many events a signal has from from to to, looking in
// pieces that bound memory; above mostTallied it stops.
func tally(of signal, from, to int64) (n uint64) {
	for at := from; at < to && n <= mostTallied; {
		at = min(to, at+stride)
		of.Until(at, func(t int64) {
			if t >= from {
				n++
			}
		})
	}
	return n
}

const maxBins = 16384

// histogram is a HISTogram block during a recording: how often STOP came how
// long after REF.
type histogram struct {
	*lane // belongs to the recording's goroutine
	links wiring
	min   uint64 // ps
	width uint64 // ps of a bin

	mu   sync.Mutex
	bins []uint64
}

// newHistogram returns block n as it is set now, with what it has counted so
// far if its bins are the same, because only FLUSh empties them, or nil when its STOP is not
// linked. Without a reference, and before the first event of it in a record,
// times count from the begin of the record.
func (d *device) newHistogram(n int) *histogram {
	w := d.wiring("HISTogram", n)
	if w.stop == nil {
		return nil
	}
	at := "HISTogram" + strconv.Itoa(n)
	h := &histogram{
		links: w,
		min:   uint64(d.get(at + ":MINimum").n),
		width: uint64(d.get(at + ":BWIDth").n),
		bins:  make([]uint64, d.get(at+":BCOUnt").n),
	}
	if before := d.plots[n]; before != nil && before.min == h.min && before.width == h.width && len(before.bins) == len(h.bins) {
		before.mu.Lock()
		defer before.mu.Unlock()
		copy(h.bins, before.bins)
	}
	return h
}

// look counts what the record that began at begin holds before limit.
func (h *histogram) look(begin, limit int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.collect(begin, limit, func(value, _ uint64) {
		if value < h.min {
			return
		}
		if bin := (value - h.min) / h.width; bin < uint64(len(h.bins)) {
			h.bins[bin]++
		}
	})
}

// histogramWidth rounds the bin up to a multiple of the resolution.
func (d *device) histogramWidth(n int, v value) error {
	r := d.resolution()
	d.values["HISTogram"+strconv.Itoa(n)+":BWIDth"] = value{n: (v.n + r - 1) / r * r}
	return nil
}

func (d *device) histogramData(n int) (string, error) {
	h := d.plots[n]
	if h == nil {
		h = &histogram{bins: make([]uint64, d.get("HISTogram"+strconv.Itoa(n)+":BCOUnt").n)}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	text := make([]string, len(h.bins))
	for i, c := range h.bins {
		text[i] = strconv.FormatUint(c, 10)
	}
	return "[" + strings.Join(text, ", ") + "]", nil
}

func (d *device) histogramFlush(n int, _ value) error {
	if h := d.plots[n]; h != nil {
		h.mu.Lock()
		defer h.mu.Unlock()
		clear(h.bins)
	}
	return nil
}
