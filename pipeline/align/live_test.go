package align_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

var livePrior = align.Options{Search: align.DefaultSearch, MaxDrift: align.DefaultMaxDrift}

// segments cuts a record where its own clock has shown so many seconds more.
func segments(tags []uint64, start uint64, seconds float64) (parts [][]uint64) {
	for end := start; len(tags) > 0; {
		end += uint64(seconds * 1e12)
		n, _ := slices.BinarySearch(tags, end)
		parts, tags = append(parts, tags[:n]), tags[n:]
	}
	return parts
}

// followed plays records to a Live as a run does, segment by segment.
func followed(t *testing.T, o align.Options, a, b [][]uint64) (*align.Live, []align.Value) {
	t.Helper()
	l, err := align.NewLive(o)
	if err != nil {
		t.Fatal(err)
	}
	var values []align.Value
	for i := range max(len(a), len(b)) {
		var pa, pb []uint64
		if i < len(a) {
			pa = a[i]
		}
		if i < len(b) {
			pb = b[i]
		}
		err := l.Read(t.Context(), tag.NewReader(pa), tag.NewReader(pb), func(v []align.Value) { values = append(values, v...) })
		if err != nil {
			t.Fatal(err)
		}
	}
	return l, values
}

// verdict compares values with the truth.
type verdict struct {
	measured, within int
	worst            float64 // error in standard deviations
	squares          float64
	lost, stepped    int
	first, last      float64 // s since A began
}

func judge(values []align.Value, truth pairs.Truth) (v verdict) {
	for _, x := range values {
		at := float64(int64(x.Time-truth.Start)) / 1e12
		switch x.State {
		case align.Lost:
			v.lost++
			continue
		case align.Stepped:
			v.stepped++
		}
		if v.measured == 0 {
			v.first = at
		}
		v.last = at
		v.measured++
		miss := x.Offset.Minus(truth.OffsetAt(x.Time))
		v.squares += miss * miss
		v.worst = max(v.worst, math.Abs(miss)/x.OffsetSD)
		if math.Abs(miss) <= 3*x.OffsetSD {
			v.within++
		}
	}
	return v
}

