package correlate_test

import (
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

// manyChunks is more tags than are read at once, several times.
const manyChunks = 100_000

// coresCases are records that are awkward to divide among cores.
func coresCases() map[string]struct {
	a, b   []uint64
	window int64
	listed bool
} {
	rng := rand.New(rand.NewPCG(7, 8))
	steps := func(n int, begin, most uint64) []uint64 {
		tags := make([]uint64, n)
		for i := range tags {
			begin += rng.Uint64N(most)
			tags[i] = begin
		}
		return tags
	}
	ties := func() []uint64 { // runs of equal times, over every place at which something may be cut
		tags := steps(manyChunks, 1<<50, 2_000_000)
		for i := 1 << 13; i+20 < len(tags); i += 1 << 13 {
			for k := i - 10; k < i+10; k++ {
				tags[k] = tags[i+10]
			}
		}
		return tags
	}()
	type record = struct {
		a, b   []uint64
		window int64
		listed bool
	}
	return map[string]record{
		"at random, above 2^63":          {steps(manyChunks, 1<<63+5, 2_000_000), steps(manyChunks, 1<<63+5, 2_000_000), 20_000, true},
		"beyond 2^63 on the way":         {steps(manyChunks, 1<<63-1<<35, 2_000_000), steps(manyChunks, 1<<63-1<<35, 2_000_000), 20_000, true},
		"equal times":                    {ties, slices.Clone(ties), 1000, true},
		"all in one chunk":               {steps(9000, 77, 2_000_000), steps(9000, 77, 2_000_000), 100_000, true},
		"few of B":                       {steps(manyChunks, 0, 1000), steps(40, 0, 2_500_000), 900, true},
		"few of A":                       {steps(40, 0, 2_500_000), steps(manyChunks, 0, 1000), 900, true},
		"no A":                           {nil, steps(manyChunks, 0, 1000), 900, true},
		"no B":                           {steps(manyChunks, 0, 1000), nil, 900, true},
		"none":                           {nil, nil, 900, true},
		"one moment":                     {make([]uint64, 3000), make([]uint64, 30), 900, true},
		"a window of a chunk and a half": {steps(manyChunks, 1<<40, 1000), steps(manyChunks, 1<<40, 1000), 50_000_000, false},
	}
}

// single gives one tag at a time.
type single struct{ tags []uint64 }

func (s *single) Next(buf []uint64) (int, error) {
	if len(s.tags) == 0 {
		return 0, io.EOF
	}
	n := copy(buf[:1], s.tags)
	s.tags = s.tags[n:]
	return n, nil
}

// TestCountsDoNotDependOnCores counts the same on any number of cores, from memory, from
// streams and tag by tag, and as plain loops do.
func TestCountsDoNotDependOnCores(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for name, r := range coresCases() {
		t.Run(name, func(t *testing.T) {
			all, one := plainPairs(r.a, r.b, r.window/2)
			o := correlate.HistogramOptions{Range: r.window, Bin: r.window / 4}
			bins := plainBins(r.a, r.b, o)
			var first string
			for _, cores := range []int{1, 2, 5} {
				runtime.GOMAXPROCS(cores)
				for how, stream := range map[string]func([]uint64) correlate.Stream{
					"memory":  tag.NewReader,
					"streams": func(tags []uint64) correlate.Stream { return newUneven(tags) },
					"singles": func(tags []uint64) correlate.Stream { return &single{tags} },
				} {
					channels := []correlate.Channel{{Tags: stream(r.a)}, {Tags: stream(r.b)}}
					c, tuples := coincideListing(t, channels, r.window, r.listed)
					if c.All != all || c.OneToOne != one || r.listed && tuples.all != all {
						t.Errorf("%d cores, %s: %d pairs, %d one to one, %d listed; want %d and %d", cores, how, c.All, c.OneToOne, tuples.all, all, one)
					}
					if got := fmt.Sprintf("%+v %+v", c, tuples); first == "" {
						first = got
					} else if diff := cmp.Diff(first, got); diff != "" {
						t.Errorf("%d cores, %s: %s", cores, how, diff)
					}
					h, err := correlate.CountStreams(stream(r.a), stream(r.b), o)
					if err != nil || !slices.Equal(h.Counts, bins) || h.TagsA != uint64(len(r.a)) || h.TagsB != uint64(len(r.b)) {
						t.Errorf("%d cores, %s: histogram %v, %v; want %v", cores, how, h, err, bins)
					}
				}
			}
		})
	}
}

// listed is what a list of pairs comes to: their number, and a sum that their order and
// every number in them changes.
type listed struct{ all, sum uint64 }

func coincideListing(t *testing.T, channels []correlate.Channel, window int64, list bool) (correlate.Coincidences, listed) {
	t.Helper()
	var l listed
	o := correlate.CoincidenceOptions{Window: window}
	if list {
		o.Each = func(p correlate.Tuple) error {
			l.all++
			for _, n := range []uint64{p.Tags[0], p.Tags[1], uint64(p.Deltas[0])} {
				l.sum = (l.sum ^ n) * 0x9e3779b97f4a7c15
			}
			if p.OneToOne {
				l.sum++
			}
			return nil
		}
	}
	c, err := correlate.Coincide(channels, o)
	if err != nil {
		t.Fatal(err)
	}
	return c, l
}

// plainPairs counts pairs within half, and how many share no tag, the earliest first.
func plainPairs(a, b []uint64, half int64) (all, one uint64) {
	from, to := 0, 0
	for _, t := range a {
		for from < len(b) && int64(b[from]-t) < -half {
			from++
		}
		for to < len(b) && int64(b[to]-t) <= half {
			to++
		}
		all += uint64(to - from)
	}
	for i, j := 0, 0; i < len(a) && j < len(b); {
		switch d := int64(b[j] - a[i]); {
		case d < -half:
			j++
		case d > half:
			i++
		default:
			one, i, j = one+1, i+1, j+1
		}
	}
	return all, one
}

// plainBins counts, for every edge of a bin, the pairs before it.
func plainBins(a, b []uint64, o correlate.HistogramOptions) []uint64 {
	before := func(edge int64) (n uint64) {
		j := 0
		for _, t := range a {
			for j < len(b) && int64(b[j]-t) < edge {
				j++
			}
			n += uint64(j)
		}
		return n
	}
	counts := make([]uint64, 2*o.Range/o.Bin)
	for k := range counts {
		low := -o.Range + int64(k)*o.Bin
		counts[k] = before(low+o.Bin) - before(low)
	}
	return counts
}
