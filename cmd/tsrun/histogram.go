package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/quantity"
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
	f.output.add(c, "start_ps,counts per bin", "start_ps, bin_ps, counts")
	return c
}

func addRangeAndBin(c *cobra.Command, reach, bin *quantity.Time) {
	c.Flags().TextVar(reach, "range", *reach, `differences within plus or minus this, as "160 ns"`)
	c.Flags().TextVar(bin, "bin", *bin, `width of a bin, as "16 ps"`)
	required(c, "range", "bin")
}

// output is the form in which a command prints its answer.
type output struct{ asCSV, asJSON bool }

func (o *output) add(c *cobra.Command, columns, keys string) {
	c.Flags().BoolVar(&o.asCSV, "csv", false, "print a line "+columns)
	c.Flags().BoolVar(&o.asJSON, "json", false, "print one JSON object: "+keys)
	c.MarkFlagsMutuallyExclusive("csv", "json")
}

// print writes an answer as JSON, or by the function of the form that is asked for.
func (o output) print(c *cobra.Command, answer any, csv, words func(io.Writer) error) error {
	out := bufio.NewWriter(c.OutOrStdout())
	var err error
	switch {
	case o.asJSON:
		err = json.NewEncoder(out).Encode(answer)
	case o.asCSV:
		err = csv(out)
	default:
		err = words(out)
	}
	if err == nil {
		err = out.Flush()
	}
	if err != nil {
		return &exitError{exitOther, err}
	}
	return nil
}

func runHistogram(c *cobra.Command, args []string, f histogramFlags) error {
	o := correlate.HistogramOptions{Range: int64(f.reach), Bin: int64(f.bin)}
	if err := o.Check(); err != nil {
		return &exitError{exitUsage, err}
	}
	channels, done, err := f.channels(args, 2, 2)
	defer done()
	if err != nil {
		return err
	}
	h, err := correlate.CountChannels(channels[0], channels[1], o)
	if err != nil {
		return &exitError{exitOther, err}
	}
	return f.print(c, h, func(out io.Writer) error { return writeHistogramCSV(out, h) }, func(out io.Writer) error { return drawHistogram(out, h) })
}

func writeHistogramCSV(out io.Writer, h correlate.Histogram) error {
	if _, err := fmt.Fprintln(out, "start_ps,counts"); err != nil {
		return err
	}
	for k, n := range h.Counts {
		if _, err := fmt.Fprintf(out, "%d,%d\n", h.Start+int64(k)*h.Bin, n); err != nil {
			return err
		}
	}
	return nil
}

func drawHistogram(out io.Writer, h correlate.Histogram) error {
	highest := 0
	for k, n := range h.Counts {
		if n > h.Counts[highest] {
			highest = k
		}
	}
	_, err := fmt.Fprintf(out, "A %d tags, B %d tags, %d differences in %d bins of %s\nhighest bin %d, from %s\n\n",
		h.TagsA, h.TagsB, h.Pairs, len(h.Counts), quantity.Time(h.Bin),
		h.Counts[highest], quantity.Time(h.Start+int64(highest)*h.Bin))
	if err != nil {
		return err
	}
	return picture{start: h.Start, step: h.Bin, join: sum}.draw(out, floats(h.Counts))
}
