package correlate_test

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

// TestOverlapOfShots: between the shots of a record nothing was recorded, whatever channel
// has how many tags in each, and whatever its clock.
func TestOverlapOfShots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		start := rapid.SampledFrom([]uint64{10_000, 1 << 53, 1<<63 - 3000}).Draw(t, "start")
		offset := rapid.SampledFrom([]int64{0, 300, -7777}).Draw(t, "offset") // of the second one's clock
		correction, err := correlate.NewCorrection(correlate.Line{Offset: offset})
		if err != nil {
			t.Fatal(err)
		}
		shots := rapid.IntRange(1, 4).Draw(t, "shots")
		together := make([]int, shots*1000) // how many channels recorded in each ps
		channels := []correlate.Channel{{}, {Correction: correction}}
		for k := range channels {
			first := start
			if k == 1 {
				first += uint64(offset)
			}
			var tags []uint64
			before := -1
			for shot := range shots {
				if shot > 0 {
					channels[k].Breaks = append(channels[k].Breaks, first+uint64(1000*shot))
				}
				own := rapid.SliceOfN(rapid.IntRange(0, 999), 0, 5).Draw(t, "tags")
				slices.Sort(own)
				for i, at := range own {
					at += 1000 * shot
					tags = append(tags, first+uint64(at))
					if i > 0 {
						for j := before; j < at; j++ {
							together[j]++
						}
					}
					before = at
				}
			}
			channels[k].Tags = tag.NewReader(tags)
		}
		var want uint64
		for _, n := range together {
			if n == len(channels) {
				want++
			}
		}
		c, err := correlate.Coincide(channels, correlate.CoincidenceOptions{Window: 10})
		if err != nil {
			t.Fatal(err)
		}
		if c.Overlap != want {
			t.Fatalf("%d ps together, want %d", c.Overlap, want)
		}
	})
}
