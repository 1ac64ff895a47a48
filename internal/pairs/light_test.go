package pairs

import (
	"io"
	"math"
	"slices"
	"testing"
)

// Light has the tags that were asked for, in order, the same however they are
// read, and partners where B's clock shows them.
func TestLight(t *testing.T) {
	l := Light{Seed: 3, Tags: 200_000, Rate: 1e6, Share: 0.02, Jitter: 200, Frequency: 1e-6, Offset: 5_000_000_000}
	read := func(r interface{ Next([]uint64) (int, error) }, piece int) (all []uint64) {
		buf := make([]uint64, piece)
		for {
			n, err := r.Next(buf)
			if err == io.EOF {
				return all
			}
			all = append(all, buf[:n]...)
		}
	}
	a, b := read(l.A(), 1000), read(l.B(), 1000)
	if !slices.Equal(a, read(l.A(), 77)) || !slices.Equal(b, read(l.B(), 77)) {
		t.Error("another piece, other tags")
	}
	if len(a) != l.Tags || math.Abs(float64(len(b)-l.Tags)) > 5*math.Sqrt(float64(l.Tags)) || !slices.IsSorted(a) || !slices.IsSorted(b) {
		t.Errorf("%d tags of A, %d of B", len(a), len(b))
	}
	near, beside := 0.0, 0.0
	for _, at := range a {
		x := uint64(float64(at)*(1+l.Frequency)) + uint64(l.Offset)
		for k, _ := slices.BinarySearch(b, x-1000); k < len(b) && b[k] <= x+1000; k++ {
			near++
		}
		for k, _ := slices.BinarySearch(b, x+9000); k < len(b) && b[k] <= x+11000; k++ {
			beside++
		}
	}
	if pairs := near - beside; math.Abs(pairs-l.Pairs()) > 5*math.Sqrt(l.Pairs()) {
		t.Errorf("%.0f pairs, want %.0f", pairs, l.Pairs())
	}
}
