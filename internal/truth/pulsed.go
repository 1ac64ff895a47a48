package main

import (
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
		n := r.seeds(80, 3)
		all := make([]pulsedAnswer, n)
		each(n, func(i int) { all[i] = answerPulsed(randomPulses(r.seed(71_000+i), bright)) })
		var right, refused, missed, solvable, wrong int
		var pulls []float64
		for i, a := range all {
			switch {
			case a.refused && a.z >= 10:
				missed++
				fallthrough
			case a.refused:
				refused++
			case math.Abs(a.off) > 1e4:
				wrong++
			default:
				right++
				pulls = append(pulls, a.off/a.sd)
			}
			if a.z >= 10 {
				solvable++
			}
			if r.verbose {
				fmt.Println(i, a)
			}
		}
		r.row(name, n, right, refused, missed, solvable, wrong, largest(pulls))
		r.want(wrong == 0, "%s: %d answers are a wrong pulse", name, wrong)
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

type pulsedAnswer struct {
	e       pairs.Experiment
	refused bool
	code    string
	why     string
	z, main float64 // by which the main pulse stands out of its neighbours; its pairs
	off, sd float64
	period  float64
}

func (a pulsedAnswer) String() string {
	return fmt.Sprintf("P %.6g us, %.3g/s, %.3g s, dead %.2g P, z %.1f; off %.4g sd %.3g period %.9g %s",
		a.e.PulsePeriod/1e6, a.e.SinglesA, a.e.Seconds, a.e.DeadTime/a.e.PulsePeriod, a.z, a.off, a.sd, a.period/1e6, a.why)
}

func answerPulsed(e pairs.Experiment) pulsedAnswer { return answerWithin(e, align.DefaultSearch) }

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
