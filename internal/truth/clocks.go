package main

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"tsrun/pipeline/clock"
)

// clocks are PCs whose clocks are known, as the messages of each source show them.
// Starts are by what a node works out from these; each must be off by no more than it says.
var clocks = table{name: "clocks", about: "starts by clocks that are 0, 1 ms, 1 s and an hour apart and drift by 0, 10, 50 ppm, over four ways; want: off by at most what is stated in 99 %", run: func(r *report) {
	r.row("source", "way", "shots", "none", "within the bound", "off by, p50 ns", "p99 ns", "bound, p50 ns")
	for _, source := range []string{clock.Probe, clock.PTP, clock.Chrony} {
		for _, way := range []way{
			{"stamps of the kernels", 400, 400, 150, 0.02},
			{"stamps of the processes", 20e3, 20e3, 15e3, 0.05},
			{"100 us more one way", 100.4e3, 400, 150, 0.02},
			{"100 us more back, busy", 20e3, 120e3, 40e3, 0.1},
		} {
			n := r.seeds(12*120, 12*9)
			all := make([]shotByClock, n)
			each(n, func(i int) { all[i] = shootByClock(source, way, r.seed(97_000+i), i) })
			var off, bounds []float64
			inside, none := 0, 0
			for _, s := range all {
				if !s.read {
					none++
					continue
				}
				off, bounds = append(off, math.Abs(s.off)), append(bounds, s.bound)
				if math.Abs(s.off) <= s.bound {
					inside++
				} else if r.verbose {
					fmt.Println(source, way.name, s)
				}
			}
			r.row(source, way.name, n, none, inside, percentile(off, 50), percentile(off, 99), percentile(bounds, 50))
			r.want(100*inside >= 99*(n-none), "%s, %s: %d of %d starts are off by more than they state", source, way.name, n-none-inside, n-none)
			r.want(none == 0, "%s, %s: %d have no reading", source, way.name, none)
		}
	}
}}

// way is how long messages take, in ns: at least out to the master and back, more with a
// mean of tail, and now and then, with a chance of held, a hundred times that.
type way struct {
	name            string
	out, back, tail float64
	held            float64
}

func (w way) takes(least float64, rng *rand.Rand) float64 {
	more := w.tail * rng.ExpFloat64()
	if rng.Float64() < w.held {
		more *= 100 * rng.Float64()
	}
	return least + more
}

// shotByClock is a start that was translated from the master's clock.
type shotByClock struct {
	read       bool
	off, bound float64 // ns
}

// pcClock is a node's clock: at a moment of the master's, in ns, it shows moment + offset +
// drift·moment.
type pcClock struct{ offset, drift float64 }

const masterEpoch = int64(1_790_000_000_000_000_000)

func (c pcClock) at(ns float64) int64 {
	return masterEpoch + int64(c.offset) + int64(math.Round(ns+c.drift*ns))
}

// someClock is one of those that are looked at.
func someClock(i int) pcClock {
	return pcClock{offset: []float64{0, 1e6, 1e9, -3600e9}[i%4], drift: []float64{0, 10e-6, -50e-6}[i/4%3]}
}

// shootByClock is one shot of a node whose clock is known.
func shootByClock(source string, w way, seed uint64, i int) shotByClock {
	rng := rand.New(rand.NewPCG(seed, 97))
	c := someClock(i)
	now, reading := readClock(source, c, w, rng)
	if reading == nil {
		return shotByClock{}
	}
	instant := math.Round(now + 0.1e9 + 0.9e9*rng.Float64()) // the lead
	local := reading.Translate(masterEpoch + int64(instant))
	return shotByClock{true, float64(local - c.at(instant)), float64(reading.BoundAt(local))}
}

