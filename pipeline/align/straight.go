package align

import (
	"fmt"
	"math"
	"slices"
)

const (
	pairsPerSlice = 100
	minSlices     = 4
	maxSlices     = 100
	doubt         = 4.0 // standard deviations of chi-square beyond which the line is doubted
)

// straighten cuts the record into slices, measures each by itself, and reports
// how well they agree with the line. Clocks that wander show here and nowhere
// else: the scatter of single pairs hides them.
func straighten(r *Alignment, points []point, f fit, half, length float64) {
	n := min(maxSlices, int(f.n)/pairsPerSlice)
	if n < minSlices {
		return
	}
	cut := make([][]point, n)
	for _, p := range points {
		k := max(0, min(n-1, int((p.t/length+0.5)*float64(n))))
		cut[k] = append(cut[k], point{p.t, p.d - f.x - f.y*p.t})
	}
	r.Slices = n
	var widths []float64
	wandered := 0.0 // sum of squares, ps^2, without what chance gives
	for _, slice := range cut {
		g, ok := fitSlice(slice, half, f.sigma)
		if !ok || g.n < 0.3*f.n/float64(n) {
			r.LostSlices++
			continue
		}
		r.ChiSquare += g.x * g.x / g.vx
		wandered += g.x*g.x - g.vx
		widths = append(widths, g.sigma)
	}
	r.Freedom = max(0, len(widths)-2)
	free := float64(r.Freedom)
	bent := free > 0 && r.ChiSquare > free+doubt*math.Sqrt(2*free)
	if bent {
		slices.Sort(widths)
		r.Jitter = widths[len(widths)/2] // the whole record's is widened by the wander
		// What the clock did off the line no number of pairs averages away. At
		// the ends a bend is off by twice its mean.
		rms := math.Sqrt(max(0, wandered) / float64(len(widths)))
		r.OffsetSD = math.Hypot(r.OffsetSD, rms)
		r.StartSD = math.Hypot(r.StartSD, 2*rms)
		r.FrequencySD = math.Hypot(r.FrequencySD, math.Sqrt(12)*rms/length*1e9)
	}
	if bent || r.LostSlices > n/10 {
		r.Warning = fmt.Sprintf("the clocks do not keep to a straight line: chi-square %.3g for %d degrees of freedom, %d of %d slices without pairs on it; align shorter parts of the record",
			r.ChiSquare, r.Freedom, r.LostSlices, n)
	}
}

// fitSlice finds where the pairs of one slice are: near the fullest bin first,
// because the line may pass beside them.
func fitSlice(points []point, half, sigma float64) (fit, bool) {
	if len(points) < 4 {
		return fit{}, false
	}
	p := hough(points, half, 0, 0, 2*sigma)
	moved := make([]point, len(points))
	for i, q := range points {
		moved[i] = point{q.t, q.d - p.x}
	}
	g, ok := fitLine(moved, half, sigma, 1, true)
	g.x += p.x
	return g, ok
}
