package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

type g2Flags struct {
	channelFiles
	reach, bin, far quantity.Time
	period          quantity.Period
	output
}

func newG2Command() *cobra.Command {
	var f g2Flags
	c := &cobra.Command{
		Use:   "g2 A [B] --range D --bin D",
		Short: "make the histogram of B minus A that is 1 for uncorrelated light",
		Long: `Make the histogram of B minus A that is 1 for uncorrelated light.

Each bin is divided by the pairs that light of the recorded rates gives without
correlation, in the time that both recorded at that delay. With --far the bins at
least so far from zero are 1 in the mean instead. Of light that comes in pulses each
pulse is summed up, and compared with the mean of all but that at zero; the period
is found, or --period says it.` + clocksHelp + tagFilesHelp,
		RunE: func(c *cobra.Command, args []string) error { return runG2(c, args, f) },
	}
	f.channelFiles.add(c, 2)
	addRangeAndBin(c, &f.reach, &f.bin)
	c.Flags().TextVar(&f.far, "far", f.far, "normalise to the bins at least this `TIME` from zero")
	c.Flags().TextVar(&f.period, "period", f.period, "`TIME` between the pulses of a pulsed source; found where it is left out")
	f.output.add(c, "lower_edge_ps,counts,g2,g2_sd per bin", "start_ps (lower edge of the first bin), bin_ps, counts, expected, g2, g2_sd, periods_ps, pulses, warning")
	return c
}

func runG2(c *cobra.Command, args []string, f g2Flags) error {
	o := correlate.G2Options{Range: int64(f.reach), Bin: int64(f.bin), Far: int64(f.far), Period: f.period.Picoseconds()}
	count := func(a, b correlate.Channel) (correlate.G2, error) { return correlate.CountG2(a, b, o) }
	return ofTwo(c, args, f.channelFiles, f.output, o.Check(), count, writeG2CSV, drawG2)
}

func writeG2CSV(out io.Writer, g correlate.G2) error {
	return underHeading(out, "lower_edge_ps,counts,g2,g2_sd", func(out io.Writer) error { return stage.WriteG2(out, g) })
}

func drawG2(out io.Writer, g correlate.G2) error {
	zero := g.AtZero()
	_, err := fmt.Fprintf(out, "%s, %s in %s of %s, %.4g s recorded by both\n%sat zero      %s\n",
		tagsOf(g.TagsA, g.TagsB), quantity.Counted(g.Pairs, "difference"), quantity.Counted(len(g.Counts), "bin"), quantity.Time(g.Bin), float64(g.Overlap)/1e12, selfPairs(g.Histogram),
		valueOr(g.G2[zero], g.SD[zero], fmt.Sprintf("in the bin centred at %s", quantity.Time(g.Middle(zero))), g.NoValue("A", "B")))
	of := "of the light, which is not of a steady rate: its pulses tell, not the bins"
	if g.Unseen {
		of = "as given, which the first tags do not show"
	}
	for _, p := range g.Periods {
		if err == nil {
			_, err = fmt.Fprintf(out, "period       %.9g ps %s\n", p, of)
		}
	}
	for _, p := range g.Pulses {
		if err == nil && p.Number >= -3 && p.Number <= 3 {
			_, err = fmt.Fprintf(out, "pulse %+d     %s, %s\n", p.Number, valueOr(p.G2, p.SD, "of the others", "the others are empty"), quantity.Counted(p.Counts, "pair"))
		}
	}
	if err == nil && g.Warning != "" {
		_, err = fmt.Fprintf(out, "warning      %s\n", g.Warning)
	}
	if err == nil {
		_, err = fmt.Fprintln(out)
	}
	if err != nil {
		return err
	}
	return picture{start: g.Start, step: g.Bin, wide: g.Bin, join: mean, format: "%10.3f"}.draw(out, floats(g.G2))
}