// Values hold what they state: of all together 99 % lie within 3 standard
// deviations of the truth. Within one record neighbours err together, so one
// long excursion may be more of its few values.
func TestLiveFollows(t *testing.T) {
	var mu sync.Mutex
	measured, within := 0, 0
	t.Cleanup(func() {
		if 100*within < 99*measured {
			t.Errorf("%d of %d values are within 3 standard deviations of the truth", within, measured)
		}
	})
	for i, c := range []struct {
		name        string
		e           pairs.Experiment
		o           align.Options
		first, last float64 // s: values from here to there at least
		steps, lost int
	}{
		{"steady clocks", pairs.Experiment{Seconds: 12, Frequency: 12e-9}, livePrior, 0.2, 11.8, 0, 0},
		{"fast clock", pairs.Experiment{Seconds: 6, Frequency: -9e-6, Offset: -15_000_000_000}, livePrior, 0.2, 5.8, 0, 0},
		{"TCXO", pairs.Experiment{Seconds: 20, Frequency: 2e-8, WhiteFM: 1e-10, RandomWalkFM: 1e-10}, livePrior, 0.2, 19.8, 0, 0},
		{"quartz", pairs.Experiment{Seconds: 20, Frequency: 2e-8, WhiteFM: 1e-9, RandomWalkFM: 1e-9}, livePrior, 0.2, 19.8, 0, 0},
		{"far apart", pairs.Experiment{Seconds: 6, SinglesA: 10e3, SinglesB: 10e3, Pairs: 3e3, Offset: 400_000_000_000}, align.Options{Search: second, MaxDrift: align.DefaultMaxDrift}, 1, 5.3, 0, 0},
		{"few pairs", pairs.Experiment{Seconds: 30, SinglesA: 20e3, SinglesB: 20e3, Pairs: 400, Frequency: 1e-8}, livePrior, 2, 28, 0, 0},
		{"small step", pairs.Experiment{Seconds: 12, Steps: []pairs.Step{{At: 6, Size: 3000}}}, livePrior, 0.2, 11.8, 1, 0},
		{"step of 1 ms", pairs.Experiment{Seconds: 12, Steps: []pairs.Step{{At: 6, Size: -1e9}}}, livePrior, 0.2, 11.8, 1, 0},
		{"step of 300 ms", pairs.Experiment{Seconds: 16, SinglesA: 15e3, SinglesB: 15e3, Pairs: 3e3, Steps: []pairs.Step{{At: 4, Size: 3e11}}}, align.Options{Search: second, MaxDrift: align.DefaultMaxDrift}, 0.2, 15.3, 1, 1},
		{"gap", pairs.Experiment{Seconds: 20, SinglesA: 20e3, SinglesB: 20e3, Pairs: 3e3, Frequency: 1e-7, WhiteFM: 1e-11, NoPairs: []pairs.Span{{From: 5, To: 11}}}, livePrior, 0.2, 19.5, 0, 1},
		{"dark at first", pairs.Experiment{Seconds: 16, SinglesA: 20e3, SinglesB: 20e3, NoPairs: []pairs.Span{{From: 0, To: 5}}}, livePrior, 8, 15.8, 0, 0},
		{"B stops", pairs.Experiment{Seconds: 12, EarlyB: 5}, livePrior, 0.2, 6.8, 0, 1},
		{"B late", pairs.Experiment{Seconds: 12, LateB: 4}, livePrior, 5, 11.8, 0, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.e.Seed = uint64(101 + i)
			a, b, truth := c.e.Make()
			l, values := followed(t, c.o, segments(a, truth.Start, 1), segments(b, truth.Start, 1))
			v := judge(values, truth)
			t.Logf("%d values from %.2f s to %.2f s, rms error %.2f ps, %d within 3 sd, worst %.1f sd, steps %+v",
				v.measured, v.first, v.last, math.Sqrt(v.squares/float64(max(v.measured, 1))), v.within, v.worst, l.Steps())
			if v.measured == 0 || v.first > c.first || v.last < c.last {
				t.Errorf("%d values from %.2f s to %.2f s, want %.1f s to %.1f s", v.measured, v.first, v.last, c.first, c.last)
			}
			if 100*v.within < 95*v.measured || v.worst > 5 {
				t.Errorf("%d of %d values are within 3 standard deviations of the truth, worst %.1f", v.within, v.measured, v.worst)
			}
			mu.Lock()
			measured, within = measured+v.measured, within+v.within
			mu.Unlock()
			if v.stepped != c.steps || len(l.Steps()) != c.steps || v.lost != c.lost {
				t.Errorf("%d steps (%+v) and lost %d times, want %d and %d", v.stepped, l.Steps(), v.lost, c.steps, c.lost)
			}
			for i, s := range l.Steps() {
				if i < len(c.e.Steps) {
					at, size := c.e.Steps[i].At, c.e.Steps[i].Size
					if math.Abs(float64(int64(s.Time-truth.Start))-at*1e12) > 4*s.TimeSD+1e9 || math.Abs(s.Offset-size) > 5*s.OffsetSD {
						t.Errorf("step %+v, want %v at %v s", s, size, at)
					}
				}
			}
			if !slices.IsSortedFunc(values, func(x, y align.Value) int { return int(int64(x.Time-y.Time) >> 1) }) {
				t.Error("values are out of order")
			}
		})
	}
}

