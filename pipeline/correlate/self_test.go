package correlate_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
)

// A record against itself gives the pairs of different tags, whatever moves one
// side; two channels of equal tags are no record against itself.
func TestSelfPairsAreLeftOut(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		base := rapid.SampledFrom([]uint64{5000, 1 << 40, 1<<63 - 2000}).Draw(t, "base")
		tags := drawTags(t, "tags", base)
		l := correlate.Line{Reference: base, Offset: rapid.Int64Range(-2500, 2500).Draw(t, "offset")}
		if rapid.Bool().Draw(t, "drifts") {
			l.Frequency = maxFrequency
		}
		o := correlate.HistogramOptions{Range: 2000, Bin: 50}
		count := func(record string) correlate.Histogram {
			a, b := channelsOf(tags)[0], channelsOf(tags)[0]
			a.Record, b.Record = record, record
			if l.Offset != 0 {
				b.Correction = line(t, l)
			}
			h, err := correlate.CountChannels(a, b, o)
			if err != nil {
				t.Fatal(err)
			}
			return h
		}
		want := count("")
		for _, tag := range tags {
			d := int64(0)
			if l.Offset != 0 {
				d = int64(l.Apply(tag) - tag)
			}
			if d >= -o.Range && d < o.Range {
				want.Counts[(d+o.Range)/o.Bin]--
				want.Pairs--
				want.SelfPairs++
			}
		}
		if diff := cmp.Diff(want, count("one")); diff != "" {
			t.Fatal(diff)
		}
	})
}
