package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

type scanFlags struct {
	channelFiles
	from, to, step, window quantity.Time
	output
}

func newScanCommand() *cobra.Command {
	var f scanFlags
	c := &cobra.Command{
		Use:   "scan A [B] --from D --to D --step D --window D",
		Short: "count coincidences at every delay of B, and measure the peak",
		Long: `Count coincidences at every delay of B, and measure the peak.

At the delay d a pair counts when |B - A - d| is at most half the window, both
ends included. The peak is where pairs stand out of chance: its offset is what to
subtract from B, and its width that of the pairs, whatever window and step are.` + clocksHelp + tagFilesHelp,
		RunE: func(c *cobra.Command, args []string) error { return runScan(c, args, f) },
	}
	f.channelFiles.add(c, 2)
	c.Flags().TextVar(&f.from, "from", f.from, "the first delay, a `TIME` as \"-20 ns\"")
	c.Flags().TextVar(&f.to, "to", f.to, "no delay is beyond this `TIME`")
	c.Flags().TextVar(&f.step, "step", f.step, "`TIME` between delays")
	c.Flags().TextVar(&f.window, "window", f.window, "full width of the window, a `TIME` as \"1 ns\"")
	required(c, "from", "to", "step", "window")
	f.output.add(c, "delay_ps,counts per delay", "start_ps, step_ps, window_ps, counts, peak, periods_ps, warning")
	return c
}

func runScan(c *cobra.Command, args []string, f scanFlags) error {
	o := correlate.ScanOptions{From: int64(f.from), To: int64(f.to), Step: int64(f.step), Window: int64(f.window)}
	count := func(a, b correlate.Channel) (correlate.Scan, error) { return correlate.ScanDelays(a, b, o) }
	return ofTwo(c, args, f.channelFiles, f.output, o.Check(), count, writeScanCSV, drawScan)
}

func writeScanCSV(out io.Writer, s correlate.Scan) error {
	return underHeading(out, "delay_ps,counts", func(out io.Writer) error { return stage.WriteCounts(out, s.Start, s.Step, s.Counts) })
}

// pairsOf says how many pairs stand out of chance.
func pairsOf(s correlate.Scan) string {
	if s.Warning != "" {
		return "pairs        no value: " + s.Warning + "\n"
	}
	chance := "in the mean of those beside the peak"
	if len(s.Periods) > 0 {
		chance = fmt.Sprintf("as when B is moved by whole periods of the light, %.9g ps", s.Periods[0])
	}
	return fmt.Sprintf("pairs        %s; %.3g by chance in a window, %s\ncertainty    %.3g standard deviations beyond chance\n",
		withSD(s.Peak.Pairs, s.Peak.PairsSD, "net"), s.Peak.Accidentals, chance, s.Peak.Significance)
}

func drawScan(out io.Writer, s correlate.Scan) error {
	_, err := fmt.Fprintf(out, "%s, %.4g s recorded by both; window ±%.6g ps\n", tagsOf(s.TagsA, s.TagsB), float64(s.Overlap)/1e12, float64(s.Window)/2)
	if p := s.Peak; err == nil && p != nil {
		_, err = fmt.Fprintf(out, "peak         %s, %s wide (standard deviation)\nhalf maximum %.4g ps wide, highest at %s\n%s\n",
			withSD(p.Offset.Float(), p.OffsetSD, "ps"), withSD(p.Sigma, p.SigmaSD, "ps"), p.FWHM, quantity.Time(p.Highest), pairsOf(s))
	} else if err == nil {
		none := "none stands out of chance"
		if s.NoPeak != "" {
			none = "no value: " + s.NoPeak
		} else if s.Warning != "" {
			none = "no value: " + s.Warning
		}
		_, err = fmt.Fprintf(out, "peak         %s\n\n", none)
	}
	if err != nil {
		return err
	}
	return picture{start: s.Start, step: s.Step, join: highest}.draw(out, floats(s.Counts))
}
