package track_test

import (
	"context"
	"errors"
	"math"
	"testing"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// seedAt is what a search would say of an experiment's clock at a time: a
// little wrong, and as sure of itself as that.
func seedAt(tr pairs.Truth, at uint64) track.Seed {
	frequency := tr.FrequencyBetween(at-500_000_000_000, at+500_000_000_000)
	return track.Seed{
		Line:     correlate.Line{Reference: at, Offset: tr.OffsetAt(at).Whole + 37, Frequency: quantity.Drift(math.Round(frequency * 1e15))},
		OffsetSD: 50, FrequencySD: 1e-10, Jitter: 1.2 * tr.Sigma, PairRate: tr.Pairs,
	}
}

func middle(tr pairs.Truth) uint64 { return tr.From + (tr.To-tr.From)/2 }

// follow plays an experiment and follows its clock from the middle.
func follow(t testing.TB, e pairs.Experiment) (*track.Track, pairs.Truth) {
	t.Helper()
	a, b, tr := e.Make()
	k, err := track.Follow(context.Background(), a, b, seedAt(tr, middle(tr)))
	if err != nil {
		t.Fatalf("seed %d: %v", e.Seed, err)
	}
	return k, tr
}

// errorsOf compares a track with the truth at times all over the record: root
// mean squares of the error, in ps, and of the error in its standard deviations.
func errorsOf(k *track.Track, tr pairs.Truth) (rms, scaled float64) {
	const n = 4000
	for i := range n {
		at := tr.From + uint64(float64(tr.To-tr.From)*(float64(i)+0.5)/n)
		offset, sd := k.At(at)
		d := offset.Minus(tr.OffsetAt(at))
		rms += d * d
		scaled += d * d / (sd * sd)
	}
	return math.Sqrt(rms / n), math.Sqrt(scaled / n)
}

// clocks wander in the ways of the field's clocks.
var clocks = []struct {
	name  string
	clock pairs.Experiment
	bound float64 // ps, rms
}{
	{"OCXO", pairs.Experiment{WhiteFM: 5e-12, RandomWalkFM: 2e-12, Frequency: 2e-8}, 4},
	{"TCXO", pairs.Experiment{WhiteFM: 1e-10, RandomWalkFM: 1e-10}, 20},
	{"quartz", pairs.Experiment{WhiteFM: 1e-9, RandomWalkFM: 1e-9}, 45},
	{"ageing", pairs.Experiment{Drift: 1e-9}, 8},
	{"sine", pairs.Experiment{Sine: 20e3, SinePeriod: 20}, 8},
}

func TestFollowsWanderingClocks(t *testing.T) {
	for _, c := range clocks {
		t.Run(c.name, func(t *testing.T) {
			c.clock.Seconds, c.clock.Seed = 12, 31
			k, tr := follow(t, c.clock)
			if rms, scaled := errorsOf(k, tr); rms > 1.3*c.bound || scaled > 1.7 { // a fifth of the record that the bound is for: few errors are independent
				t.Errorf("x(t) is wrong by %.2f ps rms, %.2f of its standard deviations", rms, scaled)
			}
			if len(k.Steps)+len(k.Gaps)+k.Lost > 0 {
				t.Errorf("steps %v, gaps %v, %d lost slices in a whole record", k.Steps, k.Gaps, k.Lost)
			}
			if math.Abs(k.Jitter-tr.Sigma) > 0.03*tr.Sigma || math.Abs(k.Pairs-float64(tr.Recorded)) > 0.02*float64(tr.Recorded) {
				t.Errorf("jitter %.1f ps of %.1f, %.0f pairs of %d", k.Jitter, tr.Sigma, k.Pairs, tr.Recorded)
			}
			for i, q := range k.Quarters {
				if math.Abs(q.Centre) > 5*q.CentreSD || math.Abs(q.Width-k.Jitter) > 0.05*k.Jitter {
					t.Errorf("quarter %d of the corrected record: %.2f +- %.2f ps, width %.1f of %.1f", i, q.Centre, q.CentreSD, q.Width, k.Jitter)
				}
			}
		})
	}
}

// TestStraightClock compares the line through all slices with the Cramér-Rao
// bound.
func TestStraightClock(t *testing.T) {
	sum := 0.0
	const seeds = 12
	for seed := range uint64(seeds) {
		k, tr := follow(t, pairs.Experiment{Seconds: 4, Frequency: 1e-7, Seed: 50 + seed})
		d := k.Straight.Offset.Minus(tr.OffsetAt(k.Straight.Time)) / tr.OffsetBound(middle(tr))
		sum += d * d
		if k.ChiSquare > 2*float64(k.Freedom) || math.Abs(k.Straight.Frequency-100) > 6*k.Straight.FrequencySD {
			t.Errorf("chi-square %.1f of %d, frequency %.6f +- %.6f ppb", k.ChiSquare, k.Freedom, k.Straight.Frequency, k.Straight.FrequencySD)
		}
	}
	if ratio := math.Sqrt(sum / seeds); ratio < 0.5 || ratio > 1.5 {
		t.Errorf("error is %.2f of the bound", ratio)
	}
}

func TestStandardDeviationsAreHonest(t *testing.T) {
	for _, c := range clocks[:3] {
		sum := 0.0
		const seeds = 6
		for seed := range uint64(seeds) {
			c.clock.Seconds, c.clock.Seed = 6, 70+seed
			k, tr := follow(t, c.clock)
			_, scaled := errorsOf(k, tr)
			sum += scaled * scaled
		}
		if ratio := math.Sqrt(sum / seeds); ratio < 0.7 || ratio > 1.35 {
			t.Errorf("%s: errors are %.2f of their standard deviations", c.name, ratio)
		}
	}
}

func TestShortAndFaintRecords(t *testing.T) {
	for _, e := range []pairs.Experiment{
		{Seconds: 0.05, Seed: 14},
		{Seconds: 40, Pairs: 10, SinglesA: 20e3, SinglesB: 20e3, Seed: 15},
		{Seconds: 1, Pairs: 50e3, SinglesA: 300e3, SinglesB: 300e3, Seed: 16},
	} {
		k, tr := follow(t, e)
		if rms, scaled := errorsOf(k, tr); rms > 5*tr.OffsetBound(middle(tr)) || scaled > 3 || k.Lost > 0 {
			t.Errorf("%g s, %g pairs/s: wrong by %.2f ps rms, %.2f of its standard deviations; bound %.2f; %d slices lost", e.Seconds, e.Pairs, rms, scaled, tr.OffsetBound(middle(tr)), k.Lost)
		}
	}
}

func TestGapIsToldAndBridged(t *testing.T) {
	k, tr := follow(t, pairs.Experiment{Seconds: 12, WhiteFM: 1e-10, RandomWalkFM: 1e-10, Seed: 3,
		NoPairs: []pairs.Span{{From: 2, To: 4}}, NoB: []pairs.Span{{From: 8, To: 9}}})
	if len(k.Gaps) != 2 || len(k.Steps) != 0 {
		t.Fatalf("gaps %v, steps %v", k.Gaps, k.Steps)
	}
	for i, want := range [][2]float64{{2, 4}, {8, 9}} {
		from, to := float64(k.Gaps[i].From-tr.Start)/1e12, float64(k.Gaps[i].To-tr.Start)/1e12
		if math.Abs(from-want[0]) > 0.07 || math.Abs(to-want[1]) > 0.07 {
			t.Errorf("gap from %.3f to %.3f s", from, to)
		}
	}
	_, before := k.At(tr.Start + 1.5e12)
	at := tr.Start + 3e12
	offset, within := k.At(at)
	if within < 3*before || within > 300 {
		t.Errorf("%.1f ps before the gap, %.1f ps within", before, within)
	}
	if d := offset.Minus(tr.OffsetAt(at)); math.Abs(d) > 4*within {
		t.Errorf("off by %.1f ps where %.1f are stated", d, within)
	}
	_, end := k.At(tr.To)
	_, later := k.At(tr.To + 5e12)
	if later < 3*end {
		t.Errorf("%.1f ps at the end, %.1f ps 5 s later", end, later)
	}
}

func TestFollowRefuses(t *testing.T) {
	a, b, tr := pairs.Experiment{Seconds: 2, Pairs: -1, Seed: 9}.Make()
	tr.Pairs = 5000
	seed := seedAt(tr, middle(tr))
	if _, err := track.Follow(context.Background(), a, b, seed); !errors.Is(err, track.ErrLost) {
		t.Errorf("no pairs: %v", err)
	}
	if _, err := track.Follow(context.Background(), nil, b, seed); !errors.Is(err, track.ErrLost) {
		t.Errorf("no tags: %v", err)
	}
	stop := errors.New("enough")
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(stop)
	if _, err := track.Follow(ctx, a, b, seed); !errors.Is(err, stop) {
		t.Errorf("stopped: %v", err)
	}
	seed.Line.Frequency = 2 * correlate.MaxDrift
	var limit *correlate.LimitError
	if _, err := track.Follow(context.Background(), a, b, seed); !errors.As(err, &limit) {
		t.Errorf("2000 ppm: %v", err)
	}
}

// TestFollowIsDeterministic runs both directions at once, several times.
func TestFollowIsDeterministic(t *testing.T) {
	e := pairs.Experiment{Seconds: 3, WhiteFM: 1e-10, Seed: 5}
	first, _ := follow(t, e)
	again, _ := follow(t, e)
	for i := range first.Knots {
		if len(again.Knots) != len(first.Knots) || first.Knots[i] != again.Knots[i] {
			t.Fatalf("knot %d of %d differs", i, len(first.Knots))
		}
	}
}
