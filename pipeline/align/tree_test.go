package align

import (
	"encoding/binary"
	"testing"

	"pgregory.net/rapid"
)

// TestTreeFindsTheHighestLine compares the tree with adding up every line by
// itself, along the path that the tree's rule gives it.
func TestTreeFindsTheHighestLine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		slices := 1 << rapid.IntRange(2, 5).Draw(t, "log of slices")
		tr := newTree(slices, 64)
		for s := range slices {
			for i := range tr.bins() {
				n := rapid.Uint16Range(0, min(tr.cap, 9)).Draw(t, "count")
				binary.LittleEndian.PutUint16(tr.leaves[s*tr.row+2*i:], n)
			}
		}
		for _, reversed := range []bool{false, true} {
			got := tr.highest(reversed)
			most := 0
			for shift := range slices {
				for at := range tr.width {
					n := alongLine(tr, at, shift, reversed) + alongLine(tr, at+1, shift, reversed)
					most = max(most, n)
					if at == got.at && shift == got.shift && n != int(got.count) {
						t.Fatalf("line %+v (reversed %v) has %d", got, reversed, n)
					}
				}
			}
			if most != int(got.count) {
				t.Fatalf("reversed %v: %+v, but a line has %d", reversed, got, most)
			}
		}
	})
}

// alongLine follows the line down the tree, halving its shift each time, and
// adds up the bins it meets; none is further than a bin from the straight line.
func alongLine(tr *tree, at, shift int, reversed bool) int {
	var walk func(first, n, at, shift int) int
	start := at
	total := shift
	walk = func(first, n, at, shift int) int {
		if n == 1 {
			if ideal := float64(start) + float64(total)*float64(first)/float64(tr.slices-1); float64(at) > ideal+2.5 || float64(at) < ideal-2.5 {
				panic("the tree leaves the line")
			}
			if reversed {
				first = tr.slices - 1 - first
			}
			return int(binary.LittleEndian.Uint16(tr.leaves[first*tr.row+2*at:]))
		}
		return walk(first, n/2, at, shift/2) + walk(first+n/2, n/2, at+shift-shift/2, shift/2)
	}
	return walk(0, tr.slices, at, shift)
}
