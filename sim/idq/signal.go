package idq

import (
	"math"
	"slices"
	"strconv"

	"tsrun/sim/sky"
)

// signal is what a block gives out: events in order of time, each at the
// controller's clock in ps since the start of a scene.
type signal interface {
	// Until calls yield with every event below limit that was not given out
	// before, oldest first.
	Until(limit int64, yield func(at int64))
}

// scene is where signals play: whose clock they are stamped with, when it
// showed 0, what the inputs see and which pulses the generators make.
type scene struct {
	clock   sky.Clock
	start   sky.Instant
	source  func(input int, from int64) sky.Source
	pulses  func(generator int) *train // nil: it does not play
	edges   func() *train              // on the START line; nil: nothing
	period  int64                      // of the records; 0: nothing records
	records uint64
}

// wire is how the events of a block come about, as the blocks were set when it
// was followed. It holds no state and may be opened many times.
type wire interface {
	// open returns the events from ps on; some before it may come too.
	open(s scene, from int64) signal
}

// silence is a signal without events.
type silence struct{}

func (silence) Until(int64, func(int64)) {}

// shifted is a signal that comes later.
type shifted struct {
	of signal
	by int64
}

func (s shifted) Until(limit int64, yield func(at int64)) {
	s.of.Until(limit-s.by, func(at int64) { yield(at + s.by) })
}

// inputWire is what an input detects.
type inputWire struct{ input int }

func (w inputWire) open(s scene, from int64) signal {
	open := func(from int64) sky.Source { return s.source(w.input, from) }
	return shifted{sky.NewStamps(s.clock, -from, open), from}
}

// delayWire is a DELAy block, or a delay of an output or of START.
type delayWire struct {
	of wire
	by int64
}

func (w delayWire) open(s scene, from int64) signal {
	return shifted{w.of.open(s, from-w.by), w.by}
}

// recordWire is RECord's own pulse: the begin of each record.
type recordWire struct{}

func (recordWire) open(s scene, from int64) signal {
	if s.period == 0 {
		return silence{}
	}
	return newPulses(0, s.period, s.records, from)
}

// generatorWire is a generator that was started by hand; START line is 0.
type generatorWire struct{ generator int }

func (w generatorWire) open(s scene, from int64) signal {
	t := s.edges()
	if w.generator > 0 {
		t = s.pulses(w.generator)
	}
	if t == nil {
		return silence{}
	}
	count := uint64(t.Count)
	if t.Count == 0 {
		count = endless
	}
	return newPulses(s.clock.Elapsed(t.First.Sub(s.start))+s.clock.Offset, t.Period, count, from)
}

// pulses are evenly spaced.
type pulses struct {
	next, period int64
	left         uint64
}

// newPulses returns those of count pulses from first on that do not come
// before from.
func newPulses(first, period int64, count uint64, from int64) *pulses {
	p := &pulses{next: first, period: period, left: count}
	if first < from {
		gone := uint64(from-first-1)/uint64(period) + 1
		if gone >= count {
			p.left = 0
			return p
		}
		p.next += int64(gone) * period
		if count != endless {
			p.left -= gone
		}
	}
	return p
}

func (p *pulses) Until(limit int64, yield func(at int64)) {
	for p.left > 0 && p.next < limit {
		yield(p.next)
		p.next += p.period
		if p.left != endless {
			p.left--
		}
	}
}

// triggeredWire is a generator that another block starts.
type triggeredWire struct {
	of            wire
	delay, period int64
	count         uint64 // pulses of a burst; or endless
	again         bool   // armed again after each burst
	armed         *sky.Instant
}

// longestLookBack bounds how long before its begin a signal looks for what may
// still be at work, in ps.
const longestLookBack = int64(1e12)

func (w triggeredWire) open(s scene, from int64) signal {
	length := longestLookBack
	if w.count < uint64(longestLookBack/w.period) {
		length = int64(w.count) * w.period
	}
	t := &triggered{wire: w, since: math.MinInt64, free: math.MinInt64}
	if !w.again {
		if w.armed == nil {
			return silence{}
		}
		t.since = s.clock.Elapsed(w.armed.Sub(s.start)) + s.clock.Offset
	}
	t.of = w.of.open(s, from-w.delay-length)
	return t
}

// triggered makes bursts of pulses. What would start it while a burst goes on
// does nothing.
type triggered struct {
	wire  triggeredWire
	of    signal
	since int64  // triggers before it do not count
	free  int64  // when the last burst is over
	burst pulses // what is left of it
	queue []int64
	spent bool // not armed again
}

func (t *triggered) Until(limit int64, yield func(at int64)) {
	t.of.Until(limit-t.wire.delay, func(at int64) { t.queue = append(t.queue, at+t.wire.delay) })
	used := 0
	for {
		t.burst.Until(limit, yield)
		if t.burst.left > 0 || used == len(t.queue) {
			break
		}
		at := t.queue[used]
		used++
		if t.spent || at < t.free || at-t.wire.delay < t.since {
			continue
		}
		t.spent = !t.wire.again
		t.burst = pulses{next: at, period: t.wire.period, left: t.wire.count}
		t.free = math.MaxInt64
		if t.wire.count < uint64((math.MaxInt64-at)/t.wire.period) {
			t.free = at + int64(t.wire.count)*t.wire.period
		}
	}
	t.queue = slices.Delete(t.queue, 0, used)
	if t.spent || t.free == math.MaxInt64 {
		t.queue = t.queue[:0] // nothing will come of them
	}
}

