package stage

import (
	"fmt"
	"io"
	"strings"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// RatesConfig counts the tags of channels in bins of time.
type RatesConfig struct {
	Of  []string      `json:"of"`
	Bin quantity.Time `json:"bin"`
}

// Uses are the channels that are counted.
func (c RatesConfig) Uses() []recipe.ChannelUse { return recipe.ChannelUses("of", c.Of) }

var ratesFields = []*recipe.Field{
	recipe.ChannelsField("of", "The channels that are counted.", 1, maxRates),
	recipe.TimeField("bin", "Width of a bin of time.", quantity.Microsecond, recipe.LongestWindow).Default("1 s"),
}

// maxRates is how many channels are counted side by side.
const maxRates = 64

// Check finds what no single key of the config can tell.
func (c RatesConfig) Check(to *recipe.StageCheck) {
	to.Channels(c.Uses())
	if bins := to.Duration() / max(c.Bin, 1); c.Bin > 0 && bins > maxDelays {
		to.WrongValue("bin", fmt.Sprintf("%d bins", bins), fmt.Sprintf("there are up to %d: make the bin longer", maxDelays))
	}
}

// rates counts the tags of channels in bins of time. Channels of clocks that no
// align stage connected are counted each on its own.
func (a *analysis) rates(c RatesConfig, result *run.Result) (any, error) {
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
