package stage

import (
	"io"
	"strings"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
)

// rates counts the tags of channels in bins of time. Channels of clocks that no
// align stage connected are counted each on its own.
func (a *analysis) rates(c *recipe.RatesConfig, result *run.Result) (any, error) {
	in, err := a.inputsAnyway(c.Of...)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	r, err := correlate.CountRates(in.channels, int64(c.Bin))
	if err != nil {
		return nil, err
	}
	summary := RatesSummary{Of: c.Of, Corrected: in.corrected, Simulated: a.simulated(c.Of...), BinPs: r.Bin}
	for i, channel := range r.Channels {
		channel.Counts = nil // those are in the table
		summary.Channels = append(summary.Channels, channel)
		summary.Empty = append(summary.Empty, emptyBins(r, i))
	}
	err = a.table(result, "start_ps,"+strings.Join(c.Of, ","), c.Of, func(w io.Writer) error { return WriteRates(w, r) })
	if err != nil {
		return nil, err
	}
	return summary, a.json(result, summary)
}

// emptyBins counts the bins without a tag between a channel's first and last.
func emptyBins(r correlate.Rates, channel int) (n int) {
	for k, tags := range r.Channels[channel].Counts {
		if tags == 0 && r.Recorded(channel, k) {
			n++
		}
	}
	return n
}
