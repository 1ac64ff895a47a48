package report

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/plot"
	"tsrun/pipeline/text"
)

// worstFit is the chi-square per degree of freedom up to which a Gaussian describes a peak.
const worstFit = 5

// fit fits the peak of a table of bins, as far as all of them are kept: the numbers in
// words, and the curve over the column that is drawn. No words where there are no bins.
func (t *table) fit(drawn string, ps float64) (words string, curve plot.Curve) {
	start, counts := t.bins()
	if len(counts) == 0 {
		return "", curve
	}
	bin := int64(t.step)
	f := correlate.FitPeak(start, bin, counts)
	switch {
	case f == nil:
		return "No peak with a width of its own stands out of the bins.", curve
	case f.ChiSquare > worstFit*float64(f.Freedom):
		return fmt.Sprintf("The bins are no Gaussian over a level: chi-square %s of %d degrees of freedom.", text.Significant(f.ChiSquare), f.Freedom), curve
	}
	words = fmt.Sprintf("Gaussian over a level: centre %s, standard deviation %s (full width at half maximum %s ps), %s in it, level %s; chi-square %s of %d degrees of freedom.",
		text.Measured(f.Centre, f.CentreSD, "ps"), text.Measured(f.Sigma, f.SigmaSD, "ps"), text.Significant(f.Sigma*2*math.Sqrt(2*math.Ln2)),
		text.Measured(f.Counts, f.CountsSD, "counts"), text.Measured(f.Level, f.LevelSD, "counts per bin"), text.Significant(f.ChiSquare), f.Freedom)
	scale, sum := 0.0, 0.0
	for _, p := range t.of(drawn, 1, 1) {
		if !math.IsNaN(p.Y) {
			scale += p.Y
		}
	}
	for _, n := range counts {
		sum += float64(n)
	}
	curve = plot.Curve{Name: "fit", Kind: plot.Steps}
	for k := range counts {
		lower := start + int64(k)*bin
		curve.Points = append(curve.Points, plot.Point{X: float64(lower) / ps, Y: f.At(lower, bin) * scale / sum})
	}
	return words, curve
}

// addFit draws the fit of a table of bins into its picture, and says its numbers.
func (t *table) addFit(charts []plot.Chart) (words string) {
	if len(charts) == 0 || len(t.columns) < 2 {
		return ""
	}
	drawn := "counts"
	if len(t.columns) > 2 {
		drawn = "g2"
	}
	words, curve := t.fit(drawn, t.unit())
	if len(curve.Points) > 0 {
		charts[0].Curves[0].Name = drawn
		charts[0].Curves = append(charts[0].Curves, curve)
	}
	return words
}

// bins are the counts of a table of which every line is kept, and the first lower edge;
// none where it is not of whole numbers, evenly spaced.
func (t *table) bins() (start int64, counts []uint64) {
	if len(t.columns) < 2 || t.columns[0] != "lower_edge_ps" || t.columns[1] != "counts" || t.lines != len(t.text) || !(t.step >= 1) || t.step > 1e15 {
		return 0, nil
	}
	for k, line := range t.text {
		edge, rest, _ := strings.Cut(line, ",")
		count, _, _ := strings.Cut(rest, ",")
		at, errAt := strconv.ParseInt(edge, 10, 64)
		n, err := strconv.ParseUint(count, 10, 64)
		if k == 0 {
			start = at
		}
		if errAt != nil || err != nil || at != start+int64(k)*int64(t.step) {
			return 0, nil
		}
		counts = append(counts, n)
	}
	return start, counts
}
