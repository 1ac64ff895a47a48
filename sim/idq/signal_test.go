package idq

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tsrun/sim/sky"
)

// inSteps reads a signal up to a limit in pieces of any length.
func inSteps(t *rapid.T, of signal, from, limit int64) []int64 {
	var got []int64
	for at := from; at < limit; {
		at = min(limit, at+rapid.Int64Range(1, (limit-from)/2+1).Draw(t, "step"))
		of.Until(at, func(e int64) {
			if e >= from {
				got = append(got, e)
			}
		})
	}
	return got
}

// TestCombinersFollowTheirDefinition: the last edge of the window up to an
// event, and of two at one instant the begin, decides which operation holds.
func TestCombinersFollowTheirDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := map[int][]int64{}
		for n := 1; n <= 4; n++ {
			list := rapid.SliceOfN(rapid.Int64Range(-3_000, 10_000), 0, 60).Draw(t, "times")
			slices.Sort(list)
			times[n] = list
		}
		operation := rapid.SampledFrom([]string{"ONLYFIR", "ONLYSEC", "OR", "MUTE"})
		w := combinedWire{first: inputWire{1}, second: inputWire{2}, inside: operation.Draw(t, "in"), outside: operation.Draw(t, "out"), reach: windowReach}
		begin, end := rapid.Int64Range(0, 2_000).Draw(t, "begin"), rapid.Int64Range(0, 2_000).Draw(t, "end")
		w.begin, w.end = delayWire{inputWire{3}, begin}, delayWire{inputWire{4}, end}

		open := func(at int64) bool {
			last, within := int64(math.MinInt64), false
			for _, e := range times[4] {
				if e+end <= at && e+end >= last {
					last, within = e+end, false
				}
			}
			for _, e := range times[3] {
				if e+begin <= at && e+begin >= last {
					last, within = e+begin, true
				}
			}
			return within
		}
		var want []int64
		for n, at := range map[int]int{1: atFirst, 2: atSecond} {
			for _, e := range times[n] {
				op := w.outside
				if open(e) {
					op = w.inside
				}
				if e >= 0 && passes(op, at) {
					want = append(want, e)
				}
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		got := inSteps(t, w.open(scene{source: sources(times)}, 0), 0, 12_000)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// TestTriggeredGenerators: bursts begin a delay after each trigger that comes
// while none goes on.
func TestTriggeredGenerators(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Int64Range(0, 10_000), 0, 60).Draw(t, "times")
		slices.Sort(list)
		start := sky.Now()
		armed := start.Add(rapid.Int64Range(0, 5_000).Draw(t, "armed"))
		w := triggeredWire{
			of: inputWire{1}, delay: rapid.Int64Range(0, 1_000).Draw(t, "delay"), period: rapid.Int64Range(1, 500).Draw(t, "period"),
			count: uint64(rapid.IntRange(1, 5).Draw(t, "count")), again: rapid.Bool().Draw(t, "again"), armed: &armed,
		}
		var want []int64
		free, spent := int64(math.MinInt64), false
		for _, e := range list {
			at := e + w.delay
			if at < free || spent || !w.again && e < armed.Sub(start) {
				continue
			}
			spent = !w.again
			for range w.count {
				want = append(want, at)
				at += w.period
			}
			free = at
		}
		limit := int64(20_000)
		got := inSteps(t, w.open(scene{start: start, source: sources(map[int][]int64{1: list})}, 0), 0, limit)
		if !slices.Equal(got, want) {
			t.Fatalf("%v, want %v", got, want)
		}
	})
}

// TestPulsesFromTheMiddle: a train that began long ago goes on in step, also
// where nearly all of the time there is has passed.
func TestPulsesFromTheMiddle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first := rapid.Int64Range(-1<<61, 1<<61).Draw(t, "first")
		period := rapid.Int64Range(1, 1<<40).Draw(t, "period")
		count := uint64(rapid.IntRange(1, 1000).Draw(t, "count"))
		if rapid.Bool().Draw(t, "endless") {
			count = endless
		}
		from := rapid.Int64Range(-1<<61, 1<<61).Draw(t, "from")
		limit := from + rapid.Int64Range(0, 20).Draw(t, "periods")*period
		p := newPulses(first, period, count, from)
		p.Until(limit, func(at int64) {
			if at < from || at < first || at >= limit || (at-first)%period != 0 || count != endless && uint64(at-first)/uint64(period) >= count {
				t.Fatalf("a pulse at %d", at)
			}
		})
	})
}
