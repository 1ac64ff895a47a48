package align

import (
	"context"
	"testing"

	"tsrun/internal/pairs"
)

// The first line to be fitted is of some ten pairs. Where these lie closer together
// by chance than others do, those that follow do not show that the clock leaves the
// line: it is straight, whichever node is asked for first.
func TestFewPairsHardlyTellTheWidthOfAPeak(t *testing.T) {
	if widest(10) < 3 || widest(1e4) > 1.05 || widest(400) < widest(1e4) || widest(4) < widest(10) {
		t.Errorf("of 4, 10, 400, 10 000 pairs a peak may be wider by %.3g, %.3g, %.3g, %.3g", widest(4), widest(10), widest(400), widest(1e4))
	}
	a, b, truth := pairs.Experiment{Seed: 990_009, Seconds: 12, SinglesA: 30e3, SinglesB: 30e3, Pairs: 1000, JitterA: 5000, JitterB: 5000,
		Frequency: -7e-6, Offset: 5_000_000_000}.Make()
	o := Options{Search: DefaultSearch, MaxDrift: DefaultMaxDrift}
	there, err := Align(context.Background(), a, b, o)
	if err != nil {
		t.Fatal(err)
	}
	back, err := Align(context.Background(), b, a, o)
	if err != nil {
		t.Fatal(err)
	}
	bound := truth.OffsetBound(there.Reference)
	for _, r := range []Alignment{there, back} {
		if r.Wanders || r.Warning != "" || r.OffsetSD > 1.5*bound {
			t.Errorf("wanders: %t, warning %q, offset to %.0f ps, where %.0f can be had", r.Wanders, r.Warning, r.OffsetSD, bound)
		}
	}
	x, sd := there.OffsetAt(there.Reference)
	y, _ := back.OffsetAt(there.Reference + uint64(x.Whole))
	if off := there.Offset.Minus(truth.OffsetAt(there.Reference)); off > 3*sd || off < -3*sd {
		t.Errorf("the offset is off by %.0f ps, stated to %.0f", off, sd)
	}
	if sum := x.Float() + y.Float(); sum > sd/2 || sum < -sd/2 {
		t.Errorf("there it is %v ps, back %v", x, y)
	}
}
