package correlate_test

import (
	"io"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/pipeline/correlate"
)

// Three channels: every tuple, every part, the one-to-one tuples by
// trying all, and the accidentals by the formulas written out.
func TestFoldsEqualBruteForce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		channels, raw, times := drawChannels(t, 3, 9)
		o := correlate.CoincidenceOptions{Window: rapid.Int64Range(2, 120).Draw(t, "window")}
		o.Shift = o.Window + rapid.Int64Range(1, 40).Draw(t, "shift")
		half := o.Window / 2
		var got, want []correlate.Tuple
		o.Each = func(p correlate.Tuple) error { got = append(got, cloned(p)); return nil }
		c, err := correlate.Coincide(channels, o)
		common := commonTime(times, 0, half)
		spans := cut(spansOf(times), 0, half)
		whole := timeOf(spans, 0, 0, 0)
		time := func(b, c int64) float64 { return timeOf(spans, 0, float64(b), float64(c)) / whole }
		if err != nil {
			if !strings.Contains(err.Error(), "choose a shift below") || whole > 2*float64(o.Shift) {
				t.Fatal(err)
			}
			return
		}
		all := tuples(times, []int64{0, 0, 0}, half)
		one := uint64(0)
		for k, p := range all {
			w := correlate.Tuple{OneToOne: got[min(k, len(got)-1)].OneToOne}
			for i, at := range p {
				w.Tags = append(w.Tags, raw[i][at])
				if i > 0 {
					w.Deltas = append(w.Deltas, int64(times[i][at]-times[0][p[0]]))
				}
			}
			if w.OneToOne {
				one++
			}
			want = append(want, w)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatal(diff)
		}
		if c.Fold.Of != "ABC" || c.All != uint64(len(all)) || c.OneToOne != one || one != uint64(disjoint(all)) {
			t.Fatalf("got %+v, want %d, of which %d listed and %d possible one to one", c.Fold, len(all), one, disjoint(all))
		}
		count := func(a, b, c int64) float64 { return number(common, half, a, b, c) }
		abc := eight(o.Shift, func(s int64) float64 { return count(0, 0, s) }, func(s int64) float64 { return time(0, s) })
		acb := eight(o.Shift, func(s int64) float64 { return count(0, s, 0) }, func(s int64) float64 { return time(s, 0) })
		bca := eight(o.Shift, func(s int64) float64 { return count(0, s, s) }, func(s int64) float64 { return time(s, s) })
		counted, due := 0.0, 0.0
		for _, s := range eightShifts {
			for _, r := range eightShifts {
				if r != s {
					counted, due = counted+count(0, s*o.Shift, r*o.Shift), due+time(s*o.Shift, r*o.Shift)
				}
			}
		}
		if want := abc + acb + bca - 2*counted/due; !same(c.Accidentals, want) || !same(c.Chance, counted/due) {
			t.Fatalf("accidentals %g, by chance %g; want %g and %g", c.Accidentals, c.Chance, want, counted/due)
		}
		checkSingles(t, c, times)
		if len(times[0]) > 0 {
			checkParts(t, c, times, o)
		}
	})
}

// checkParts compares each part with the same channels counted alone.
func checkParts(t *rapid.T, c correlate.Coincidences, times [][]uint64, o correlate.CoincidenceOptions) {
	half := o.Window / 2
	for k, of := range [][2]int{{0, 1}, {0, 2}, {1, 2}} {
		common := commonTime(times, of[0], half)
		spans := cut(spansOf(times), of[0], half)
		two, twoSpans := [][]uint64{common[of[0]], common[of[1]]}, []span{}
		if spans != nil {
			twoSpans = []span{spans[of[0]], spans[of[1]]}
		}
		all := tuples(two, []int64{0, 0}, half)
		whole := timeOfPairs(twoSpans, 0, half)
		accidentals := eight(o.Shift, func(s int64) float64 { return number(two, half, 0, s) },
			func(s int64) float64 { return timeOfPairs(twoSpans, s, half) / whole })
		var edges [][2]int
		for _, p := range all {
			edges = append(edges, [2]int{p[0], p[1]})
		}
		part := c.Parts[k]
		if part.Of != string([]byte{byte('A' + of[0]), byte('A' + of[1])}) || part.All != uint64(len(all)) || part.OneToOne != uint64(matching(edges)) {
			t.Fatalf("part %d is %+v, want %d pairs, %d one to one", k, part, len(all), matching(edges))
		}
		if !same(part.Accidentals, accidentals) || !same(part.Net, float64(len(all))-accidentals) {
			t.Fatalf("part %d is %+v, want %g accidentals", k, part, accidentals)
		}
	}
}

