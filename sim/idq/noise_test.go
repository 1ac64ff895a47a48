package idq_test

import (
	"math"
	"testing"

	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
	"tsrun/sim/sky"
)

// TestTruthTellsTheNoiseOfTheClock makes the tags of a clock that is wrong in
// every way from the pairs it looked at and from its truth alone.
func TestTruthTellsTheNoiseOfTheClock(t *testing.T) {
	light := sky.Settings{Seed: 5, Pairs: sky.Pairs{Rate: 100 * quantity.Kilohertz}}
	controller := sky.Controller{
		ClockOffset: 40 * quantity.Microsecond, Drift: 50 * quantity.PartPerBillion,
		WhiteFM: 10 * quantity.PartPerBillion, RandomWalkFM: quantity.PartPerBillion, Faults: []string{"clock-step=7 ns@30 ms"},
	}
	s := start(t, idq.Config{Sky: light, Controller: controller, Serial: "wandering"})
	messages, truth := measure(t, s, s.dlt())
	if truth.Seed != 5 || truth.WhiteFME15 != 10_000_000 || truth.RandomWalkFME15 != 1_000_000 || truth.ClockStepAtPs != 30e9 || truth.ClockStepPs != 7000 {
		t.Errorf("truth: %+v", truth)
	}
	clock := truth.Clock()
	want := map[int64]bool{}
	from := begin(truth)
	for _, pair := range light.AppendPairs(nil, from, from.Add(70e9)) {
		want[clock.Reading(pair).Whole] = true
	}
	n, wandered := 0, 0.0
	for k, m := range messages {
		for _, tag := range m {
			stamp := int64(k)*int64(truth.PeriodPs) + int64(tag)
			since := clock.TrueTime(stamp)
			if n++; since >= 0 && !want[stamp] {
				t.Fatalf("record %d: the tag %d, %d ps after the start, is of no pair", k, tag, since)
			}
			wandered = max(wandered, math.Abs(clock.Reading(since).Minus(quantity.NewFine(since, 0))-4e7))
		}
	}
	poissonAround(t, n, 6000)
	if wandered < 7000 {
		t.Errorf("the clock was never more than %.0f ps wrong", wandered)
	}
}

func poissonAround(t *testing.T, n int, mean float64) {
	t.Helper()
	if math.Abs(float64(n)-mean) > 6*math.Sqrt(mean) {
		t.Errorf("%d tags, want %.0f", n, mean)
	}
}

// TestClockInputKeepsTheClockQuiet locks a noisy clock to true time.
func TestClockInputKeepsTheClockQuiet(t *testing.T) {
	s := start(t, idq.Config{Controller: sky.Controller{Drift: 1000, WhiteFM: 1000, RandomWalkFM: 1000}})
	s.scpi().ask("DEVI:SYNC EXT")
	if _, truth := measure(t, s, s.dlt()); truth.DriftE15 != 0 || truth.WhiteFME15 != 0 || truth.RandomWalkFME15 != 0 {
		t.Errorf("truth: %+v", truth)
	}
}
