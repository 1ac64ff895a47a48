package stage

import (
	"fmt"
	"io"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// HistogramConfig counts stop minus start in bins over [-Range, Range).
type HistogramConfig struct {
	Start string        `json:"start"`
	Stop  string        `json:"stop"`
	Range quantity.Time `json:"range"`
	Bin   quantity.Time `json:"bin"`
}

// Uses are the two channels.
func (c HistogramConfig) Uses() []recipe.ChannelUse { return startStop(c.Start, c.Stop) }

// startStop are the channels of stages that subtract one from another.
func startStop(start, stop string) []recipe.ChannelUse {
	return []recipe.ChannelUse{{Key: "start", Channel: start}, {Key: "stop", Channel: stop}}
}

func startStopFields(of string) []*recipe.Field {
	return []*recipe.Field{
		recipe.ChannelField("start", "Channel that starts the clock."),
		recipe.ChannelField("stop", "Channel that stops it; "+of+" of stop minus start."),
	}
}

var histogramFields = append(startStopFields("the histogram is"),
	recipe.TimeField("range", "The histogram reaches from minus to plus this.", quantity.Picosecond, recipe.LongestWindow).Required(),
	recipe.TimeField("bin", "Width of a bin; the range is a whole number of them.", quantity.Picosecond, recipe.LongestWindow).Required(),
)

const maxBins = 10_000_000 // of a histogram: 80 MB of counts

// Check finds what no single key of the config can tell.
func (c HistogramConfig) Check(to *recipe.StageCheck) {
	to.Compare(c.Uses())
	switch {
	case c.Range == 0 || c.Bin == 0: // reported
	case c.Range%c.Bin != 0:
		to.Conflict("bin", fmt.Sprintf("a range of %s is no whole number of bins of %s", c.Range, c.Bin), "change one of them")
	case 2*(c.Range/c.Bin) > maxBins:
		to.WrongValue("bin", fmt.Sprintf("%d bins", 2*(c.Range/c.Bin)), fmt.Sprintf("a histogram has up to %d: make the bin wider", maxBins))
	}
}

// histogram counts the differences stop minus start.
func (a *analysis) histogram(c HistogramConfig, result *run.Result) (any, error) {
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
