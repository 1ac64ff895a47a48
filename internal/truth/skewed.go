package main

import (
	"math"

	"tsrun/internal/pairs"
)

// skewed are peaks that are not normal. Their centre is the same whatever the
// background, and whether the clock is straight or followed, and it is said that
// they are not normal.
var skewed = table{name: "skewed", about: "peaks of other shapes, 5000 pairs a second in 30 and 300 thousand counts, straight and followed, 212 ps beside the tails, 12 s", run: func(r *report) {
	r.row("shape", "records of each", "refused", "centre ps", "in 300 k", "followed", "followed in 300 k", "largest difference in its sd", "scatter over sd", "warned")
	for i, c := range []struct {
		name   string
		e      pairs.Experiment
		warned bool
	}{
		{"normal", pairs.Experiment{}, false},
		{"exponential tail 300 ps", pairs.Experiment{TailB: 300}, true},
		{"20 % in a 1 ns tail", pairs.Experiment{TailB: 1000, TailShare: 0.2}, true},
		// Tops that far apart may also be refused as several paths to a detector.
		{"delays 0, 3, 4.5, 7.5 ns", pairs.Experiment{DelaysA: []float64{0, 3000}, DelaysB: []float64{0, 4500}}, true},
	} {
		n := r.seeds(10, 1)
		if r.part && i > 1 {
			continue
		}
		skewedRow(r, n, c.name, c.e, c.warned)
	}
}}

func skewedRow(r *report, n int, name string, e pairs.Experiment, warned bool) {
	var centres [4][]float64
	var sds [4]float64
	refused, unclear, told := 0, 0, 0
	for k, singles := range []float64{30e3, 300e3, 30e3, 300e3} {
		if r.part && k == 1 {
			continue
		}
		found := make([]answer, n)
		each(n, func(i int) {
			e := e
			e.Seed, e.Seconds, e.SinglesA, e.SinglesB, e.Offset = r.seed(7000+10*i+k), 12, singles, singles, 5_000_000_000
			if k > 1 {
				e.Sine, e.SinePeriod = 3000, 7
			}
			found[i] = aligned(e, within20ppm(6*millisecond))
		})
		for _, f := range found {
			if f.err != nil {
				refused++
				if f.code == "ambiguous" && len(e.DelaysA)*len(e.DelaysB) > 1 {
					unclear++
				}
				continue
			}
			centres[k] = append(centres[k], f.off())
			sds[k] = math.Hypot(sds[k], f.OffsetSD)
			if f.Warning != "" {
				told++
			}
		}
		sds[k] /= math.Sqrt(float64(len(centres[k])))
	}
	apart, scatter := spread(centres, sds)
	r.row(name, n, refused, mean(centres[0]), mean(centres[1]), mean(centres[2]), mean(centres[3]), apart, scatter, told)
	r.want(refused == unclear && 10*unclear <= 4*n, "%s: %d refused, %d of these as ambiguous", name, refused, unclear)
	r.want(apart < 3, "%s: centres %.1f sd apart", name, apart)
	r.want(r.part || scatter < 1.5, "%s: centres scatter by %.2f of what is stated", name, scatter)
	all := n * 4
	if r.part {
		all = n * 3
	}
	r.want(told == map[bool]int{true: all - refused}[warned], "%s: %d of %d warned", name, told, all-refused)
}

// spread is how many deviations the centres of different records are apart at
// most, and by how much those of one record scatter.
func spread(centres [4][]float64, sds [4]float64) (apart, scatter float64) {
	for k := range centres {
		for j := range k {
			if len(centres[k]) > 0 && len(centres[j]) > 0 { // of one record against another
				apart = max(apart, math.Abs(mean(centres[k])-mean(centres[j]))/math.Hypot(sds[k], sds[j]))
			}
		}
		var about []float64
		for _, c := range centres[k] {
			about = append(about, (c-mean(centres[k]))/sds[k])
		}
		if len(about) > 1 {
			scatter = max(scatter, rms(about))
		}
	}
	return apart, scatter
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}
