package stage

import (
	"fmt"
	"io"
	"strconv"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// histogramKind counts the differences stop minus start.
var histogramKind = counting[HistogramConfig, correlate.Histogram, HistogramSummary]{
	kind: kind[HistogramConfig, HistogramSummary]{name: "histogram", fields: histogramFields, words: histogramWords},
	command: Command{
		Use:   "histogram A [B] --range D --bin D",
		Short: "count the differences B minus A in bins, every start with every stop",
		Long: `Count the differences B minus A in bins, every start with every stop.

Differences from minus to below plus the range are counted; the range is a whole
number of bins, and a difference d falls into bin floor(d/bin).`,
		Least: 2, Most: 2,
		Columns: "lower_edge_ps,counts per bin", Keys: "start_ps (lower edge of the first bin), bin_ps, counts",
	},
	flags:   (*HistogramConfig).flags,
	check:   func(c HistogramConfig) error { return c.options().Check() },
	columns: anyColumns("lower_edge_ps,counts"),
	count: func(c HistogramConfig, channels []correlate.Channel, lines io.Writer) (correlate.Histogram, error) {
		h, err := correlate.CountChannels(channels[0], channels[1], c.options())
		if err == nil && lines != nil {
			err = writeCounts(lines, h.Start, h.Bin, h.Counts)
		}
		return h, err
	},
	summary: func(c HistogramConfig, of about, h correlate.Histogram) HistogramSummary {
		s := HistogramSummary{
			Start: c.Start, Stop: c.Stop, Corrected: of.corrected, Simulated: of.simulated,
			RangePs: int64(c.Range), BinPs: h.Bin, Pairs: h.Pairs, SelfPairs: h.SelfPairs,
			NoValue: correlate.Nothing([]string{c.Start, c.Stop}, []uint64{h.TagsA, h.TagsB}),
		}
		if k, ok := h.Highest(); ok {
			middle := h.Middle(k)
			s.PeakPs, s.PeakCounts = &middle, h.Counts[k]
		}
		return s
	},
	show: showHistogram,
}

// HistogramConfig counts stop minus start in bins over [-Range, Range).
type HistogramConfig struct {
	Start string        `json:"start"`
	Stop  string        `json:"stop"`
	Range quantity.Time `json:"range"`
	Bin   quantity.Time `json:"bin"`
	Over
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

// Check finds what no single key of the config can tell.
func (c HistogramConfig) Check(to *recipe.StageCheck) {
	to.Compare(c.Uses())
	switch {
	case c.Range == 0 || c.Bin == 0: // reported
	case c.Range%c.Bin != 0:
		to.Conflict("bin", fmt.Sprintf("a range of %s is no whole number of bins of %s", c.Range, c.Bin), "change one of them")
	case 2*(c.Range/c.Bin) > correlate.MaxBins:
		to.WrongValue("bin", fmt.Sprintf("%d bins", 2*(c.Range/c.Bin)), fmt.Sprintf("a histogram has up to %d: make the bin wider", correlate.MaxBins))
	}
}

func (c HistogramConfig) options() correlate.HistogramOptions {
	return correlate.HistogramOptions{Range: int64(c.Range), Bin: int64(c.Bin)}
}

func (c *HistogramConfig) flags() []Flag {
	return []Flag{
		{Name: "range", Usage: "differences within plus or minus this `TIME`, as \"160 ns\"", Value: &c.Range, Required: true},
		{Name: "bin", Usage: "width of a bin, a `TIME` as \"16 ps\"", Value: &c.Bin, Required: true},
	}
}

// writeCounts writes a line for each count, the first at start, then by step, and
// in it its value in each of values, empty where that is none.
func writeCounts(w io.Writer, start, step int64, counts []uint64, values ...[]quantity.Number) error {
	var line []byte
	for i, n := range counts {
		line = append(strconv.AppendInt(line[:0], start+int64(i)*step, 10), ',')
		line = strconv.AppendUint(line, n, 10)
		for _, of := range values {
			line = of[i].AppendCell(append(line, ','), 6)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
}

// HistogramSummary is what a histogram stage found; the counts are in its file.
type HistogramSummary struct {
	Start      string `json:"start"`
	Stop       string `json:"stop"`
	Corrected  bool   `json:"corrected"` // stop by what align stages found
	Simulated  bool   `json:"simulated"`
	RangePs    int64  `json:"range_ps"`
	BinPs      int64  `json:"bin_ps"`
	Pairs      uint64 `json:"pairs"`
	SelfPairs  uint64 `json:"self_pairs,omitempty"` // of a tag with itself, left out
	PeakPs     *int64 `json:"peak_ps"`              // the centre of the highest bin, the first of equals; null without pairs
	PeakCounts uint64 `json:"peak_counts"`
	NoValue    string `json:"no_value,omitempty"` // why there can be no pairs
}

func histogramWords(say Say, s HistogramSummary) {
	of := s.Stop + " - " + s.Start
	switch {
	case s.NoValue != "":
		say("%s: %s", of, s.NoValue)
	case s.PeakPs == nil:
		say("%s: no pairs within ±%s%s", of, text.Picoseconds(s.RangePs), correctedWords(s.Corrected))
	default:
		say("%s: highest bin %s, centred at %s, bins of %s%s", of, text.Count(s.PeakCounts),
			text.Picoseconds(*s.PeakPs), text.Picoseconds(s.BinPs), correctedWords(s.Corrected))
	}
	selfPairsWords(say, s.SelfPairs)
}

func selfPairsWords(say Say, pairs uint64) {
	if pairs > 0 {
		say("%s pairs of a tag with itself are left out", text.Count(pairs))
	}
}

func showHistogram(out io.Writer, h correlate.Histogram) error {
	highest := "no pairs"
	if nothing := correlate.Nothing([]string{"A", "B"}, []uint64{h.TagsA, h.TagsB}); nothing != "" {
		highest = nothing
	} else if k, ok := h.Highest(); ok {
		highest = fmt.Sprintf("highest bin %d, centred at %s", h.Counts[k], quantity.Time(h.Middle(k)))
	}
	_, err := fmt.Fprintf(out, "%s, %s in %s of %s\n%s%s\n\n",
		tagsOf(h.TagsA, h.TagsB), quantity.Counted(h.Pairs, "difference"), quantity.Counted(len(h.Counts), "bin"), quantity.Time(h.Bin), selfPairsLine(h), highest)
	if err != nil {
		return err
	}
	return picture{start: h.Start, step: h.Bin, wide: h.Bin, join: sum}.draw(out, floats(h.Counts))
}

// selfPairsLine is a line about pairs that were left out, where there are any.
func selfPairsLine(h correlate.Histogram) string {
	if h.SelfPairs == 0 {
		return ""
	}
	are := "are"
	if h.SelfPairs == 1 {
		are = "is"
	}
	return fmt.Sprintf("A and B are one record: %s of a tag with itself %s left out\n", quantity.Counted(h.SelfPairs, "pair"), are)
}

// tagsOf says how many tags two channels have.
func tagsOf(a, b uint64) string {
	return "A " + quantity.Counted(a, "tag") + ", B " + quantity.Counted(b, "tag")
}
