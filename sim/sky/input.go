package sky

import (
	"math"
	"math/rand/v2"
	"slices"

	"tsrun/sdk/quantity"
)

// Source gives the detections of one input in order of time.
type Source interface {
	// Until appends every detection earlier than limit that was not given out
	// before. Times are picoseconds of true time since the source's start
	// instant, and may be negative.
	Until(limit int64, dst []int64) []int64
}

// AppendPairs appends the true times of the pairs from instant from up to, and not
// including, instant to, in ps since from. It is the reference for what every
// controller is offered.
func (s Settings) AppendPairs(dst []int64, from, to Instant) []int64 {
	p := newProcess(int64(s.Pairs.Rate))
	limit := to.Sub(from)
	var cell []int64
	for n := from.cell; ; n++ {
		base := Instant{cell: n}.Sub(from)
		if base >= limit {
			return dst
		}
		cell = s.pairs(cell[:0], p, n, base)
		for _, t := range cell {
			if t >= 0 && t < limit {
				dst = append(dst, t)
			}
		}
	}
}

// pairs appends the pairs of cell n, which begins at base.
func (s Settings) pairs(dst []int64, p process, n, base int64) []int64 {
	c := counter{key(s.Seed, purposePairs, uint64(n))}
	return p.appendCell(dst, &c, base)
}

// Input is one input of one simulated controller looking at the sky: each
// pair is detected or not, a little early or late, among dark counts, and
// after each detection the input is blind for its dead time. It implements
// Source.
type Input struct {
	sky      Settings
	sources  []Settings // of the pairs it sees
	owner    uint64     // key of the controller and the input
	pairs    process
	dark     process
	jitter   float64 // ps rms
	detected uint64  // of 2^63: efficiency
	deadTime int64   // ps
	reach    int64   // ps: no detection is farther from its photon

	start   Instant
	cell    int64   // the next one to look at
	last    int64   // the detection before, of those that count for dead time
	pending []int64 // in order, from head on; complete below base of cell minus reach
	head    int
	scratch []int64
}

// NewInput returns what input number of the controller called serial detects,
// from ps picoseconds after the instant start on.
//
// Dead time begins unused there, so two inputs that differ only in from may
// differ in the first detections, and agree once a dead time passed undisturbed.
func NewInput(s Settings, c Controller, serial string, number int, start Instant, from int64) *Input {
	in := &Input{
		sky:      s,
		sources:  c.sources(s),
		owner:    key(keyOfText(serial), uint64(number)),
		pairs:    newProcess(int64(s.Pairs.Rate)),
		dark:     newProcess(int64(c.Dark)),
		jitter:   float64(s.Pairs.Jitter),
		detected: 1 << 63,
		deadTime: int64(c.DeadTime),
		reach:    reachSigma*int64(s.Pairs.Jitter) + 1,
		start:    start,
		last:     math.MinInt64 / 2,
	}
	if c.Efficiency != nil {
		in.detected = uint64(float64(*c.Efficiency) / float64(quantity.Whole) * (1 << 63))
	}
	first := start.Add(from - in.reach)
	in.cell = first.cell
	in.skip(from)
	return in
}

// skip forgets everything before from.
func (in *Input) skip(from int64) {
	in.fill(from)
	in.head, _ = slices.BinarySearch(in.pending, from)
}

// Until implements Source.
func (in *Input) Until(limit int64, dst []int64) []int64 {
	for {
		complete := in.base() - in.reach
		end := min(limit, complete)
		for ; in.head < len(in.pending) && in.pending[in.head] < end; in.head++ {
			t := in.pending[in.head]
			if t-in.last >= in.deadTime {
				dst = append(dst, t)
				in.last = t
			}
		}
		if complete >= limit {
			return dst
		}
		in.look()
	}
}

// base is the begin of the next cell, in ps since start.
func (in *Input) base() int64 { return Instant{cell: in.cell}.Sub(in.start) }

// fill looks at cells until everything before limit is pending.
func (in *Input) fill(limit int64) {
	for in.base()-in.reach < limit {
		in.look()
	}
}

// look adds what the input detects of the next cell to pending.
func (in *Input) look() {
	n, base := in.cell, in.base()
	in.cell++
	in.pending = append(in.pending[:0], in.pending[in.head:]...)
	in.head = 0

	in.scratch = in.scratch[:0]
	for _, source := range in.sources {
		in.scratch = source.pairs(in.scratch, in.pairs, n, base)
	}
	c := counter{key(in.sky.Seed, purposeDetection, in.owner, uint64(n))}
	r := rand.New(&c)
	for _, t := range in.scratch {
		if c.Uint64()>>1 >= in.detected {
			continue
		}
		if in.jitter > 0 {
			t += int64(math.Round(normal(r) * in.jitter))
		}
		in.pending = append(in.pending, t)
	}
	d := counter{key(in.sky.Seed, purposeDark, in.owner, uint64(n))}
	in.pending = in.dark.appendCell(in.pending, &d, base)
	slices.Sort(in.pending)
}
