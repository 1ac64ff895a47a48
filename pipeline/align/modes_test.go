package align_test

import (
	"context"
	"errors"
	"math"
	"reflect"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/sdk/quantity"
)

// TestAlignThroughTrouble is of records that are not as they should be, but
// still tell.
func TestAlignThroughTrouble(t *testing.T) {
	tests := []struct {
		name   string
		e      pairs.Experiment
		search int64
	}{
		{"dead time and afterpulses", pairs.Experiment{Seconds: 2, DeadTime: 50_000, Afterpulse: 0.03, Frequency: 1e-6}, 20 * ms},
		{"pulses of 80 MHz", pairs.Experiment{Seconds: 2, PulsePeriod: 12_500, PulseWidth: 20, Frequency: 1e-7}, 20 * ms},
		{"pulses of 1 MHz", pairs.Experiment{Seconds: 2, PulsePeriod: 1e6, PulseWidth: 50, Frequency: 1e-7}, 20 * ms},
		{"light leaks of 50 Hz", pairs.Experiment{Seconds: 2, Flicker: 0.9, Frequency: 1e-6}, 20 * ms},
		{"light leaks of 100 Hz over a weaker source", pairs.Experiment{Seconds: 2, Pairs: 3e3, Flicker: 1, FlickerHz: 100, Frequency: 1e-7}, 20 * ms},
		{"dark in the middle", pairs.Experiment{Seconds: 3, NoPairs: []pairs.Span{{From: 1.2, To: 1.9}}, Frequency: 1e-7}, 20 * ms},
		{"A lost tags in the middle", pairs.Experiment{Seconds: 3, NoA: []pairs.Span{{From: 1.2, To: 1.9}}, Frequency: 1e-7}, 20 * ms},
		{"dark at the beginning and at the end", pairs.Experiment{Seconds: 3, NoPairs: []pairs.Span{{From: 0, To: 0.8}, {From: 2.5, To: 3}}}, 20 * ms},
		{"longer search than record", pairs.Experiment{Seconds: 0.5, Offset: -700_000_000_123}, 2 * second},
		{"an overlap of 15 ms", pairs.Experiment{Seconds: 0.5, Pairs: 20e3, LateB: 0.485, Offset: ms}, 2 * ms},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.e.Seed = uint64(26_000 + i)
			r, truth := aligned(t, test.e, test.search, 20*ppm)
			if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); math.Abs(off) > 4*truth.OffsetBound(r.Reference)+0.5 {
				t.Errorf("offset is off by %.3f ps, the bound is %.3f", off, truth.OffsetBound(r.Reference))
			}
			if off := r.Frequency*1e-9 - truth.Frequency; math.Abs(off) > 4*truth.FrequencyBound()+0.5/float64(truth.To-truth.From) {
				t.Errorf("frequency is off by %.3g, the bound is %.3g", off, truth.FrequencyBound())
			}
		})
	}
}

// TestAlignIsNeverFooled is of records that say nothing, or not which of many
// answers is right.
func TestAlignIsNeverFooled(t *testing.T) {
	tests := []struct {
		name   string
		e      pairs.Experiment
		search int64
		drift  quantity.Drift
	}{
		{"flickering light, no pairs", pairs.Experiment{Seconds: 0.5, Pairs: -1, Flicker: 1}, 20 * ms, 20 * ppm},
		{"an overlap of 5 ms", pairs.Experiment{Seconds: 0.5, Pairs: 20e3, LateB: 0.495, Offset: ms}, 2 * ms, ppm},
	}
	for i, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			test.e.Seed = uint64(27_000 + i)
			refuses(t, test.e, align.Options{Search: test.search, MaxDrift: test.drift})
		})
	}
}

func refuses(t *testing.T, e pairs.Experiment, o align.Options) {
	t.Helper()
	a, b, _ := e.Make()
	r, err := align.Align(context.Background(), a, b, o)
	var refusal *align.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("%+v, %+v: got %+v, %v", e, o, r, err)
	}
	t.Log(refusal.Code, refusal)
}

