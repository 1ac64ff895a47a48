package stage

import (
	"fmt"
	"io"
	"math"
	"slices"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// G2Config is a histogram over what uncorrelated light would give.
type G2Config struct {
	HistogramConfig
	Far    quantity.Time   `json:"far,omitempty"`    // 0: over light of the recorded rates; else over bins so far from zero
	Period quantity.Period `json:"period,omitempty"` // of a pulsed source; 0: none
}

var g2Fields = slices.Concat(histogramFields, []*recipe.Field{
	recipe.TimeField("far", "Bins at least so far from zero are 1 in the mean; where it is left out, uncorrelated light of the recorded rates is 1.",
		quantity.Picosecond, recipe.LongestWindow),
	recipe.PeriodField("period", "Of a pulsed source: each pulse is summed up as well, and compared with the others.",
		quantity.Picosecond, recipe.LongestWindow),
})

// Check finds what no single key of the config can tell.
func (c G2Config) Check(to *recipe.StageCheck) {
	c.HistogramConfig.Check(to)
	if to.Broken("") {
		return
	}
	if c.Far >= c.Range {
		to.Conflict("far", fmt.Sprintf("no bin is %s from zero", c.Far), fmt.Sprintf("write less than the range of %s", c.Range))
	}
	switch period := c.Period.Picoseconds(); {
	case period == 0:
	case period < 2*float64(c.Bin):
		to.Conflict("period", fmt.Sprintf("a period of %s is shorter than two bins of %s", c.Period, c.Bin), "make the bin finer")
	case float64(c.Range) < 1.5*period:
		to.Conflict("period", fmt.Sprintf("a range of %s holds no pulse beside that at zero", c.Range), fmt.Sprintf("write a range of at least %s", quantity.Time(math.Ceil(1.5*period))))
	}
}

// g2 counts the differences stop minus start over what uncorrelated light gives.
func (a *analysis) g2(c G2Config, result *run.Result) (any, error) {
	in, err := a.inputs(nil, c.Start, c.Stop)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	g, err := correlate.CountG2(in.channels[0], in.channels[1], correlate.G2Options{
		Range: int64(c.Range), Bin: int64(c.Bin), Far: int64(c.Far), Period: c.Period.Picoseconds(),
	})
	if err != nil {
		return nil, err
	}
	zero := g.AtZero()
	summary := G2Summary{
		Start: c.Start, Stop: c.Stop, Corrected: in.corrected, Simulated: a.simulated(c.Start, c.Stop),
		RangePs: int64(c.Range), BinPs: g.Bin, Pairs: g.Pairs, OverlapPs: g.Overlap, Scale: g.Scale,
		AtZero: g.G2[zero], AtZeroSD: g.SD[zero], NoValue: g.NoValue(c.Start, c.Stop), SelfPairs: g.SelfPairs, Pulses: g.Pulses,
		Periods: g.Periods, Warning: g.Warning,
	}
	if g.Warning != "" {
		a.manifest.Notice(run.Reason{Condition: run.Tainted, Message: fmt.Sprintf("stage %q: %s", result.Stage, g.Warning)})
	}
	if k, ok := g.Highest(); ok {
		middle := g.Middle(k)
		summary.HighestPs, summary.Highest, summary.HighestSD = &middle, g.G2[k], g.SD[k]
	} else {
		summary.Highest, summary.HighestSD = quantity.None(), quantity.None()
	}
	err = a.table(result, "lower_edge_ps,counts,g2,g2_sd", []string{c.Start, c.Stop}, func(w io.Writer) error { return WriteG2(w, g) })
	if err != nil {
		return nil, err
	}
	return summary, a.json(result, summary)
}
