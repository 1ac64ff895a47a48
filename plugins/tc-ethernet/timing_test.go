package main

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestTimingOverHours: two clocks that drift apart for hours, arrivals that
// are early, late and rare. The bound from the time of arrival never excludes
// a record's own number, and stays sharp for one that is punctual.
func TestTimingOverHours(t *testing.T) {
	const period = 200 * ms
	rapid.Check(t, func(t *rapid.T) {
		ppm := rapid.Int64Range(-90, 90).Draw(t, "ppm")
		delay := time.Duration(rapid.Int64Range(0, int64(time.Second)).Draw(t, "from command to start"))
		slack := time.Duration(rapid.Int64Range(int64(ms), int64(50*ms)).Draw(t, "from start to reply"))
		p := plan{period: 200e9, width: 200e9 - deadTime}
		timing := newTiming(p, delay+slack)
		for record := 0; record < 20_000; record += rapid.IntRange(1, 200).Draw(t, "empty") {
			over := time.Duration(record+1) * period
			over += delay + over*time.Duration(ppm)/1e6
			// In between, statuses are asked for and nothing comes.
			timing.counted(over-period/3, record)
			late := time.Duration(rapid.Int64Range(0, int64(period)/5).Draw(t, "late"))
			high := timing.latest(over+late, false)
			if high < record {
				t.Fatalf("record %d of drift %d ppm arrived %v late: at most %d", record, ppm, late, high)
			}
			if high > record && record > 0 {
				t.Fatalf("record %d of drift %d ppm arrived %v late: up to %d", record, ppm, late, high)
			}
			if n := timing.over(over-1, 0); n > record {
				t.Fatalf("record %d of drift %d ppm: %d are over before it is", record, ppm, n)
			}
			timing.placed(over+late, record)
		}
	})
}

// TestTimingKnowsTheStart: right after a prompt reply, no arrival is refused
// its number and no other is given to it, unless it is nearly a period late.
func TestTimingKnowsTheStart(t *testing.T) {
	const period = 200 * ms
	rapid.Check(t, func(t *rapid.T) {
		returned := time.Duration(rapid.Int64Range(0, int64(20*ms)).Draw(t, "returned"))
		start := time.Duration(rapid.Int64Range(0, int64(returned)).Draw(t, "start"))
		timing := newTiming(plan{period: 200e9, width: 200e9 - deadTime}, returned)
		record := rapid.IntRange(0, 300).Draw(t, "record")
		late := time.Duration(rapid.Int64Range(0, int64(150*ms)).Draw(t, "late"))
		if got := timing.latest(start+time.Duration(record+1)*period+late, false); got != record {
			t.Fatalf("record %d, %v late: at most %d", record, late, got)
		}
	})
}
