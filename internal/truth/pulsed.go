package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
)

// pulsed are sources that emit with the pulses of a laser.
var pulsed = table{name: "pulsed", about: "pulsed light of random periods, 12 ns to 1 ms: no answer may be a wrong pulse", run: func(r *report) {
	r.row("light", "records", "right", "refused", "refused though solvable", "solvable", "false", "largest pull")
	for _, bright := range []bool{false, true} {
		name := "at most 0.3 clicks a pulse"
		if bright {
			name = "brighter"
		}
		n := r.seeds(80, 2)
		all := make([]pulsedAnswer, n)
		each(n, func(i int) { all[i] = answerPulsed(randomPulses(r.seed(71_000+i), bright), align.DefaultSearch) })
		missed, solvable := 0, 0
		for i, a := range all {
			if a.z >= 10 {
				solvable++
				if a.err != nil {
					missed++
				}
			}
			if r.verbose {
				fmt.Println(i, a)
			}
		}
		t := tallyOf(all, func(a pulsedAnswer) bool { return math.Abs(a.off()) > 1e4 })
		r.row(name, n, t.right, t.refused(), missed, solvable, t.wrong, largest(t.pulls))
		r.want(t.wrong == 0, "%s: %d answers are a wrong pulse", name, t.wrong)
		r.want(20*missed <= solvable, "%s: %d of %d are refused though the main pulse stands out by 10 standard deviations", name, missed, solvable)
	}
}}

// randomPulses is one of very different pulsed sources.
func randomPulses(seed uint64, bright bool) pairs.Experiment {
	rng := rand.New(rand.NewPCG(seed, 71))
	period := 12e3 * math.Pow(1e9/12e3, rng.Float64())
	singles := 30e3
	if rng.IntN(2) == 0 {
		singles = 100e3
	}
	e := pairs.Experiment{Seed: seed, Seconds: 4 + 8*rng.Float64(), PulsePeriod: period, PulseWidth: 50,
		Frequency: 2e-5 * (rng.Float64() - 0.5), Offset: int64(2e10 * (rng.Float64() - 0.5))}
	if bright {
		singles = min(singles, 4e12/period) // clicks a pulse
		e.DeadTime = period * float64(rng.IntN(2)) * rng.Float64()
	} else {
		singles = min(singles, 0.3e12/period)
		e.DeadTime = period * rng.Float64()
	}
	e.SinglesA, e.SinglesB, e.Pairs = singles, singles, singles/6*math.Pow(0.02, rng.Float64())
	e.EtaA, e.EtaB = 0.3, 0.3
	light := (0.5+0.5*rng.Float64())*singles - e.Pairs/0.3
	e.PulsedA, e.PulsedB = max(light, 0), max(light, 0)
	return e
}

// pulsedAnswer is what is said of pulsed light.
type pulsedAnswer struct {
	answer
	e       pairs.Experiment
	z, main float64 // by which the main pulse stands out of its neighbours; its pairs
}

func (a pulsedAnswer) String() string {
	light := fmt.Sprintf("P %.6g us, %.3g/s, %.3g s, dead %.2g P, z %.1f; ", a.e.PulsePeriod/1e6, a.e.SinglesA, a.e.Seconds, a.e.DeadTime/a.e.PulsePeriod, a.z)
	if a.err != nil {
		return light + a.code + ": " + a.err.Error()
	}
	return light + fmt.Sprintf("off %.4g sd %.3g period %.9g, %d pairs, ambiguity %.3g", a.off(), a.OffsetSD, a.Period/1e6, a.Pairs, a.Ambiguity)
}

// answerPulsed aligns an experiment with such a search.
func answerPulsed(e pairs.Experiment, search int64) pulsedAnswer {
	a, b, truth := e.Make()
	out := pulsedAnswer{e: e}
	out.z, out.main = standsOut(a, b, truth)
	found, err := align.Align(context.Background(), a, b, within20ppm(search))
	out.answer = alignedAs(found, truth, err)
	if err != nil && !errors.As(err, new(*align.Refusal)) {
		panic(err) // there is no limit that these come near
	}
	return out
}

// tally is how many answers of each kind there are.
type tally struct {
	right, ambiguous, otherwise, wrong int
	pulls                              []float64 // of the right ones
}

func (t tally) refused() int { return t.ambiguous + t.otherwise }

// tallyOf counts answers; wrong says which of them are false.
func tallyOf(all []pulsedAnswer, wrong func(a pulsedAnswer) bool) (t tally) {
	for _, a := range all {
		switch {
		case a.code == "ambiguous":
			t.ambiguous++
		case a.err != nil:
			t.otherwise++
		case wrong(a):
			t.wrong++
		default:
			t.right++
			t.pulls = append(t.pulls, a.pull())
		}
	}
	return t
}

// standsOut is by how many standard deviations the main pulse stands out of
// those beside it, to who knows the clock, and how many pairs it has.
func standsOut(a, b []uint64, truth pairs.Truth) (z, main float64) {
	const aside = 12
	var counts [2*aside + 1]float64
	on := make([]uint64, len(b))
	for i, t := range b {
		on[i] = t - uint64(truth.OffsetAt(t-uint64(truth.Offset)).Whole)
	}
	width := 3 * truth.Sigma
	for k := range counts {
		shift := int64(math.Round(float64(k-aside) * truth.PulsePeriod))
		j := 0
		for _, t := range a {
			for j < len(on) && float64(int64(on[j]-t)-shift) < -width {
				j++
			}
			for i := j; i < len(on) && float64(int64(on[i]-t)-shift) <= width; i++ {
				counts[k]++
			}
		}
	}
	main = counts[aside]
	mean, variance := 0.0, 0.0
	for k, n := range counts {
		if k != aside {
			mean += n / (2 * aside)
		}
	}
	for k, n := range counts {
		if k != aside {
			variance += (n - mean) * (n - mean) / (2 * aside)
		}
	}
	return (main - mean) / math.Sqrt(max(variance, mean, 1)), main
}
