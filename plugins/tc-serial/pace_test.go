package main

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// TestPace: rounds that are lost are told from words that come late, whatever
// the spacing of words, how far the clocks differ, and when it happens.
func TestPace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spacing := rapid.SampledFrom([]time.Duration{time.Millisecond, 20 * time.Millisecond, 260 * time.Millisecond}).Draw(t, "spacing")
		drift := time.Duration(rapid.IntRange(-100, 100).Draw(t, "ppm"))
		delay := time.Duration(rapid.IntRange(0, 30).Draw(t, "start delay, ms")) * time.Millisecond
		end := time.Duration(rapid.IntRange(1, 600).Draw(t, "end, s")) * time.Second
		at := time.Duration(rapid.Float64Range(0, 1).Draw(t, "lost at") * float64(end))
		rounds := rapid.IntRange(0, 3).Draw(t, "rounds")
		held := time.Duration(rapid.Float64Range(0, 1).Draw(t, "held up at") * float64(end))
		hold := time.Duration(rapid.IntRange(0, 9000).Draw(t, "held up for, ms")) * time.Millisecond
		var p pace
		last, lost := time.Duration(0), 0
		for word := spacing; word+word*drift/1e6+delay < end; word += spacing {
			if word >= at {
				lost = rounds
			}
			read := word + delay + word*drift/1e6
			if read > held && read < held+hold {
				read = held + hold
			}
			last = word - time.Duration(lost)*roundTime
			if read < end && p.due(read) {
				p.sample(read, last)
			}
		}
		got, since := p.lost(end, last)
		seen := at > 2*paceWindow && at < end-2*paceWindow-hold && // one in the end may be the spacing of words
			(held > 2*paceWindow || at > 2*paceWindow+held+hold)
		if got > lost || seen && got != lost || got > 0 && (since < at-2*paceWindow-hold || since > at+2*paceWindow+hold) {
			t.Fatalf("%d rounds lost since %v, want %d at %v; %+v", got, since, lost, at, p)
		}
	})
}
