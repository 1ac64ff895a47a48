package correlate_test

import (
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/internal/recordings"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/tag"
)

// TestRecordings compares both halves of the histograms of real recordings
// with what numpy counted, bin for bin.
func TestRecordings(t *testing.T) {
	for _, known := range recordings.All(t) {
		t.Run(known.Name, func(t *testing.T) {
			a, b := readChannel(t, known, known.A), readChannel(t, known, known.B)
			if diff := cmp.Diff(known.BMinusA, positive(t, a, b)); diff != "" {
				t.Errorf("B minus A: %s", diff)
			}
			if diff := cmp.Diff(known.AMinusB, positive(t, b, a)); diff != "" {
				t.Errorf("A minus B: %s", diff)
			}
		})
	}
}

func readChannel(t *testing.T, known recordings.Known, channel int) []uint64 {
	t.Helper()
	tags, err := tag.ReadAll(known.Path, "", channel)
	if err != nil {
		t.Fatal(err)
	}
	if want := known.Counts[strconv.Itoa(channel)]; uint64(len(tags)) != want {
		t.Fatalf("channel %d has %d tags, want %d", channel, len(tags), want)
	}
	return tags
}

// positive counts b - a from 0 on in the bins of the known histograms.
func positive(t *testing.T, a, b []uint64) []uint64 {
	t.Helper()
	h, err := correlate.Count(a, b, correlate.HistogramOptions{Range: recordings.Bins * recordings.BinPs, Bin: recordings.BinPs})
	if err != nil {
		t.Fatal(err)
	}
	return h.Counts[recordings.Bins:]
}