// readClock is what a node knows of its clock, and when; nil: nothing.
func readClock(source string, c pcClock, w way, rng *rand.Rand) (now float64, reading *clock.Reading) {
	var record strings.Builder
	record.WriteString("v,1\n")
	var last float64
	switch source {
	case clock.Probe:
		last = probed(&record, c, w, rng)
	case clock.PTP:
		last = followedByPTP(&record, c, w, rng)
	default:
		last = followedByChrony(&record, c, w, rng)
	}
	now = last + 0.3e9*rng.Float64()
	fmt.Fprintf(&record, "s,%d,0,\n", c.at(now))
	moments, err := clock.Replay(strings.NewReader(record.String()), source)
	if err != nil || len(moments) != 1 || moments[0].Reading == nil || moments[0].Reading.Lost != "" {
		return now, nil
	}
	return now, moments[0].Reading
}

// probed writes what the probe sees in up to 13 s.
func probed(record *strings.Builder, c pcClock, w way, rng *rand.Rand) (last float64) {
	for range []int{16, 40, 256}[rng.IntN(3)] {
		last += (25 + 50*rng.Float64()) * 1e6
		came := last + w.takes(w.out, rng)
		left := came + 20e3*rng.Float64()
		if rng.Float64() < w.held { // by a master that is busy
			left += 50e6 * rng.Float64()
		}
		heard := left + w.takes(w.back, rng)
		fmt.Fprintf(record, "p,%d,%d,%d,%d,1\n", c.at(last), masterEpoch+int64(math.Round(came)), masterEpoch+int64(math.Round(left)), c.at(heard))
	}
	return last
}

// followedByPTP writes what a ptp4l says that follows that of the master's PC: each Sync gives an
// offset, less the median of the last ten path delays, and is read up to 250 ms later.
func followedByPTP(record *strings.Builder, c pcClock, w way, rng *rand.Rand) (last float64) {
	const reference = "ptp 1 domain 0"
	every := []float64{125e6, 250e6, 1e9}[rng.IntN(3)]
	delay := func() float64 {
		var delays []float64
		for range 10 {
			delays = append(delays, (w.takes(w.out, rng)+w.takes(w.back, rng))/2)
		}
		return percentile(delays, 50)
	}
	for range 8 + rng.IntN(57) {
		last += max(every, 250e6)
		path := delay()
		sync := last - 250e6*rng.Float64() // from the master to the node: the way back
		came := sync + w.takes(w.back, rng)
		offset := float64(c.at(came)-masterEpoch) - sync - path
		fmt.Fprintf(record, "f,ptp,%d,%d,%d,%d,%d,%s,SLAVE,\n", c.at(last), int64(offset), int64(path), int64(2*path), int64(500e6), reference)
		fmt.Fprintf(record, "m,ptp,%d,0,0,1,0,0,%s,,0\n", c.at(last), reference)
	}
	return last
}

// followedByChrony writes what a chronyd says whose server is the master's PC: a correction that is off
// by what the ways differ and by its dispersion, of which it is one deviation in three.
func followedByChrony(record *strings.Builder, c pcClock, w way, rng *rand.Rand) (last float64) {
	const reference = "ntp 10.0.0.1"
	every := []float64{125e6, 1e9, 16e9}[rng.IntN(3)]
	var updated, wrong, delay, dispersion float64
	for i := range 8 + rng.IntN(57) {
		last += 250e6
		if i == 0 || last-updated >= every {
			updated = last
			out, back := w.takes(w.out, rng), w.takes(w.back, rng)
			delay, dispersion = out+back, w.tail+1000
			wrong = (back-out)/2 + dispersion/3*rng.NormFloat64()
		}
		grown := dispersion + 1e-6*(last-updated) // it knows its frequency to 1 ppm
		offset := float64(c.at(last)-masterEpoch) - last + wrong + 0.3e-6*rng.NormFloat64()*(last-updated)
		fmt.Fprintf(record, "f,chrony,%d,%d,%d,%d,0,%s,stratum 2,\n", c.at(last), int64(offset), int64(delay/2+grown), int64(delay), reference)
		fmt.Fprintf(record, "m,chrony,%d,0,0,1,0,0,%s,,1\n", c.at(last), reference)
	}
	return last
}

// percentile returns the value that so many of 100 are at most, NaN of none.
func percentile(values []float64, percent int) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)-1)*percent/100]
}
