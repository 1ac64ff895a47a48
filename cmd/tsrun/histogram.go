package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/quantity"
)

type histogramFlags struct {
	tagFiles
	reach, bin, offset quantity.Time
	asCSV, asJSON      bool
}

func newHistogramCommand() *cobra.Command {
	var f histogramFlags
	c := &cobra.Command{
		Use:   "histogram A [B] --range D --bin D",
		Short: "count the differences B minus A in bins, every start with every stop",
		Long: `Count the differences B minus A in bins, every start with every stop.

Differences from minus to below plus the range are counted; the range is a whole
number of bins, and a difference d falls into bin floor(d/bin).` + tagFilesHelp,
		RunE: func(c *cobra.Command, args []string) error { return runHistogram(c, args, f) },
	}
	f.add(c)
	c.Flags().TextVar(&f.reach, "range", f.reach, `differences within plus or minus this, as "160 ns"`)
	c.Flags().TextVar(&f.bin, "bin", f.bin, `width of a bin, as "16 ps"`)
	c.Flags().TextVar(&f.offset, "offset", f.offset, "B minus A of the clocks; it is subtracted from B")
	c.Flags().BoolVar(&f.asCSV, "csv", false, "print a line start_ps,counts per bin")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object: start_ps, bin_ps, counts")
	c.MarkFlagsMutuallyExclusive("csv", "json")
	for _, name := range []string{"range", "bin"} {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // the flags are those above
		}
	}
	return c
}

func runHistogram(c *cobra.Command, args []string, f histogramFlags) error {
	correction, err := correlate.NewCorrection(correlate.Line{Offset: int64(f.offset)})
	if err != nil {
		return &exitError{exitUsage, err}
	}
	o := correlate.HistogramOptions{Range: int64(f.reach), Bin: int64(f.bin),
		Correction: correction}
	if err := o.Check(); err != nil {
		return &exitError{exitUsage, err}
	}
	a, b, done, err := f.openBoth(args)
	defer done()
	if err != nil {
		return err
	}
	h, err := correlate.CountStreams(a, b, o)
	if err == nil {
		out := bufio.NewWriter(c.OutOrStdout())
		switch {
		case f.asJSON:
			err = json.NewEncoder(out).Encode(h)
		case f.asCSV:
			err = writeHistogramCSV(out, h)
		default:
			err = drawHistogram(out, h)
		}
		if err == nil {
			err = out.Flush()
		}
	}
	if err != nil {
		return &exitError{exitOther, err}
	}
	return nil
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

// drawHistogram prints the totals and a picture of at most maxRows rows, each
// the sum of as many bins as it takes.
func drawHistogram(out io.Writer, h correlate.Histogram) error {
	const maxRows, width = 40, 50
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
	each := (len(h.Counts) + maxRows - 1) / maxRows
	var rows []uint64
	most := uint64(1)
	for k, n := range h.Counts {
		if k%each == 0 {
			rows = append(rows, 0)
		}
		rows[len(rows)-1] += n
		most = max(most, rows[len(rows)-1])
	}
	for r, n := range rows {
		bar := strings.Repeat("#", int(n*width/most))
		if _, err := fmt.Fprintf(out, "%16s %10d %s\n", quantity.Time(h.Start+int64(r*each)*h.Bin), n, bar); err != nil {
			return err
		}
	}
	return nil
}
