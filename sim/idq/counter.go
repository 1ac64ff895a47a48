package idq

import (
	"strconv"

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
	source  sky.Source // what has not been counted yet
	input   int        // of source
	counted int64      // ps after since: up to where
	total   uint64

	buf []int64 // reused
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
	c.since, c.source, c.total = sky.Now(), nil, 0
	return nil
}

func (c *inputCounter) query() (string, error) {
	d := c.device
	o := d.trace(c.address())
	if o.block != "INPU" || !d.enabled(o.n) {
		return "0", nil
	}
	if d.get(c.block+":COUNter:MODE").text == "ACCU" {
		c.advance(d)
		return strconv.FormatUint(c.total, 10), nil
	}
	length := d.get(c.block + ":COUNter:INTEgration").n
	from := sky.Now().Add(-length)
	start := from
	if d.replay != nil {
		if d.recording() == nil {
			return "0", nil // a recording plays only while something records
		}
		start = d.rec.startOr(from)
	}
	first := from.Sub(start)
	n := c.count(d.source(o.n, start, first), first, first+length)
	return strconv.FormatUint(n, 10), nil
}

// address returns the block as links write it, "INPU1".
func (c *inputCounter) address() string {
	v, _ := parseLink(c.block) // a known block is always linkable
	return v.text
}

// advance counts up to now in mode ACCUmulate.
func (c *inputCounter) advance(d *device) {
	o := d.trace(c.address())
	if d.replay != nil || o.block != "INPU" || !d.enabled(o.n) || d.get(c.block+":COUNter:MODE").text != "ACCU" {
		return
	}
	if c.source == nil || c.input != o.n {
		c.source, c.input, c.counted = d.source(o.n, c.since, 0), o.n, 0
	}
	now := sky.Now().Sub(c.since)
	c.total += c.count(c.source, c.counted, now)
	c.counted = now
}

// count returns how many detections a source has before to, looking from from
// on in pieces that bound memory.
func (c *inputCounter) count(source sky.Source, from, to int64) (n uint64) {
	for from < to {
		from = min(to, from+stride)
		c.buf = source.Until(from, c.buf[:0])
		n += uint64(len(c.buf))
	}
	return n
}