// Without pairs nothing is told, and little work is done.
func TestLiveFindsNothingInNothing(t *testing.T) {
	a, b, truth := pairs.Experiment{Seed: 5, Seconds: 3.8, SinglesA: 10e3, SinglesB: 10e3, Pairs: -1}.Make()
	l, values := followed(t, livePrior, segments(a, truth.Start, 2), segments(b, truth.Start, 2))
	if len(values) > 0 || l.State() != align.Searching {
		t.Errorf("%s with %d values, first %+v", l.State(), len(values), values[0])
	}
	for _, c := range [][2][]uint64{{nil, nil}, {a[:100], nil}, {nil, b[:100]}, {a[:1], b[:1]}} {
		if l, values := followed(t, livePrior, [][]uint64{c[0]}, [][]uint64{c[1]}); len(values) > 0 || l.State() != align.Searching {
			t.Errorf("%d and %d tags: %s, %+v", len(c[0]), len(c[1]), l.State(), values)
		}
	}
}

// What is told does not depend on how tags are dealt out.
func TestLivePortions(t *testing.T) {
	a, b, _ := pairs.Experiment{Seed: 3, Seconds: 5, SinglesA: 20e3, SinglesB: 20e3, Pairs: 2e3,
		Steps: []pairs.Step{{At: 2.5, Size: 40_000}}, NoPairs: []pairs.Span{{From: 3.2, To: 4.1}}}.Make()
	whole, err := align.NewLive(livePrior)
	if err != nil {
		t.Fatal(err)
	}
	want, err := whole.Add(t.Context(), a, b)
	if err != nil || len(want) == 0 {
		t.Fatalf("%d values: %v", len(want), err)
	}
	for seed := range uint64(4) {
		rng := rand.New(rand.NewPCG(seed, 1))
		most := 100 << (2 * seed) // of tags, in a portion
		l, err := align.NewLive(livePrior)
		if err != nil {
			t.Fatal(err)
		}
		var got []align.Value
		for a, b := a, b; len(a)+len(b) > 0; {
			n, m := min(rng.IntN(most), len(a)), min(rng.IntN(most), len(b))
			values, err := l.Add(t.Context(), a[:n], b[:m])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, values...)
			a, b = a[n:], b[m:]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in portions of up to %d tags (-whole +portions):\n%s", most, diff)
		}
	}
}

func TestLiveRefusesDisorder(t *testing.T) {
	for name, portions := range map[string][2][]uint64{
		"within a portion":  {{5, 4}, nil},
		"between portions":  {{1, 2}, {1}},
		"far from A's zero": {{0}, {1 << 63}},
	} {
		l, err := align.NewLive(livePrior)
		if err != nil {
			t.Fatal(err)
		}
		_, first := l.Add(t.Context(), portions[0], nil)
		_, second := l.Add(t.Context(), portions[1], nil)
		if errors.Join(first, second) == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := align.NewLive(align.Options{}); err == nil {
		t.Error("a search of nothing was taken")
	}
}

func TestLiveEndsWithItsContext(t *testing.T) {
	a, b, _ := pairs.Experiment{Seed: 1, Seconds: 2}.Make()
	l, err := align.NewLive(livePrior)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	enough := errors.New("enough")
	cancel(enough)
	if _, err := l.Add(ctx, a, b); !errors.Is(err, enough) {
		t.Errorf("error %v", err)
	}
}

// A record that goes on while the other is silent, and one without pairs, must
// not fill the memory.
func TestLiveMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("32 million tags")
	}
	for _, both := range []bool{false, true} {
		t.Run(fmt.Sprint("both ", both), func(t *testing.T) {
			l, err := align.NewLive(align.Options{Search: 1000, MaxDrift: quantity.PartPerBillion})
			if err != nil {
				t.Fatal(err)
			}
			piece := make([]uint64, 1<<18)
			at := uint64(0)
			for range 1 << 7 {
				for i := range piece {
					at += 1 + uint64(i)*2654435761%40_000
					piece[i] = at
				}
				var b []uint64
				if both {
					b = piece[:1<<12]
				}
				if _, err := l.Add(t.Context(), piece, b); err != nil {
					t.Fatal(err)
				}
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			if m.HeapAlloc > 400<<20 {
				t.Errorf("%d MiB are held", m.HeapAlloc>>20)
			}
			runtime.KeepAlive(l)
		})
	}
}