// disjoint is the largest number of tuples that share no tag, by trying all.
func disjoint(all [][]int) int {
	if len(all) == 0 {
		return 0
	}
	var rest [][]int
	for _, p := range all[1:] {
		shares := false
		for i := range p {
			shares = shares || p[i] == all[0][i]
		}
		if !shares {
			rest = append(rest, p)
		}
	}
	with := 1 + disjoint(rest)
	if with >= len(all) {
		return with
	}
	return max(with, disjoint(all[1:]))
}

// Streams of many chunks, of unequal rates, that come in pieces: every tuple is
// found, by another way to count.
func TestFoldsOfLongStreams(t *testing.T) {
	const half = 2000
	l := light{seconds: 0.5, events: 60_000, see: []float64{1, 0.3, 0.02}, noise: []float64{600_000, 1000, 0}, jitter: 300}
	tags := l.tags(8)
	channels := channelsOf(tags...)
	channels[1].Tags = &trickle{tags: tags[1]}
	c, err := correlate.Coincide(channels, correlate.CoincidenceOptions{Window: 2 * half})
	if err != nil {
		t.Fatal(err)
	}
	if want := lastOf(tags, half); c.All != want || want < 50 {
		t.Errorf("%d tuples, want %d", c.All, want)
	}
}

// ticks yields n tags, a microsecond apart.
type ticks struct{ at, n uint64 }

func (s *ticks) Next(buf []uint64) (int, error) {
	if s.n == 0 {
		return 0, io.EOF
	}
	buf = buf[:min(uint64(len(buf)), s.n)]
	for i := range buf {
		buf[i] = s.at
		s.at += 1_000_000
	}
	s.n -= uint64(len(buf))
	return len(buf), nil
}

// What is held does not grow with the streams.
func TestFoldsHoldLittle(t *testing.T) {
	const n = 1_500_000
	var channels []correlate.Channel
	for range 3 {
		channels = append(channels, correlate.Channel{Tags: &ticks{n: n}})
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	c, err := correlate.Coincide(channels, correlate.CoincidenceOptions{Window: 1000, Shift: 1_300_000})
	runtime.ReadMemStats(&after)
	if err != nil || c.All != n || c.OneToOne != n {
		t.Fatalf("got %+v, %v", c.Fold, err)
	}
	if used, whole := after.TotalAlloc-before.TotalAlloc, uint64(3*8*n); used > whole {
		t.Errorf("%d MB were allocated for streams of %d MB", used>>20, whole>>20)
	}
}

// lastOf counts tuples by their last tag: it is in as many as there are ways to
// choose one of each other channel from the half window before it.
func lastOf(tags [][]uint64, half uint64) (n uint64) {
	for i, own := range tags {
		for _, t := range own {
			ways := uint64(1)
			for j, other := range tags {
				if j != i {
					from, _ := slices.BinarySearch(other, t-half)
					to, _ := slices.BinarySearch(other, t)
					if j < i { // of equal times the earlier channel's is the earlier tag
						to, _ = slices.BinarySearch(other, t+1)
					}
					ways *= uint64(to - from)
				}
			}
			n += ways
		}
	}
	return n
}

// Channels that see the same have as many coincidences of any number.
func TestEightChannels(t *testing.T) {
	tags, rng := []uint64{0}, rand.New(rand.NewPCG(1, 8))
	for len(tags) < 5_000 {
		tags = append(tags, tags[len(tags)-1]+5_000_000+rng.Uint64N(10_000_000))
	}
	o := correlate.CoincidenceOptions{Window: 1000}
	for n := 2; n <= correlate.MaxChannels; n++ {
		var all [][]uint64
		for range n {
			all = append(all, tags)
		}
		c, err := correlate.Coincide(channelsOf(all...), o)
		if err != nil {
			t.Fatal(err)
		}
		parts := map[int]int{2: 0, 3: 3}
		want, known := parts[n]
		if !known {
			want = n*(n-1)/2 + n
		}
		if c.All != 5_000 || c.OneToOne != 5_000 || c.Overlap != tags[len(tags)-1] || len(c.Parts) != want {
			t.Errorf("%d channels: %+v", n, c)
		}
		if len(c.Heralding) != n || math.Abs(c.Heralding[n-1].Value-1) > 0.01 {
			t.Errorf("%d channels herald %+v", n, c.Heralding)
		}
	}
}
