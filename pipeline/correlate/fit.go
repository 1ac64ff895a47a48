package correlate

import (
	"math"
	"slices"
)

// PeakFit is a Gaussian over a level, as bins of a histogram show it: the most likely
// one of counts that scatter as Poisson's do, integrated over each bin. Where the bins
// are further from it than counts scatter, the deviations are as much larger. Three of
// them hold in 99 %.
type PeakFit struct {
	Centre    float64 `json:"centre_ps"`
	CentreSD  float64 `json:"centre_sd_ps"`
	Sigma     float64 `json:"sigma_ps"` // standard deviation of the Gaussian
	SigmaSD   float64 `json:"sigma_sd_ps"`
	Counts    float64 `json:"counts"` // in the Gaussian
	CountsSD  float64 `json:"counts_sd"`
	Level     float64 `json:"level"` // counts per bin beside it
	LevelSD   float64 `json:"level_sd"`
	ChiSquare float64 `json:"chi_square"` // of the bins about the fit
	Freedom   int     `json:"freedom"`    // its degrees of freedom
}

const (
	fitRounds    = 200
	fewestBins   = 8
	fewestCounts = 20
	fitSure      = 5.0  // standard deviations of its counts are a peak
	leastLevel   = 1e-6 // counts per bin, so that every bin may have one
	leastSigma   = 0.3  // bins: a narrower one has no width that bins could tell
)

// FitPeak fits the highest peak of counts, the first of whose bins begins at start; nil
// where none stands out, or none that the bins could tell the width of.
func FitPeak(start, bin int64, counts []uint64) *PeakFit {
	total := uint64(0)
	for _, n := range counts {
		total += n
	}
	if len(counts) < fewestBins || total < fewestCounts || bin < 1 {
		return nil
	}
	f := firstGuess(counts)
	best := f.deviance(counts)
	for damping, round := 1e-3, 0; round < fitRounds && damping < 1e12; round++ {
		matrix, pull := f.information(counts)
		for i := range matrix {
			matrix[i][i] *= 1 + damping
		}
		inverse, ok := invert(matrix)
		if !ok {
			return nil
		}
		next := f.moved(inverse, pull)
		d := next.deviance(counts)
		if !(d <= best) {
			damping *= 10
			continue
		}
		gained := best - d
		f, best, damping = next, d, damping/10
		if gained < 1e-9 {
			break
		}
	}
	return f.told(start, bin, counts)
}

// gaussian is a peak in bins: the first lies from 0 to 1.
type gaussian struct{ level, area, centre, sigma float64 }

// firstGuess is a peak about the highest bin.
func firstGuess(counts []uint64) gaussian {
	sorted := slices.Sorted(slices.Values(counts))
	level := max(float64(sorted[len(sorted)/2]), 0.1)
	highest := 0
	for k, n := range counts {
		if n > counts[highest] {
			highest = k
		}
	}
	above := func(k int) bool {
		return k >= 0 && k < len(counts) && float64(counts[k]) > (level+float64(counts[highest]))/2
	}
	low, high := highest, highest
	for above(low - 1) {
		low--
	}
	for above(high + 1) {
		high++
	}
	sigma := float64(high-low+1) / 2.355
	return gaussian{level, max(float64(counts[highest])-level, 1) * sigma * math.Sqrt(2*math.Pi), float64(low+high+1) / 2, sigma}
}

// at is what is expected in bin k, and how that grows with each number.
func (f gaussian) at(k int) (mu float64, grows [4]float64) {
	low, high := (float64(k)-f.centre)/f.sigma, (float64(k)+1-f.centre)/f.sigma
	part := (math.Erf(high/math.Sqrt2) - math.Erf(low/math.Sqrt2)) / 2
	density := func(x float64) float64 { return math.Exp(-x*x/2) / math.Sqrt(2*math.Pi) }
	grows = [4]float64{1, part, f.area * (density(low) - density(high)) / f.sigma, f.area * (low*density(low) - high*density(high)) / f.sigma}
	return f.level + f.area*part, grows
}

// deviance is how unlikely the counts are; the likeliest peak has the least.
func (f gaussian) deviance(counts []uint64) (sum float64) {
	if !(f.level > 0) || !(f.area > 0) || !(f.sigma > 0.05) || f.sigma > float64(len(counts)) || f.centre < 0 || f.centre > float64(len(counts)) {
		return math.Inf(1)
	}
	for k, n := range counts {
		mu, _ := f.at(k)
		sum += mu
		if n > 0 {
			sum += float64(n) * math.Log(float64(n)/mu)
			sum -= float64(n)
		}
	}
	return sum
}

