package track_test

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"tsrun/internal/pairs"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/quantity"
	"tsrun/pipeline/track"
)

// seedOf is what a search would say of an experiment's clock in mid-record.
func seedOf(tr pairs.Truth) track.Seed {
	middle := tr.From + (tr.To-tr.From)/2
	f := tr.FrequencyBetween(middle-500_000_000_000, middle+500_000_000_000)
	return track.Seed{
		Line:     correlate.Line{Reference: middle, Offset: tr.OffsetAt(middle).Whole + 37, Frequency: quantity.Drift(math.Round(f * 1e15))},
		OffsetSD: 50, FrequencySD: 1e-10, Jitter: 1.2 * tr.Sigma, PairRate: tr.Pairs,
	}
}

type errs struct{ knots, chi, between, chiBetween, line float64 }

func judge(t *testing.T, tr pairs.Truth, k *track.Track) (e errs) {
	c, err := k.Correction()
	if err != nil {
		t.Fatal(err)
	}
	n := 0.0
	for _, q := range k.Knots {
		if q.Time < tr.From || q.Time > tr.To {
			continue
		}
		d := q.Offset.Minus(tr.OffsetAt(q.Time))
		e.knots += d * d
		e.chi += d * d / q.OffsetSD / q.OffsetSD
		n++
	}
	e.knots, e.chi = math.Sqrt(e.knots/n), math.Sqrt(e.chi/n)
	n = 0
	for i := range 5000 {
		at := tr.From + uint64(float64(tr.To-tr.From)*(float64(i)+0.5)/5000)
		o, sd := k.At(at)
		d := o.Minus(tr.OffsetAt(at))
		e.between += d * d
		e.chiBetween += d * d / sd / sd
		d = quantity.NewFine(c.OffsetAt(at), 0).Minus(tr.OffsetAt(at))
		e.line += d * d
		n++
	}
	e.between, e.chiBetween, e.line = math.Sqrt(e.between/n), math.Sqrt(e.chiBetween/n), math.Sqrt(e.line/n)
	return e
}

func TestExplore(t *testing.T) {
	for _, c := range []struct {
		name string
		e    pairs.Experiment
	}{
		{"straight", pairs.Experiment{Seconds: 12, Frequency: 1e-7}},
		{"straight60", pairs.Experiment{Seconds: 60, Frequency: 1e-7}},
		{"ocxo", pairs.Experiment{Seconds: 60, WhiteFM: 5e-12, RandomWalkFM: 2e-12, Frequency: 2e-8}},
		{"tcxo", pairs.Experiment{Seconds: 60, WhiteFM: 1e-10, RandomWalkFM: 1e-10, Frequency: 2e-8}},
		{"quartz", pairs.Experiment{Seconds: 60, WhiteFM: 1e-9, RandomWalkFM: 1e-9, Frequency: 2e-8}},
		{"bad", pairs.Experiment{Seconds: 60, WhiteFM: 3e-9, RandomWalkFM: 1e-8, Frequency: 2e-8}},
		{"ddf", pairs.Experiment{Seconds: 60, Drift: 1e-9}},
		{"sine", pairs.Experiment{Seconds: 60, Sine: 20e3, SinePeriod: 20}},
		{"weak", pairs.Experiment{Seconds: 60, Pairs: 200, WhiteFM: 5e-12, RandomWalkFM: 2e-12}},
		{"steps", pairs.Experiment{Seconds: 60, WhiteFM: 5e-12, RandomWalkFM: 2e-12, Steps: []pairs.Step{{At: 5.0123, Size: 400}, {At: 12.3, Size: 3000}, {At: 22.2, Size: -100e3}, {At: 33.3, Size: 2e6}, {At: 40, Size: 3e9}, {At: 50, Size: 1e9}}}},
		{"gap", pairs.Experiment{Seconds: 60, WhiteFM: 1e-10, RandomWalkFM: 1e-10, NoPairs: []pairs.Span{{From: 10, To: 13}, {From: 40, To: 41}}}},
	} {
		for seed := range uint64(2) {
			c.e.Seed = 1000 + seed
			a, b, tr := c.e.Make()
			began := time.Now()
			k, err := track.Follow(context.Background(), a, b, seedOf(tr))
			took := time.Since(began)
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
				continue
			}
			e := judge(t, tr, k)
			cc, _ := k.Correction()
			fmt.Printf("%-10s %4.0f ms knots rms %.2f z %.2f between %.2f z %.2f line %.2f | tau %.1f ms n %d lost %d/%d sigma %.1f pairs %.0f/%d acc %.0f noise %.2g %.2g chi2 %.2f lines %d\n", c.name, took.Seconds()*1e3,
				e.knots, e.chi, e.between, e.chiBetween, e.line, k.Slice*1e3, len(k.Knots), k.Lost, k.Slices, k.Jitter, k.Pairs, tr.Recorded, k.Accidentals, k.Noise.WhiteFM, k.Noise.RandomWalkFM, k.ChiSquare/float64(k.Freedom), len(cc.Lines()))
			for _, s := range k.Steps {
				fmt.Printf("    step %.6f s +- %.2f ms  %.1f +- %.1f ps\n", float64(s.Time-tr.Start)/1e12, s.TimeSD/1e9, s.Offset, s.OffsetSD)
			}
			for _, s := range k.Gaps {
				fmt.Printf("    gap %.6f %.6f s\n", float64(s.From-tr.Start)/1e12, float64(s.To-tr.Start)/1e12)
			}
			if seed == 0 {
				for _, s := range k.Allan {
					fmt.Printf("    adev %.3f s %.3g +- %.2g floor %.2g\n", s.Tau, s.Deviation, s.SD, s.Floor)
				}
				for _, s := range k.Quarters {
					fmt.Printf("    quarter %.2f +- %.2f width %.1f n %.0f\n", s.Centre, s.CentreSD, s.Width, s.Pairs)
				}
			}
		}
	}
}
