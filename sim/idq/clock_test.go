package idq

import (
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
)

// genNoisy draws the truth of a clock with everything that can be wrong with it.
func genNoisy(t *rapid.T) Truth {
	return Truth{
		Serial: "noisy", Seed: rapid.Uint64().Draw(t, "seed"),
		ClockOffsetPs:   rapid.Int64Range(-5_000_000, 5_000_000).Draw(t, "offset"),
		DriftE15:        rapid.Int64Range(-1_000_000_000_000, 1_000_000_000_000).Draw(t, "drift"),
		WhiteFME15:      rapid.Int64Range(0, 1_000_000_000).Draw(t, "white"),
		RandomWalkFME15: rapid.Int64Range(0, 100_000_000).Draw(t, "random walk"),
		ClockStepAtPs:   rapid.Int64Range(0, 20e12).Draw(t, "step at"),
		ClockStepPs:     rapid.SampledFrom([]int64{0, 1, 5000, 1e12}).Draw(t, "step by"),
	}
}

func TestNoisyClockRunsForwards(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		truth := genNoisy(t)
		c := truth.Clock()
		at := rapid.Int64Range(0, 20e12).Draw(t, "at")
		if rapid.Bool().Draw(t, "at the step") {
			at = max(0, truth.ClockStepAtPs-50)
		}
		last := c.Elapsed(at - 1)
		for d := range int64(100) {
			now := c.Elapsed(at + d)
			if now < last {
				t.Fatalf("%d ps after the start the clock goes back by %d ps", at+d, last-now)
			}
			last = now
		}
	})
}

func TestReadingIsWhatIsStamped(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		truth := genNoisy(t)
		c, again := truth.Clock(), truth.Clock()
		at := rapid.Int64Range(0, 20e12).Draw(t, "at")
		stamp := c.Elapsed(at) + c.Offset
		if read := again.Reading(at); read.Whole != stamp || math.Abs(read.Part) > 0.5 {
			t.Fatalf("stamped %d, the clock showed %v", stamp, read)
		}
		if truth.ClockStepPs > 1 { // the clock shows no time within its jump
			return
		}
		if back := c.TrueTime(stamp); back < at-100 || back > at+100 {
			t.Fatalf("the true time of the stamp at %d is %d", at, back)
		}
	})
}

func TestTrueTimeWithinTheJumpIsThatOfTheJump(t *testing.T) {
	c := Truth{ClockStepAtPs: 1e12, ClockStepPs: 5000}.Clock()
	for reading, want := range map[int64]int64{1e12 - 1: 1e12 - 1, 1e12: 1e12, 1e12 + 4999: 1e12, 1e12 + 5000: 1e12, 1e12 + 5001: 1e12 + 1} {
		if got := c.TrueTime(reading); got != want {
			t.Errorf("reading %d: true time %d, want %d", reading, got, want)
		}
	}
}

// TestNoisyRecordsHoldEveryStampOnce compares a lane of seconds with the
// definition, stamp by stamp, in steps that have nothing to do with the noise.
func TestNoisyRecordsHoldEveryStampOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		truth := genNoisy(t)
		c := truth.Clock()
		times := rapid.SliceOfN(rapid.Int64Range(0, 20e12), 0, 300).Draw(t, "times")
		slices.Sort(times)
		const records, width, period = 4, int64(4e12), int64(5e12)
		want := make([][]pair, records)
		for _, x := range times {
			stamp := c.Elapsed(x) + c.Offset
			if k := stamp / period; stamp >= 0 && k < records && stamp%period < width {
				want[k] = append(want[k], pair{uint64(stamp % period), 0})
			}
		}
		got := runLane(t, newLane(wiring{stop: inputWire{1}}, 1, scene{clock: truth.Clock(), source: sources(map[int][]int64{1: times})}), records, width, period)
		for k := range want {
			if !slices.Equal(got[k], want[k]) {
				t.Fatalf("record %d: %v, want %v", k, got[k], want[k])
			}
		}
	})
}

func TestClockStepIsRead(t *testing.T) {
	f, err := Faults.Parse([]string{"clock-step=5 ns@30 s"})
	if err != nil || f.clockStep != (sky.ClockStep{At: 30e12, By: 5000}) {
		t.Errorf("%+v, %v", f.clockStep, err)
	}
	for _, wrong := range []string{"5 ns", "5 ns@", "@3 s", "0 s@3 s", "2 s@3 s", "-2 s@3 s", "5 ns@-1 s", "5@3 s"} {
		if _, err := Faults.Parse([]string{"clock-step=" + wrong}); err == nil || !strings.Contains(err.Error(), "clock-step") {
			t.Errorf("clock-step=%s: %v", wrong, err)
		}
	}
}

func TestFrequencyJumpIsRead(t *testing.T) {
	f, err := Faults.Parse([]string{"frequency-jump=-100 ppb@30 s"})
	if err != nil || f.turn != (sky.FrequencyJump{At: 30e12, By: -100 * quantity.PartPerBillion}) {
		t.Errorf("%+v, %v", f.turn, err)
	}
	for _, wrong := range []string{"5 ppb", "5 ppb@", "@3 s", "0 ppb@3 s", "101 ppm@3 s", "5 ppb@-1 s", "5 ns@3 s"} {
		if _, err := Faults.Parse([]string{"frequency-jump=" + wrong}); err == nil || !strings.Contains(err.Error(), "frequency-jump") {
			t.Errorf("frequency-jump=%s: %v", wrong, err)
		}
	}
}

// TestClockThatTurns compares what a clock shows with what its jumps say, and
// that its inverse leads back.
func TestClockThatTurns(t *testing.T) {
	c := Truth{DriftE15: 2e9, FrequencyJumpAtPs: 5e12, FrequencyJumpE15: -1e9, ClockStepAtPs: 8e12, ClockStepPs: -30e9}.Clock()
	for ps, want := range map[int64]int64{
		4e12: 4e12 + 8e6, 5e12: 5e12 + 10e6, 7e12: 7e12 + 14e6 - 2e6, 9e12: 9e12 + 18e6 - 4e6 - 30e9,
	} {
		got := c.Reading(ps)
		if got.Whole != want {
			t.Errorf("at %d ps: %d, want %d", ps, got.Whole, want)
		}
		if back := c.TrueTime(want); back != ps {
			t.Errorf("it shows %d at %d, want %d", want, back, ps)
		}
	}
}
