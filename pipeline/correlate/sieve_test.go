package correlate

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// Pairs are the same, by place and one to one, whether tags without a partner
// are left out first or not: over several spans, with partners at the very edges
// of their windows, and with places that are not quite whole turns.
func TestSievesChangeNoCount(t *testing.T) {
	used := 0
	rapid.Check(t, func(t *rapid.T) {
		half := rapid.Int64Range(0, 1000).Draw(t, "half")
		at := evenly(rapid.Int64Range(100*(2*half+20), longTurn+longTurn/8).Draw(t, "turn"))
		uneven := rapid.Int64Range(0, half/4+1).Draw(t, "uneven")
		for i := range at {
			if i != shiftsEachSide && i != shiftsEachSide+1 {
				at[i] += rapid.Int64Range(-uneven, uneven).Draw(t, "off")
			}
		}
		apart := at[shiftsEachSide+1] / rapid.Int64Range(1, 12).Draw(t, "tags a turn")
		a := someTags(t, rapid.Uint64().Draw(t, "begin"), 1200, apart)
		b := partners(t, a, at, half, apart)

		with, without := newCounter(3, half, at), newCounter(3, half, at)
		without.sieve = nil
		with.listed, without.listed = true, true
		cuts := []int{0, rapid.IntRange(0, len(a)).Draw(t, "cut"), len(a)}
		slices.Sort(cuts)
		for i := range 2 {
			own := view{fixed: a, low: cuts[i], high: cuts[i+1]}
			for _, c := range []*counter{with, without} {
				c.pairs(own, view{fixed: b})
			}
			if len(with.piece.own.places) > 0 {
				used++
			}
			if !slices.EqualFunc(with.matched, without.matched, slices.Equal) {
				t.Fatalf("matched %v with a sieve, %v without", with.matched, without.matched)
			}
		}
		if with.placed != without.placed || with.one != without.one {
			t.Fatalf("%v and %d one to one with a sieve, %v and %d without", with.placed, with.one, without.placed, without.one)
		}
	})
	if used < 20 {
		t.Errorf("only %d spans went through a sieve", used)
	}
}

func someTags(t *rapid.T, begin uint64, n int, apart int64) []uint64 {
	seed := rapid.Uint64().Draw(t, "seed")
	tags := make([]uint64, n)
	for i := range tags {
		begin += mixed(seed+uint64(i)) % uint64(2*apart)
		tags[i] = begin
	}
	return tags
}

// partners are tags at random, among them some at the edge of a window of a's or
// just beside it.
func partners(t *rapid.T, a []uint64, at places, half, apart int64) []uint64 {
	tags := someTags(t, a[0], len(a), apart)
	seed := rapid.Uint64().Draw(t, "edges")
	for i, of := range a {
		r := mixed(seed + uint64(i))
		edge := []int64{-half - 1, -half, 0, half, half + 1}[r>>8%5]
		if r%4 == 0 {
			tags = append(tags, of+uint64(at[r>>16%uint64(len(at))]+edge))
		}
	}
	slices.SortFunc(tags, func(x, y uint64) int { return int(max(-1, min(1, int64(x-y)))) })
	return tags
}

func mixed(x uint64) uint64 {
	x = (x ^ x>>31) * 0x9e3779b97f4a7c15
	return (x ^ x>>29) * 0xbf58476d1ce4e5b9 >> 8
}
