package correlate_test

import (
	"errors"
	"io"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"tsrun/internal/need"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
)

// uneven hands out pieces of any length.
type uneven struct {
	tags []uint64
	rng  *rand.Rand
}

func newUneven(tags []uint64) *uneven { return &uneven{tags, rand.New(rand.NewPCG(5, 6))} }

func (s *uneven) Next(buf []uint64) (int, error) {
	if len(s.tags) == 0 {
		return 0, io.EOF
	}
	n := copy(buf[:1+s.rng.IntN(len(buf))], s.tags)
	s.tags = s.tags[n:]
	return n, nil
}

// plainly counts with nothing but the definition and a first tag that never
// turns back.
func plainly(a, b []uint64, o correlate.HistogramOptions) []uint64 {
	counts := make([]uint64, 2*o.Range/o.Bin)
	from := 0
	for _, t := range a {
		for from < len(b) && int64(b[from]-t) < -o.Range {
			from++
		}
		for k := from; k < len(b) && int64(b[k]-t) < o.Range; k++ {
			counts[(int64(b[k]-t)+o.Range)/o.Bin]++
		}
	}
	return counts
}

// TestBordersOfChunks counts records of several chunks, in memory and as
// streams, corrected and not, on one core and on several, and with rates so
// unequal that either side waits for the other.
func TestBordersOfChunks(t *testing.T) {
	correction, err := correlate.NewCorrection(
		correlate.Line{Reference: 1 << 63, Offset: 777_000, Frequency: 20_000_000},
		correlate.Line{Reference: 1<<63 + 1<<38, Offset: 778_000, Frequency: -5_000_000},
	)
	if err != nil {
		t.Fatal(err)
	}
	const many, few = 600_000, 3_000
	far, farthest := 100, 5 // of A, each with very many pairs
	if need.Raced {         // it looks at who counts, and not at how much
		far, farthest = 20, 2
	}
	for _, tt := range []struct {
		name   string
		na, nb int
		o      correlate.HistogramOptions
	}{
		{"sparse", many, many, correlate.HistogramOptions{Range: 20_000, Bin: 1000}},
		{"corrected", many, many, correlate.HistogramOptions{Range: 20_000, Bin: 1, Correction: correction}},
		{"dense", many / 2, many, correlate.HistogramOptions{Range: 1_000_000, Bin: 1000}},
		{"few A", few, many, correlate.HistogramOptions{Range: 1_000_000, Bin: 1000}},
		{"few B", many, few, correlate.HistogramOptions{Range: 1_000_000, Bin: 1000}},
		{"range of several chunks", far, many, correlate.HistogramOptions{Range: 1 << 36, Bin: 1 << 30}},
		{"range longer than chunks", farthest, many, correlate.HistogramOptions{Range: 1 << 39, Bin: 1 << 30}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const length = 1_000_000_000_000
			rng := rand.New(rand.NewPCG(3, 4))
			a, b := drawRecord(rng, tt.na, length), drawRecord(rng, tt.nb, length)
			before := slices.Clone(b)
			want := plainly(a, tt.o.Correction.ApplyAll(nil, b), tt.o)
			for _, cores := range []int{1, 3} {
				was := runtime.GOMAXPROCS(cores)
				whole, err1 := correlate.Count(a, b, tt.o)
				parts, err2 := correlate.CountStreams(newUneven(a), newUneven(b), tt.o)
				runtime.GOMAXPROCS(was)
				if err := errors.Join(err1, err2); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(whole.Counts, want) {
					t.Errorf("%d cores: counts differ", cores)
				}
				if diff := cmp.Diff(whole, parts); diff != "" {
					t.Errorf("%d cores: streams differ from slices: %s", cores, diff)
				}
				if whole.TagsA != uint64(tt.na) || whole.TagsB != uint64(tt.nb) {
					t.Errorf("%d cores: %d and %d tags", cores, whole.TagsA, whole.TagsB)
				}
			}
			if !slices.Equal(b, before) {
				t.Error("counting changes B")
			}
		})
	}
}

// drawRecord makes n tags of about length ps, from 2^63 on.
func drawRecord(rng *rand.Rand, n int, length uint64) []uint64 {
	tags, t := make([]uint64, n), uint64(1)<<63
	for i := range tags {
		t += rng.Uint64N(2 * length / uint64(n))
		tags[i] = t
	}
	return tags
}

// slow takes its time, and knows whether it is being read.
type slow struct {
	reading atomic.Bool
	next    uint64
}

func (s *slow) Next(buf []uint64) (int, error) {
	s.reading.Store(true)
	defer s.reading.Store(false)
	time.Sleep(time.Millisecond)
	for i := range buf {
		s.next++
		buf[i] = s.next
	}
	return len(buf), nil
}

// TestNothingReadsAfterTheEnd ends a count by each side's error while the other
// stream is read ahead.
func TestNothingReadsAfterTheEnd(t *testing.T) {
	torn := errors.New("torn")
	o := correlate.HistogramOptions{Range: 1, Bin: 1}
	for range 5 {
		s := &slow{}
		if _, err := correlate.CountStreams(s, broken{torn}, o); err != torn || s.reading.Load() {
			t.Errorf("B torn: %v, A being read: %v", err, s.reading.Load())
		}
		if _, err := correlate.CountStreams(broken{torn}, s, o); err != torn || s.reading.Load() {
			t.Errorf("A torn: %v, B being read: %v", err, s.reading.Load())
		}
		unsorted := tag.NewReader([]uint64{2, 1})
		if _, err := correlate.CountStreams(s, unsorted, o); err == nil || s.reading.Load() {
			t.Errorf("B unsorted: %v, A being read: %v", err, s.reading.Load())
		}
	}
}

func TestEmptyStreams(t *testing.T) {
	o := correlate.HistogramOptions{Range: 10, Bin: 5}
	for _, tt := range []struct{ a, b []uint64 }{{nil, nil}, {[]uint64{1}, nil}, {nil, []uint64{1}}, {[]uint64{}, []uint64{}}} {
		whole, err1 := correlate.Count(tt.a, tt.b, o)
		parts, err2 := correlate.CountStreams(tag.NewReader(tt.a), tag.NewReader(tt.b), o)
		want := correlate.Histogram{Start: -10, Bin: 5, Counts: make([]uint64, 4), TagsA: uint64(len(tt.a)), TagsB: uint64(len(tt.b))}
		if diff := cmp.Diff([]correlate.Histogram{want, want}, []correlate.Histogram{whole, parts}); err1 != nil || err2 != nil || diff != "" {
			t.Errorf("%v and %v: %v, %v, %s", tt.a, tt.b, err1, err2, diff)
		}
	}
}
