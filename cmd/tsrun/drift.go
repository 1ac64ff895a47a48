package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/align"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

type driftFlags struct {
	tagFiles
	search   quantity.Time
	maxDrift quantity.Drift
	output
}

func newDriftCommand() *cobra.Command {
	f := driftFlags{search: quantity.Time(align.DefaultSearch), maxDrift: align.DefaultMaxDrift}
	c := &cobra.Command{
		Use:   "drift RUN | A [B]",
		Short: "show how B's clock drifted against A's through a record",
		Long: `Show how B's clock drifted against A's through a record: offset and frequency
over time, each with its standard deviation, and the Allan deviation.

RUN is a run directory; then the clocks of its align stages are followed once
more, through the tags that are in it. Offsets are B minus A, target minus
reference. Without enough evidence there is no answer but a reason, and exit
code 3.` + tagFilesHelp,
		Example: `  tsrun drift runs/latest
  tsrun drift runs/latest --csv --out drift.csv
  tsrun drift alice.bin bob.bin --json`,
		RunE: func(c *cobra.Command, args []string) error { return runDrift(c, args, f) },
	}
	f.tagFiles.add(c)
	c.Flags().TextVar(&f.search, "search", f.search, "files: the offset at the start lies within plus or minus this `TIME`")
	c.Flags().TextVar(&f.maxDrift, "max-drift", f.maxDrift, "files: the clocks' frequencies differ by at most this `PART`")
	f.output.add(c, strings.Join(driftColumns, ",")+" per knot", "clocks")
	return c
}

func runDrift(c *cobra.Command, args []string, f driftFlags) error {
	drifts, origin, err := f.drifts(c, args)
	if err != nil {
		return err
	}
	answer := struct {
		Clocks []stage.Drift `json:"clocks"`
	}{drifts}
	err = f.print(c, about(c, origin), answer, func(out io.Writer) error { return writeDriftCSV(out, drifts) },
		func(out io.Writer) error { return printDrifts(out, drifts) })
	if err != nil {
		return err
	}
	for _, d := range drifts {
		if d.Refused {
			return &exitError{exitNotGood, fmt.Errorf("no drift of %s against %s: %s; %s", d.Target, d.Reference, d.Reason, d.Hint)}
		}
	}
	return nil
}

// drifts follows the clocks of a run or of two files.
func (f *driftFlags) drifts(c *cobra.Command, args []string) (drifts []stage.Drift, of stage.Origin, err error) {
	ctx, cancel := interruptible(c.Context())
	defer cancel()
	if dir, names := ofRun(args); dir != "" && len(names) == 0 {
		drifts, of, err := stage.Drifts(ctx, dir)
		notes(of.Words)
		return drifts, of, orEnded(ctx, err)
	}
	o := align.Options{Search: int64(f.search), MaxDrift: f.maxDrift}
	if err := o.Check(); err != nil {
		return nil, of, &exitError{exitUsage, err}
	}
	summary, of, err := f.clock(ctx, args, o, stage.ByPairs)
	if err != nil {
		return nil, of, orEnded(ctx, failure(err))
	}
	return []stage.Drift{{AlignSummary: summary}}, of, nil
}

// driftColumns are those of --csv.
var driftColumns = append([]string{"reference", "target"}, stage.KnotColumns...)

// writeDriftCSV writes a line for each knot of each pair of clocks.
func writeDriftCSV(out io.Writer, drifts []stage.Drift) error {
	return underHeading(out, strings.Join(driftColumns, ","), func(out io.Writer) error {
		var line []byte
		for _, d := range drifts {
			if d.Alignment == nil || d.Alignment.Track == nil {
				continue
			}
			for _, k := range d.Alignment.Track.Knots {
				line = append(append(append(append(line[:0], d.Reference...), ','), d.Target...), ',')
				if _, err := out.Write(stage.AppendKnot(line, k)); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