// combinedWire is a TSCO block. Nil wires are not linked.
type combinedWire struct {
	first, second   wire
	begin, end      wire // edges of the window; both nil without a window
	inside, outside string
	reach           int64 // ps: how far back an edge may still matter
}

func (w combinedWire) open(s scene, from int64) signal {
	c := &combined{inside: w.inside, outside: w.outside}
	for i, in := range []struct {
		wire wire
		from int64
	}{{w.end, from - w.reach}, {w.begin, from - w.reach}, {w.first, from}, {w.second, from}} {
		if in.wire != nil {
			c.in[i] = in.wire.open(s, in.from)
		}
	}
	return c
}

// The inputs of a combiner, in the order in which they count at one instant.
const (
	atEnd = iota
	atBegin
	atFirst
	atSecond
	combinerInputs
)

// combined passes events on by the operation that holds inside its window, and
// by another outside. The last edge of the window decides which it is.
type combined struct {
	in              [combinerInputs]signal // nil: not linked
	inside, outside string
	within          bool
	heard           []heard // reused
}

// heard is an event at one input of a combiner.
type heard struct {
	at    int64
	input int
}

func (c *combined) Until(limit int64, yield func(at int64)) {
	c.heard = c.heard[:0]
	for i, in := range c.in {
		if in != nil {
			in.Until(limit, func(at int64) { c.heard = append(c.heard, heard{at, i}) })
		}
	}
	slices.SortFunc(c.heard, func(a, b heard) int {
		switch {
		case a.at < b.at || a.at == b.at && a.input < b.input:
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	last, given := int64(0), false
	for _, h := range c.heard {
		switch h.input {
		case atEnd, atBegin:
			c.within = h.input == atBegin
			continue
		}
		operation := c.outside
		if c.within {
			operation = c.inside
		}
		if passes(operation, h.input) && !(given && h.at == last) { // both at once make one pulse
			last, given = h.at, true
			yield(h.at)
		}
	}
}

// passes reports whether an operation of a combiner lets an input through.
func passes(operation string, input int) bool {
	switch operation {
	case "ONLYFIR":
		return input == atFirst
	case "ONLYSEC":
		return input == atSecond
	}
	return operation == "OR"
}

// generator is what a GENerator block does, beside its settings. Its pulses
// lie on a line of its own, on which waiting inputs listen.
type generator struct {
	line  *startLine
	armed *sky.Instant // since when it waits for its trigger; nil: it does not
}

// generatorEnabled opens the shared START line early, so that armed
// simulators are there when the generator plays. A disabled one falls silent.
func (d *device) generatorEnabled(n int, v value) error {
	if v.text != "ON" {
		return d.generatorStop(n, value{})
	}
	if err := d.openLine(); err != nil {
		d.log.Warn("start line busy; another simulator's generator may be enabled", "error", err)
	}
	return nil
}

func (d *device) openLine() error {
	opened, err := d.line.open()
	if opened {
		d.tasks.run(d.line.serve)
	}
	return err
}

// generatorPlay starts the pulses of an enabled generator. The reply waits for
// the first. One that has a trigger waits for that instead.
func (d *device) generatorPlay(n int, _ value) error {
	at := "GENerator" + strconv.Itoa(n)
	if d.get(at+":ENABle").text != "ON" {
		return nil
	}
	if d.get(at+":TRIGger:LINK").text != unlinked {
		return d.generatorArm(n, value{})
	}
	t := train{First: sky.Now().Add(edgeLead), Period: d.get(at + ":PPERiod").n, Count: d.get(at + ":PNUMber").n}
	if after, reaches := d.drives(n); reaches {
		if err := d.openLine(); err != nil {
			return err
		}
		d.driver = n
		d.line.set(&train{First: t.First.Add(after), Period: t.Period, Count: t.Count})
	}
	d.generators[n].line.set(&t)
	d.hold = t.First
	return nil
}

// drives tells whether a generator's pulses come to the START line, and how
// much later. The line hangs on every output; where none is enabled, pulses
// come to it all the same.
func (d *device) drives(n int) (after int64, reaches bool) {
	reaches = true
	for out := 1; out <= outputs; out++ {
		at := "OUTPut" + strconv.Itoa(out)
		if d.get(at+":ENABle").text != "ON" {
			continue
		}
		reaches = false
		if o := d.trace(d.get(at + ":LINK").text); o.block == "GEN" && o.n == n {
			return o.delay + d.get(at+":DELAy").n, true
		}
	}
	return 0, reaches
}

func (d *device) generatorArm(n int, _ value) error {
	now := sky.Now()
	d.generators[n].armed = &now
	return nil
}

func (d *device) generatorDisarm(n int, _ value) error {
	d.generators[n].armed = nil
	return nil
}

func (d *device) generatorStop(n int, _ value) error {
	d.generators[n].line.set(nil)
	d.generators[n].armed = nil
	if d.driver == n {
		d.driver = 0
		d.line.set(nil)
	}
	return nil
}
