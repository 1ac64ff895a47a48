package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

func newClockCommand() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "clock RUN",
		Short: "work out again how the nodes' clocks stood through a run",
		Long: `clock works out again how far the clock of each node on another PC was ahead of
the master's, from the probes and the words of ptp4l and chronyd that the run
directory keeps: at the start, and whenever a file of tags was closed. The SHA-256
of each record is proven first.`,
		Example: "  tsrun clock runs/latest",
		Args:    arguments(1, 1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			all, err := run.Clocks(args[0])
			if err != nil {
				return err
			}
			answer := struct {
				Clocks []run.ClockHistory `json:"clocks"`
			}{all}
			return o.print(c, "clocks of "+args[0]+"; times in ns", answer, func(out io.Writer) error { return writeClocksCSV(out, all) },
				func(out io.Writer) error { return printClocks(out, all) })
		},
	}
	o.add(c, clockColumns+" per moment", "clocks")
	return c
}

const clockColumns = "node,utc_ns,monotonic_ns,source,offset_ns,offset_sd_ns,bound_ns,drift_ppb,file"

func writeClocksCSV(out io.Writer, all []run.ClockHistory) error {
	return underHeading(out, clockColumns, func(out io.Writer) error {
		for _, h := range all {
			for _, m := range h.Moments {
				reading := ",,,,"
				if r := m.Reading; r != nil {
					reading = fmt.Sprintf("%s,%d,%.1f,%d,%.3f", r.Source, r.Offset, r.Deviation, r.Bound, r.Drift)
				}
				if _, err := fmt.Fprintf(out, "%s,%d,%d,%s,%s\n", h.Node, m.UTC, m.Monotonic, reading, strings.ReplaceAll(text.Printable(m.File), ",", " ")); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func printClocks(out io.Writer, all []run.ClockHistory) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "node\tat\tsource\toffset\tdeviation\tdrift\tfile")
	for _, h := range all {
		for _, m := range h.Moments {
			at := fmt.Sprintf("%.3f s", float64(m.Monotonic-h.Moments[0].Monotonic)/1e9)
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", h.Node, at, readingCells(m.Reading), text.Printable(m.File))
		}
	}
	return table.Flush()
}

// readingCells are source, offset, deviation and drift.
func readingCells(r *clock.Reading) string {
	if r == nil {
		return "none\t\t\t"
	}
	direction := "ahead"
	if r.Offset < 0 {
		direction = "behind"
	}
	return fmt.Sprintf("%s\t%s %s\t%.0f ns\t%s", r.Source, text.Bounded(text.Magnitude(r.Offset), r.Bound), direction, r.Deviation,
		text.Measured(r.Drift, r.DriftSd, "ppb"))
}
