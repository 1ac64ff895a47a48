package stage

import (
	"io"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
)

// histogram counts the differences stop minus start.
func (a *analysis) histogram(c *recipe.HistogramConfig, result *run.Result) (any, error) {
	in, err := a.inputs(nil, c.Start, c.Stop)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	h, err := correlate.CountChannels(in.channels[0], in.channels[1], correlate.HistogramOptions{Range: int64(c.Range), Bin: int64(c.Bin)})
	if err != nil {
		return nil, err
	}
	summary := HistogramSummary{
		Start: c.Start, Stop: c.Stop, Corrected: in.corrected, Simulated: a.simulated(c.Start, c.Stop),
		RangePs: int64(c.Range), BinPs: h.Bin, Pairs: h.Pairs, SelfPairs: h.SelfPairs,
		NoValue: correlate.Nothing([]string{c.Start, c.Stop}, []uint64{h.TagsA, h.TagsB}),
	}
	if k, ok := h.Highest(); ok {
		middle := h.Middle(k)
		summary.PeakPs, summary.PeakCounts = &middle, h.Counts[k]
	}
	err = a.table(result, "lower_edge_ps,counts", []string{c.Start, c.Stop}, func(w io.Writer) error { return WriteCounts(w, h.Start, h.Bin, h.Counts) })
	if err != nil {
		return nil, err
	}
	return summary, a.json(result, summary)
}