// TestAlignOfCoarseTags rounds tags to the clock of slow electronics: many are
// equal.
func TestAlignOfCoarseTags(t *testing.T) {
	const grid = 4096 // ps
	a, b, truth := pairs.Experiment{Seed: 28_000, Seconds: 1, SinglesA: 3e5, SinglesB: 3e5, Pairs: 2e4, Frequency: 1e-6}.Make()
	for i := range a {
		a[i] -= a[i] % grid
	}
	for i := range b {
		b[i] -= b[i] % grid
	}
	b = append(b[:1000:1000], b[999:]...) // and one tag twice
	r, err := align.Align(context.Background(), a, b, align.Options{Search: 20 * ms, MaxDrift: 20 * ppm})
	if err != nil {
		t.Fatal(err)
	}
	t.Log(compare(r, truth))
	sd := grid / math.Sqrt(6) / math.Sqrt(float64(truth.Recorded)) // of the mean of two rounded tags' difference
	if off := r.Offset.Minus(truth.OffsetAt(r.Reference)); math.Abs(off) > 5*sd || r.OffsetSD > 2*sd {
		t.Errorf("offset is off by %g ps, said to be %g, should be %g", off, r.OffsetSD, sd)
	}
}

func TestAlignDoesNotDependOnCores(t *testing.T) {
	for i, e := range []pairs.Experiment{{Seconds: 1, Frequency: 1e-5}, {Seconds: 1, WhiteFM: 1e-9, RandomWalkFM: 1e-9}, {Seconds: 0.3, Pairs: -1}} {
		e.Seed = uint64(29_000 + i)
		a, b, _ := e.Make()
		o := align.Options{Search: 20 * ms, MaxDrift: ppm * 20}
		cores := runtime.GOMAXPROCS(1)
		alone, aloneErr := align.Align(context.Background(), a, b, o)
		runtime.GOMAXPROCS(max(cores, 2))
		together, err := align.Align(context.Background(), a, b, o)
		runtime.GOMAXPROCS(cores)
		if !reflect.DeepEqual(alone, together) || !reflect.DeepEqual(aloneErr, err) {
			t.Errorf("%+v: one core says\n%+v, %v, two\n%+v, %v", e, alone, aloneErr, together, err)
		}
	}
}

func TestAlignEndsWithItsContext(t *testing.T) {
	a, b, _ := pairs.Experiment{Seconds: 4, Pairs: -1}.Make()
	o := align.Options{Search: 3 * second, MaxDrift: 20 * ppm}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := align.Align(gone, a, b, o); !errors.Is(err, context.Canceled) {
		t.Errorf("a cancelled context gives %v", err)
	}
	short, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	if _, err := align.Align(short, a, b, o); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a context that ends gives %v", err)
	}
}

// asked is a context that ends when it has been asked so often.
type asked struct {
	context.Context
	times atomic.Int64
	most  int64
}

func (a *asked) Err() error {
	if a.times.Add(1) > a.most {
		return context.Canceled
	}
	return nil
}

// TestAlignEndsWhereverItIs ends it in every part of its work: what was not
// looked at is no refusal.
func TestAlignEndsWhereverItIs(t *testing.T) {
	t.Parallel()
	a, b, _ := pairs.Experiment{Seed: 3, Seconds: 0.8, SinglesA: 20e3, SinglesB: 20e3, Offset: 5, Steps: []pairs.Step{{At: 0.3, Size: 60e9}}}.Make()
	ended := func(most int64) (*asked, error) {
		ctx := &asked{Context: t.Context(), most: most}
		_, err := align.Align(ctx, a, b, align.Options{Search: 2_000_000_000, MaxDrift: align.DefaultMaxDrift})
		return ctx, err
	}
	whole, err := ended(1 << 40)
	var refusal *align.Refusal
	if !errors.As(err, &refusal) || refusal.Code != "not-straight" {
		t.Fatalf("of the whole record: %v", err)
	}
	n := whole.times.Load()
	for _, most := range []int64{n / 8, n / 2, n * 7 / 8, n - 1} {
		if _, err := ended(most); !errors.Is(err, context.Canceled) {
			t.Errorf("ended after %d of %d questions: %v", most, n, err)
		}
	}
}
