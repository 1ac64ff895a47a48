package correlate_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/internal/recordings"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/tagfile"
)

// TestRecordings compares both halves of the histograms of real recordings
// with what numpy counted, bin for bin.
func TestRecordings(t *testing.T) {
	for _, known := range recordings.All(t) {
		t.Run(known.Name, func(t *testing.T) {
			a, b := channel(t, known, known.A), channel(t, known, known.B)
			if diff := cmp.Diff(known.BMinusA, positive(t, a, b)); diff != "" {
				t.Errorf("B minus A: %s", diff)
			}
			if diff := cmp.Diff(known.AMinusB, positive(t, b, a)); diff != "" {
				t.Errorf("A minus B: %s", diff)
			}
		})
	}
}

func channel(t *testing.T, known recordings.Known, number int) []uint64 {
	t.Helper()
	tags, err := tagfile.ReadAll(known.Path, "", number)
	if err != nil {
		t.Fatal(err)
	}
	if want := known.Counts[strconv.Itoa(number)]; uint64(len(tags)) != want {
		t.Fatalf("channel %d has %d tags, want %d", number, len(tags), want)
	}
	return tags
}

// positive counts b - a in [0, 160 ns) in bins of 16 ps.
func positive(t *testing.T, a, b []uint64) []uint64 {
	t.Helper()
	h, err := correlate.Count(a, b, correlate.HistogramOptions{Range: recordings.Bins * recordings.BinPs, Bin: recordings.BinPs})
	if err != nil {
		t.Fatal(err)
	}
	return h.Counts[recordings.Bins:]
}
