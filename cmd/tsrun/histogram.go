package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

type histogramFlags struct {
	channelFiles
	reach, bin quantity.Time
	output
}

func newHistogramCommand() *cobra.Command {
	var f histogramFlags
	c := &cobra.Command{
		Use:   "histogram A [B] --range D --bin D",
		Short: "count the differences B minus A in bins, every start with every stop",
		Long: `Count the differences B minus A in bins, every start with every stop.

Differences from minus to below plus the range are counted; the range is a whole
number of bins, and a difference d falls into bin floor(d/bin).` + clocksHelp + tagFilesHelp,
		RunE: func(c *cobra.Command, args []string) error { return runHistogram(c, args, f) },
	}
	f.channelFiles.add(c, 2)
	addRangeAndBin(c, &f.reach, &f.bin)
	f.output.add(c, "lower_edge_ps,counts per bin", "start_ps (lower edge of the first bin), bin_ps, counts")
	return c
}

func addRangeAndBin(c *cobra.Command, reach, bin *quantity.Time) {
	c.Flags().TextVar(reach, "range", *reach, "differences within plus or minus this `TIME`, as \"160 ns\"")
	c.Flags().TextVar(bin, "bin", *bin, "width of a bin, a `TIME` as \"16 ps\"")
	required(c, "range", "bin")
}

func runHistogram(c *cobra.Command, args []string, f histogramFlags) error {
	o := correlate.HistogramOptions{Range: int64(f.reach), Bin: int64(f.bin)}
	count := func(a, b correlate.Channel) (correlate.Histogram, error) { return correlate.CountChannels(a, b, o) }
	return ofTwo(c, args, f.channelFiles, f.output, o.Check(), count, writeHistogramCSV, drawHistogram)
}

func writeHistogramCSV(out io.Writer, h correlate.Histogram) error {
	return underHeading(out, "lower_edge_ps,counts", func(out io.Writer) error { return stage.WriteCounts(out, h.Start, h.Bin, h.Counts) })
}

func drawHistogram(out io.Writer, h correlate.Histogram) error {
	highest := "no pairs"
	if nothing := correlate.Nothing([]string{"A", "B"}, []uint64{h.TagsA, h.TagsB}); nothing != "" {
		highest = nothing
	} else if k, ok := h.Highest(); ok {
		highest = fmt.Sprintf("highest bin %d, centred at %s", h.Counts[k], quantity.Time(h.Middle(k)))
	}
	_, err := fmt.Fprintf(out, "%s, %s in %s of %s\n%s%s\n\n",
		tagsOf(h.TagsA, h.TagsB), quantity.Counted(h.Pairs, "difference"), quantity.Counted(len(h.Counts), "bin"), quantity.Time(h.Bin), selfPairs(h), highest)
	if err != nil {
		return err
	}
	return picture{start: h.Start, step: h.Bin, wide: h.Bin, join: sum}.draw(out, floats(h.Counts))
}

// selfPairs is a line about pairs that were left out, where there are any.
func selfPairs(h correlate.Histogram) string {
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
