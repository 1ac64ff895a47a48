package stage

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// ratesKind counts the tags of channels in bins of time. Channels of clocks that no
// align stage connected are counted each on its own.
var ratesKind = counting[RatesConfig, correlate.Rates, RatesSummary]{
	kind: kind[RatesConfig, RatesSummary]{name: "rates", fields: ratesFields, words: ratesWords},
	command: Command{
		Use:   "rates FILE...",
		Short: "count the tags of channels over time, and find gaps",
		Long: `Count the tags of channels over time, and find gaps.

A gap is a silence that light of the channel's mean rate would have once in a
million such records. In --csv a channel's cell is empty where it had not begun
or had ended; 0 is a bin of no tags in between. Of a run all channels are counted
where none is named.`,
		Least: 1, Most: maxRates, AnyClock: true,
		Columns: "start_ps,A,B,... per bin", Keys: "start_ps, bin_ps, channels",
	},
	initial: RatesConfig{Bin: quantity.Second},
	flags: func(c *RatesConfig) []Flag {
		return []Flag{{Name: "bin", Usage: "width of a bin, a `TIME` as \"100 ms\"", Value: &c.Bin}}
	},
	check: func(c RatesConfig) error {
		if c.Bin < 1 {
			return errors.New("--bin must be at least 1 ps")
		}
		return nil
	},
	columns: func(of []string) string { return "start_ps," + strings.Join(of, ",") },
	count: func(c RatesConfig, channels []correlate.Channel, lines io.Writer) (correlate.Rates, error) {
		r, err := correlate.CountRates(channels, int64(c.Bin))
		if err == nil && lines != nil {
			err = writeRates(lines, r)
		}
		return r, err
	},
	summary: summaryOfRates,
	show:    showRates,
}

// RatesConfig counts the tags of channels in bins of time.
type RatesConfig struct {
	Of  []string      `json:"of"`
	Bin quantity.Time `json:"bin"`
	Over
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

// RatesSummary is what a rates stage found; the counts are in its table.
type RatesSummary struct {
	Of        []string                `json:"of"`
	Corrected bool                    `json:"corrected"` // any channel by what align stages found
	Simulated bool                    `json:"simulated"`
	BinPs     int64                   `json:"bin_ps"`
	Channels  []correlate.ChannelRate `json:"channels"`   // in the order of Of
	Empty     []int                   `json:"empty_bins"` // without a tag, between a channel's first and last
}

func summaryOfRates(c RatesConfig, of about, r correlate.Rates) RatesSummary {
	s := RatesSummary{Of: c.Of, Corrected: of.corrected, Simulated: of.simulated, BinPs: r.Bin}
	for i, channel := range r.Channels {
		channel.Counts = nil // those are in the table
		s.Channels = append(s.Channels, channel)
		s.Empty = append(s.Empty, emptyBins(r, i))
	}
	return s
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

// writeRates writes a line for each bin: where it begins in ps, and the tags of
// each channel. A channel that had not begun or had ended has an empty cell.
func writeRates(w io.Writer, r correlate.Rates) error {
	if len(r.Channels) == 0 {
		return nil
	}
	var line []byte
	for k := range r.Channels[0].Counts {
		line = append(line[:0], r.At(r.Start+int64(k)*r.Bin).String()...)
		for i, c := range r.Channels {
			line = append(line, ',')
			if r.Recorded(i, k) {
				line = strconv.AppendUint(line, c.Counts[k], 10)
			}
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// ratesWords are a line for each channel.
func ratesWords(say Say, s RatesSummary) {
	for i, c := range s.Channels {
		if i >= len(s.Of) || i >= len(s.Empty) {
			return // of another form
		}
		silent := ""
		if n := len(c.Gaps); n > 0 {
			longest := 0.0
			for _, g := range c.Gaps {
				longest = max(longest, float64(g.To-g.From)/1e12)
			}
			silent = "; silent for " + text.Significant(longest) + " s"
			if n > 1 {
				silent = "; silent " + text.Count(uint64(n)) + " times, the longest " + text.Significant(longest) + " s"
			}
		}
		switch {
		case c.Tags == 0:
			say("%s: nothing was recorded", s.Of[i])
		case !c.Rate.Known():
			say("%s: %s tags of one moment, which tell no rate", s.Of[i], text.Count(c.Tags))
		default:
			say("%s: %s tags, %s%s", s.Of[i], text.Count(c.Tags), text.Hertz(text.Rounded(float64(c.Rate)*1000)), silent)
		}
	}
}

// showRates writes a line for each channel, and one for each of its gaps.
func showRates(out io.Writer, r correlate.Rates) error {
	var words strings.Builder
	for i, c := range r.Channels {
		of := "nothing was recorded"
		if c.Tags > 0 {
			of = fmt.Sprintf("%s in %.6g s, %s%s", quantity.Counted(c.Tags, "tag"), float64(c.Recording())/1e12,
				text.MeasuredOr(c.Rate, c.RateSD, "per s", "tags of one moment tell no rate"), extremes(r, i))
		}
		fmt.Fprintf(&words, "%-2s %s\n", LetterOf(i), of)
		if n := len(c.Pauses); n > 0 {
			fmt.Fprintf(&words, "   not recorded %s between shots, for %.6g s\n", quantity.Counted(n, "time"), float64(c.Last-c.First-c.Recording())/1e12)
		}
		for _, g := range c.Gaps {
			fmt.Fprintf(&words, "   silent for %.6g s, from %s\n", float64(g.To-g.From)/1e12, shownTime(r, g.From))
		}
	}
	_, err := io.WriteString(out, words.String())
	return err
}

// LetterOf is what a command calls a channel of many: A to Z, then its number.
func LetterOf(i int) string {
	if i < 26 {
		return string(rune('A' + i))
	}
	return fmt.Sprint(i + 1)
}

// shownTime writes what the clock shows at a time since the base of rates.
func shownTime(r correlate.Rates, since int64) string {
	if r.Base == 0 {
		return quantity.Time(since).String()
	}
	return r.At(since).Clock()
}

// extremes says between what the counts of whole bins lie.
func extremes(r correlate.Rates, channel int) string {
	low, high := uint64(math.MaxUint64), uint64(0)
	for k, n := range r.Channels[channel].Counts {
		if r.Whole(channel, k) {
			low, high = min(low, n), max(high, n)
		}
	}
	if low > high {
		return ""
	}
	return fmt.Sprintf("; %d to %d in bins of %s", low, high, quantity.Time(r.Bin))
}
