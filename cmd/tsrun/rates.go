package main

import (
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

// maxRateFiles is how many channels are counted side by side.
const maxRateFiles = 64

type ratesFlags struct {
	channelFiles
	bin quantity.Time
	output
}

func newRatesCommand() *cobra.Command {
	f := ratesFlags{bin: quantity.Second}
	c := &cobra.Command{
		Use:   "rates FILE...",
		Short: "count the tags of channels over time, and find gaps",
		Long: `Count the tags of channels over time, and find gaps.

A gap is a silence that light of the channel's mean rate would have once in a
million such records. In --csv a channel's cell is empty where it had not begun
or had ended; 0 is a bin of no tags in between.` + clocksHelp + manyFilesHelp,
		RunE: func(c *cobra.Command, args []string) error { return runRates(c, args, f) },
	}
	f.channelFiles.add(c, maxRateFiles)
	c.Flags().TextVar(&f.bin, "bin", f.bin, "width of a bin, a `TIME` as \"100 ms\"")
	f.output.add(c, "start_ps,A,B,... per bin", "start_ps, bin_ps, channels")
	return c
}

func runRates(c *cobra.Command, args []string, f ratesFlags) error {
	if f.bin < 1 {
		return usage("--bin must be at least 1 ps")
	}
	channels, origin, done, err := f.channels(args, 1, maxRateFiles)
	defer done()
	if err != nil {
		return err
	}
	r, err := correlate.CountRates(channels, int64(f.bin))
	if err != nil {
		return &exitError{exitOther, err}
	}
	return f.print(c, about(c, origin), r, func(out io.Writer) error { return writeRatesCSV(out, r) }, func(out io.Writer) error { return printRates(out, r) })
}

// columnOf names a channel of many.
func columnOf(i int) string {
	if i < 26 {
		return letterOf(i)
	}
	return fmt.Sprint(i + 1)
}

func writeRatesCSV(out io.Writer, r correlate.Rates) error {
	heading := "start_ps"
	for i := range r.Channels {
		heading += "," + columnOf(i)
	}
	return underHeading(out, heading, func(out io.Writer) error { return stage.WriteRates(out, r) })
}

func printRates(out io.Writer, r correlate.Rates) error {
	for i, c := range r.Channels {
		text := "nothing was recorded"
		if c.Tags > 0 {
			text = fmt.Sprintf("%s in %.6g s, %s%s", quantity.Counted(c.Tags, "tag"), float64(c.Last-c.First)/1e12,
				valueOr(c.Rate, c.RateSD, "per s", "tags of one moment tell no rate"), extremes(r, i))
		}
		_, err := fmt.Fprintf(out, "%-2s %s\n", columnOf(i), text)
		for _, g := range c.Gaps {
			if err == nil {
				_, err = fmt.Fprintf(out, "   silent for %.6g s, from %s\n", float64(g.To-g.From)/1e12, shown(r, g.From))
			}
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// shown writes what the clock shows at a time since the base of rates.
func shown(r correlate.Rates, since int64) string {
	if r.Base == 0 {
		return quantity.Time(since).String()
	}
	return r.At(since).Clock()
}

// extremes says between what the counts of whole bins lie.
func extremes(r correlate.Rates, channel int) string {
	low, high := uint64(math.MaxUint64), uint64(0)
	for k, n := range r.Channels[channel].Counts {
		if k > 0 && r.Recorded(channel, k-1) && k+1 < len(r.Channels[channel].Counts) && r.Recorded(channel, k+1) {
			low, high = min(low, n), max(high, n)
		}
	}
	if low > high {
		return ""
	}
	return fmt.Sprintf("; %d to %d in bins of %s", low, high, quantity.Time(r.Bin))
}
