package correlate_test

import (
	"io"
	"math"
	"runtime"
	"slices"
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
		if err != nil {
			t.Fatal(err)
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
		common := commonTime(times, 0, half)
		count := func(a, b, c int64) float64 { return number(common, half, a, b, c) }
		abc := eight(o.Shift, func(s int64) float64 { return count(0, 0, s) })
		acb := eight(o.Shift, func(s int64) float64 { return count(0, s, 0) })
		bca := eight(o.Shift, func(s int64) float64 { return count(0, s, s) })
		chance := 8. / 7 * eight(o.Shift, func(s int64) float64 {
			return eight(o.Shift, func(r int64) float64 {
				if r == s {
					return 0
				}
				return count(0, s, r)
			})
		})
		if want := abc + acb + bca - 2*chance; math.Abs(c.Accidentals-want) > 1e-9 || math.Abs(c.Chance-chance) > 1e-9 {
			t.Fatalf("accidentals %g, by chance %g; want %g and %g", c.Accidentals, c.Chance, want, chance)
		}
		checkSingles(t, c, times)
		if len(times[0]) > 0 {
			checkParts(t, c, times, o)
		}
	})
}

// checkParts compares each part with the same channels counted alone.
func checkParts(t *rapid.T, c correlate.Coincidences, times [][]uint64, o correlate.CoincidenceOptions) {
	o.Each = nil
	var later [][]uint64 // far from zero, where corrected times may wrap around
	for _, channel := range times {
		l := slices.Clone(channel)
		for i := range l {
			l[i] += 1<<40 - times[0][0]
		}
		later = append(later, l)
	}
	for k, of := range [][2]int{{0, 1}, {0, 2}, {1, 2}} {
		common := commonTime(later, of[0], o.Window/2)
		alone, err := correlate.Coincide(channelsOf(common[of[0]], common[of[1]]), o)
		if err != nil {
			t.Fatal(err)
		}
		part := c.Parts[k]
		if part.Of != string([]byte{byte('A' + of[0]), byte('A' + of[1])}) {
			t.Fatalf("part %d is of %s", k, part.Of)
		}
		part.Of, part.Heralding, alone.Fold.Heralding = "AB", nil, nil // those are of another overlap
		if diff := cmp.Diff(alone.Fold, part); diff != "" {
			t.Fatal(diff)
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
	var tags []uint64
	for i := range uint64(5_000) {
		tags = append(tags, i*10_000_000+i*i%5_000_000)
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
