package stage

import (
	"fmt"
	"io"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// g2 counts the differences stop minus start over what uncorrelated light gives.
func (a *analysis) g2(c *recipe.G2Config, result *run.Result) (any, error) {
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