// information is Fisher's, and the gradient of the likelihood.
func (f gaussian) information(counts []uint64) (matrix [4][4]float64, pull [4]float64) {
	for k, n := range counts {
		mu, grows := f.at(k)
		for i := range grows {
			pull[i] += grows[i] * (float64(n) - mu) / mu
			for j := range grows {
				matrix[i][j] += grows[i] * grows[j] / mu
			}
		}
	}
	return matrix, pull
}

func (f gaussian) moved(inverse [4][4]float64, pull [4]float64) gaussian {
	var by [4]float64
	for i := range by {
		for j := range pull {
			by[i] += inverse[i][j] * pull[j]
		}
	}
	return gaussian{max(f.level+by[0], f.level/10, leastLevel), f.area + by[1], f.centre + by[2], max(f.sigma+by[3], f.sigma/2)}
}

// told is a peak that the counts show, in ps.
func (f gaussian) told(start, bin int64, counts []uint64) *PeakFit {
	matrix, _ := f.information(counts)
	covariance, ok := invert(matrix)
	if !ok {
		return nil
	}
	chi := 0.0
	for k, n := range counts {
		mu, _ := f.at(k)
		chi += (float64(n) - mu) * (float64(n) - mu) / mu
	}
	freedom := len(counts) - 4
	wider := math.Sqrt(max(1, chi/float64(freedom)))
	sd := func(i int) float64 { return wider * math.Sqrt(covariance[i][i]) }
	inPs := float64(bin)
	p := &PeakFit{
		Centre: float64(start) - 0.5 + f.centre*inPs, CentreSD: sd(2) * inPs, // a whole ps stands for half of it to both sides
		Sigma: f.sigma * inPs, SigmaSD: sd(3) * inPs, Counts: f.area, CountsSD: math.Hypot(sd(1), math.Sqrt(fewCounted)), Level: f.level, LevelSD: math.Hypot(sd(0), math.Sqrt(fewCounted)/float64(len(counts))),
		ChiSquare: chi, Freedom: freedom,
	}
	if f.area < fitSure*p.CountsSD || f.sigma < leastSigma || 4*f.sigma > float64(len(counts)) || math.IsNaN(p.CentreSD+p.SigmaSD+p.LevelSD) {
		return nil
	}
	return p
}

// At is what the fit explains of a bin.
func (p PeakFit) At(lower, bin int64) float64 {
	low, high := (float64(lower)-0.5-p.Centre)/p.Sigma, (float64(lower+bin)-0.5-p.Centre)/p.Sigma
	return p.Level + p.Counts*(math.Erf(high/math.Sqrt2)-math.Erf(low/math.Sqrt2))/2
}

// invert inverts a symmetric matrix by Gauss and Jordan, each row scaled first; false
// where there is no inverse.
func invert(m [4][4]float64) (inverse [4][4]float64, ok bool) {
	var scale [4]float64
	for i := range m {
		if scale[i] = math.Sqrt(m[i][i]); !(scale[i] > 0) || math.IsInf(scale[i], 0) {
			return inverse, false
		}
	}
	for i := range m {
		inverse[i][i] = 1
		for j := range m {
			m[i][j] /= scale[i] * scale[j]
		}
	}
	for i := range m {
		pivot := i
		for r := i + 1; r < 4; r++ {
			if math.Abs(m[r][i]) > math.Abs(m[pivot][i]) {
				pivot = r
			}
		}
		if math.Abs(m[pivot][i]) < 1e-12 {
			return inverse, false
		}
		m[i], m[pivot], inverse[i], inverse[pivot] = m[pivot], m[i], inverse[pivot], inverse[i]
		by := m[i][i]
		for j := range m {
			m[i][j], inverse[i][j] = m[i][j]/by, inverse[i][j]/by
		}
		for r := range m {
			if by := m[r][i]; r != i {
				for j := range m {
					m[r][j], inverse[r][j] = m[r][j]-by*m[i][j], inverse[r][j]-by*inverse[i][j]
				}
			}
		}
	}
	for i := range inverse {
		for j := range inverse {
			inverse[i][j] /= scale[i] * scale[j]
		}
	}
	return inverse, true
}
