package idq

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
)

func genClock(t *rapid.T) sky.Clock {
	return sky.Clock{
		Offset: rapid.Int64Range(-5_000_000, 5_000_000).Draw(t, "offset"),
		Drift:  quantity.Drift(rapid.Int64Range(-1_000_000_000_000, 1_000_000_000_000).Draw(t, "drift")),
	}
}

func TestElapsedIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := genClock(t)
		ps := rapid.Int64Range(-4e18, 4e18).Draw(t, "ps")
		// floor(2·ps·drift/1e15 + 1) / 2 rounds the magnitude half up.
		twice := new(big.Int).Mul(big.NewInt(magnitudeOf(ps)), big.NewInt(magnitudeOf(int64(c.Drift))))
		twice.Mul(twice, big.NewInt(2)).Add(twice, big.NewInt(1e15)).Div(twice, big.NewInt(2e15))
		want := twice.Int64()
		if (ps < 0) != (c.Drift < 0) {
			want = -want
		}
		if got := c.Elapsed(ps) - ps; got != want {
			t.Fatalf("%d ps at %d: gained %d, want %d", ps, c.Drift, got, want)
		}
		if back := c.Inverse(c.Elapsed(ps)); back < ps-100 || back > ps+100 {
			t.Fatalf("true time of elapsed %d is %d", ps, back)
		}
	})
}

func magnitudeOf(x int64) int64 { return max(x, -x) }

// fixed is a source of given times.
type fixed struct{ rest []int64 }

func (f *fixed) Until(limit int64, dst []int64) []int64 {
	n, _ := slices.BinarySearch(f.rest, limit)
	dst = append(dst, f.rest[:n]...)
	f.rest = f.rest[n:]
	return dst
}

func genTimes(t *rapid.T, name string) []int64 {
	times := rapid.SliceOfN(rapid.Int64Range(-20_000_000, 100_000_000), 0, 300).Draw(t, name)
	slices.Sort(times)
	return times
}

// sources returns an open function for newLane over given times per input.
func sources(times map[int][]int64) func(input int, from int64) sky.Source {
	return func(input int, from int64) sky.Source {
		first, _ := slices.BinarySearch(times[input], from)
		return &fixed{times[input][first:]}
	}
}

type pair struct{ value, index uint64 }

// runLane collects records of width in steps and returns what each held.
func runLane(t *rapid.T, l *lane, records int, width, period int64) [][]pair {
	got := make([][]pair, records)
	for k := range records {
		begin := int64(k) * period
		for at := begin; at < begin+width; {
			at = min(begin+width, at+rapid.Int64Range(1, 2*width).Draw(t, "step"))
			l.collect(begin, at, func(value, index uint64) { got[k] = append(got[k], pair{value, index}) })
		}
		l.rest(begin + width)
	}
	return got
}

// TestRecordsHoldEveryStampOnce compares the lane with the definition, stamp by stamp.
func TestRecordsHoldEveryStampOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, delay := genClock(t), rapid.Int64Range(0, 5_000_000).Draw(t, "delay")
		times := genTimes(t, "times")
		width := rapid.Int64Range(1, 30_000_000).Draw(t, "width")
		period := width + rapid.Int64Range(40_000, 10_000_000).Draw(t, "dead")
		records := rapid.IntRange(1, 4).Draw(t, "records")
		resolution := rapid.SampledFrom([]int64{1, 100}).Draw(t, "resolution")

		want := make([][]pair, records)
		early, dead := uint64(0), uint64(0)
		for _, x := range times {
			stamp := c.Elapsed(x) + c.Offset + delay
			k := int(stamp / period)
			switch {
			case stamp >= int64(records-1)*period+width: // behind the last record
			case stamp < 0:
				early++
			case stamp%period >= width:
				dead++
			default:
				value := stamp % period
				want[k] = append(want[k], pair{uint64(value - value%resolution), 0})
			}
		}
		w := wiring{stop: delayWire{inputWire{1}, delay}}
		l := newLane(w, resolution, scene{clock: c, source: sources(map[int][]int64{1: times})})
		got := runLane(t, l, records, width, period)
		for k := range want {
			if !slices.Equal(got[k], want[k]) {
				t.Fatalf("record %d: %v, want %v", k, got[k], want[k])
			}
		}
		// A source is opened where stamps are about 0, so what is far earlier is not seen.
		if l.dead != dead || l.early > early {
			t.Fatalf("dead %d, want %d; early %d of %d", l.dead, dead, l.early, early)
		}
	})
}

// TestReferences compares values and indices with the definition.
func TestReferences(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		times := map[int][]int64{1: genTimes(t, "stop"), 2: genTimes(t, "reference")}
		ref := rapid.SampledFrom([]wire{inputWire{2}, inputWire{1}, recordWire{}}).Draw(t, "ref")
		width, period, records := int64(20_000_000), int64(21_000_000), 4

		var events []int64
		in, isInput := ref.(inputWire)
		switch {
		case !isInput:
			for k := range records {
				events = append(events, int64(k)*period)
			}
		default:
			for _, x := range times[in.input] {
				if x >= 0 && x%period < width {
					events = append(events, x)
				}
			}
		}
		before := func(e, x int64) bool { return e < x || e == x && in.input != 1 }
		want := make([][]pair, records)
		for _, x := range times[1] {
			if k := x / period; x >= 0 && k < int64(records) && x%period < width {
				p := pair{value: uint64(x - k*period)}
				for _, e := range events {
					if before(e, x) {
						p.index++
						if e >= k*period {
							p.value = uint64(x - e)
						}
					}
				}
				want[k] = append(want[k], p)
			}
		}
		w := wiring{stop: inputWire{1}, ref: ref, self: ref == inputWire{1}}
		s := scene{source: sources(times), period: period, records: uint64(records)}
		got := runLane(t, newLane(w, 1, s), records, width, period)
		for k := range want {
			if !slices.Equal(got[k], want[k]) {
				t.Fatalf("record %d: %v, want %v", k, got[k], want[k])
			}
		}
	})
}
