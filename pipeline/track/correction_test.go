package track_test

import (
	"encoding/json"
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/track"
)

// TestCorrectionFollowsTheTrack compares the lines with the track, also in
// gaps, and how many there are with how many a clock needs.
func TestCorrectionFollowsTheTrack(t *testing.T) {
	for _, c := range []struct {
		clock pairs.Experiment
		lines int
	}{
		{pairs.Experiment{Frequency: 1e-5}, 20},
		{pairs.Experiment{WhiteFM: 1e-10, RandomWalkFM: 1e-9, NoPairs: []pairs.Span{{From: 2, To: 4}}}, 2000},
		{pairs.Experiment{WhiteFM: 1e-9}, 5000},
	} {
		c.clock.Seconds, c.clock.Seed = 8, 61
		k, tr := follow(t, c.clock)
		correction, err := k.Correction()
		if err != nil {
			t.Fatal(err)
		}
		if n := len(correction.Lines()); n > c.lines {
			t.Errorf("%d lines", n)
		}
		for i := range 3000 {
			at := tr.From + uint64(float64(tr.To-tr.From)*float64(i)/3000)
			offset, _ := k.At(at)
			if d := float64(correction.OffsetAt(at)-offset.Whole) - offset.Part; math.Abs(d) > 1.6 {
				t.Fatalf("%.3f s: %.2f ps beside the track", float64(at-tr.Start)/1e12, d)
			}
		}
	}
}

func TestTrackIsReadBack(t *testing.T) {
	k, tr := follow(t, pairs.Experiment{Seconds: 6, WhiteFM: 1e-10, Seed: 62, NoPairs: []pairs.Span{{From: 4, To: 5}}, Steps: []pairs.Step{{At: 2, Size: 1e5}}})
	text, err := json.Marshal(k)
	if err != nil {
		t.Fatal(err)
	}
	var back track.Track
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	if len(back.Steps) != 1 || len(back.Gaps) != 1 || len(back.Knots) != len(k.Knots) {
		t.Fatalf("%d steps, %d gaps, %d knots of %d", len(back.Steps), len(back.Gaps), len(back.Knots), len(k.Knots))
	}
	if _, err := back.Correction(); err != nil {
		t.Error(err)
	}
	for i := range 1000 {
		at := tr.From + uint64(float64(tr.To-tr.From)*float64(i)/1000)
		want, sd := k.At(at)
		got, also := back.At(at)
		if d := got.Minus(want); math.Abs(d) > 0.3*sd+2 || also > 1.5*sd+1 || also < sd/1.5 {
			t.Fatalf("%.3f s: %.2f ps beside what was written; %.1f ps for %.1f", float64(at-tr.Start)/1e12, d, also, sd)
		}
	}
	for _, bad := range []string{
		`{"knots":[{"time_ps":5},{"time_ps":5}]}`, `{"knots":[{"time_ps":5},{"time_ps":9}],"steps":[{"time_ps":2}]}`, `[]`,
	} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("%s is read", bad)
		}
	}
	var empty track.Track
	if _, sd := empty.At(5); !math.IsInf(sd, 1) {
		t.Errorf("an empty track is known to %.1f ps", sd)
	}
	if _, err := empty.Correction(); err == nil {
		t.Error("an empty track corrects")
	}
}
