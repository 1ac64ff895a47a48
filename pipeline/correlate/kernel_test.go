package correlate

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawRecord draws n tags around base: single ones, ties and bursts, with pauses.
func drawRecord(rng *rand.Rand, n int, base, mean uint64) []uint64 {
	tags := make([]uint64, n)
	burst := 0
	for i := range tags {
		switch burst--; {
		case burst > 0:
			base += rng.Uint64N(3)
		case rng.IntN(50) == 0:
			burst = rng.IntN(20)
		case rng.IntN(200) == 0:
			base += 100 * mean
		default:
			base += rng.Uint64N(2*mean) + 1
		}
		tags[i] = base
	}
	return tags
}

// bruteForce compares every tag with every tag.
func bruteForce(y tally, a, b []uint64) (counts []uint64, pairs uint64) {
	counts = make([]uint64, len(y.counts))
	for _, t := range a {
		for _, u := range b {
			if d := int64(u - t - y.lo); d >= 0 && d < int64(y.width) {
				counts[uint64(d)/y.divide.n]++
				pairs++
			}
		}
	}
	return counts, pairs
}

func TestKernelsEqualBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		base := rapid.SampledFrom([]uint64{1 << 27, 1 << 32, 1 << 40, 1 << 53, 1<<63 - 50_000, math.MaxUint64 - 50_000}).Draw(t, "base")
		mean := rapid.SampledFrom([]uint64{1, 100, 100_000}).Draw(t, "mean")
		a := drawRecord(rng, rapid.IntRange(1, 1500).Draw(t, "a"), base, mean)
		b := drawRecord(rng, rapid.IntRange(1, 1500).Draw(t, "b"), base, mean)
		bin := rapid.SampledFrom([]uint64{1, 2, 3, 7, 10, 1000}).Draw(t, "bin")
		bins := rapid.IntRange(1, 40).Draw(t, "bins")
		width := bin * uint64(bins)
		empty := tally{
			lo:    uint64(rapid.Int64Range(-2*int64(width), int64(width)).Draw(t, "lo")),
			width: width, divide: newDivider(bin, width), counts: make([]uint64, bins),
		}
		want, pairs := bruteForce(empty, a, b)
		for name, count := range map[string]func(y *tally){
			"add":                  func(y *tally) { y.add(a, b) },
			"sparse":               func(y *tally) { y.sparse(a, b, math.MaxUint64) },
			"sparse, handing over": func(y *tally) { y.sparse(a, b, 10) },
			"simple":               func(y *tally) { y.simple(a, b) },
			"dense":                func(y *tally) { y.dense(a, b) },
			"wide": func(y *tally) {
				if y.counts == nil {
					y.add(a, b)
					return
				}
				y.wide(a, b)
			},
		} {
			y := empty
			y.counts = make([]uint64, bins)
			count(&y)
			if y.pairs != pairs || !slices.Equal(y.counts, want) {
				t.Fatalf("%s: %d pairs %v, want %d %v", name, y.pairs, y.counts, pairs, want)
			}
			y = tally{lo: empty.lo, width: width}
			if count(&y); y.pairs != pairs {
				t.Fatalf("%s without bins: %d pairs, want %d", name, y.pairs, pairs)
			}
		}
		if got := countWithin(a, b, int64(empty.lo), int64(empty.lo+width)-1); got != pairs {
			t.Fatalf("countWithin gives %d, want %d", got, pairs)
		}
	})
}

func TestKernelsWithNothingToDo(t *testing.T) {
	far := []uint64{1 << 60}
	for _, tt := range []struct{ a, b []uint64 }{{nil, nil}, {far, nil}, {nil, far}, {far, []uint64{5}}, {[]uint64{5}, far}} {
		if n := countWithin(tt.a, tt.b, -1000, 1000); n != 0 {
			t.Errorf("%v and %v have %d pairs", tt.a, tt.b, n)
		}
	}
}

// TestBunchedPairsStayCheap gives the sparse kernel, which is chosen by the mean
// rate, records whose pairs are all in one place. Pair by pair it would take
// minutes.
func TestBunchedPairsStayCheap(t *testing.T) {
	const n = 1 << 20
	tags := make([]uint64, n)
	for i := range tags {
		tags[i] = 1 << 40
	}
	tags[0], tags[n-1] = 0, 1<<60
	if got, want := countWithin(tags, tags, -10, 10), uint64((n-2)*(n-2)+2); got != want {
		t.Errorf("%d pairs, want %d", got, want)
	}
	y := tally{lo: 0, width: 10, divide: newDivider(1, 10), counts: make([]uint64, 10)}
	if y.add(tags, tags[:100]); y.counts[0] != 99*(n-2)+1 || y.pairs != y.counts[0] {
		t.Errorf("%d pairs, counts %v", y.pairs, y.counts)
	}
}

func TestTalliesHoldFewBins(t *testing.T) {
	for _, bins := range []int{2, MaxBins} {
		total := len(newTallies(0, 1, bins)) * bins
		if total > max(privateBins, MaxBins) {
			t.Errorf("%d bins of histograms for one of %d", total, bins)
		}
	}
}

// TestDividerIsExact tries both sides of every multiple at the limits of the
// reciprocal, and beyond them.
func TestDividerIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Uint64Range(1, math.MaxUint64>>rapid.IntRange(1, 63).Draw(t, "bits")).Draw(t, "n")
		limit := (uint64(1) << 63) / n // the largest with a reciprocal
		v := newDivider(n, limit)
		if v.reciprocal == 0 {
			t.Fatalf("no reciprocal for %d up to %d", n, limit)
		}
		if hi, lo := bits.Mul64(n, limit+1); limit < math.MaxUint64 && (hi > 0 || lo > 1<<63) && newDivider(n, limit+1).reciprocal != 0 {
			t.Fatalf("a reciprocal for %d up to %d", n, limit+1)
		}
		for _, w := range []divider{v, newDivider(n, math.MaxUint64)} {
			k := limit / n
			if limit > n {
				k = rapid.Uint64Range(0, limit/n).Draw(t, "k")
			}
			for _, d := range []uint64{k * n, k*n - 1, k*n + 1, k*n + n - 1, limit - 1, 0} {
				if d < limit && w.by(d) != d/n {
					t.Fatalf("%d / %d = %d, want %d", d, n, w.by(d), d/n)
				}
			}
		}
	})
}

func TestDisorderIsFoundAtEveryPlace(t *testing.T) {
	for n := range 14 {
		tags := make([]uint64, n)
		for i := range tags {
			tags[i] = uint64(10 + i/3)
		}
		if got := disorder(10, tags); got != -1 {
			t.Errorf("%v: disorder at %d", tags, got)
		}
		for at := range n {
			broken := slices.Clone(tags)
			broken[at] = 9
			if got := disorder(10, broken); got != at {
				t.Errorf("%v: disorder at %d, want %d", broken, got, at)
			}
		}
	}
}
