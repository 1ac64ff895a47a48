package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tsrun/pipeline/catalogue"
	"tsrun/pipeline/text"
)

func newRunsCompareCommand() *cobra.Command {
	var o output
	var all bool
	c := &cobra.Command{
		Use:   "compare RUN RUN",
		Short: "say what differs between two runs: recipe, programs, devices, results",
		Long: `compare says what differs between two run directories: conditions, recipes as they
were resolved, versions and sums of programs, devices, and results. Of numbers it says
by how much the second is more, and how many standard deviations that is where both
runs state them. What belongs to one run alone is left out: times of day, addresses,
files. It reads what the runs say of themselves; verify proves it.

Only the main results are printed; --all, --json and --csv give each.`,
		Example: `  tsrun runs compare runs/20260301T120000Z-pairs runs/latest`,
		Args:    arguments(2, 2, "two run directories"),
		RunE: func(c *cobra.Command, args []string) error {
			found, err := catalogue.Compare(args[0], args[1])
			if err != nil {
				return err
			}
			shown := found.Main()
			if all {
				shown = found.Differences
			}
			return o.print(c, "differences of "+args[0]+" and "+args[1], found,
				func(out io.Writer) error { return writeDifferencesCSV(out, found) },
				func(out io.Writer) error { return printDifferences(out, shown) })
		},
	}
	o.add(c, differenceColumns, "a, b, differences")
	c.Flags().BoolVar(&all, "all", false, "print each number of the results that differs")
	return c
}

const differenceColumns = "part,path,a,b,change,deviations"

func writeDifferencesCSV(out io.Writer, c catalogue.Comparison) error {
	return underHeading(out, differenceColumns, func(out io.Writer) error {
		for _, d := range c.Differences {
			line := tableLine([]string{d.Part, text.Printable(d.Path), cell(d.A, ""), cell(d.B, ""),
				string(d.Change.AppendCell(nil, -1)), string(d.Deviations.AppendCell(nil, 4))})
			if _, err := fmt.Fprintln(out, line); err != nil {
				return err
			}
		}
		return nil
	})
}

// printDifferences writes a table with a heading for each part.
func printDifferences(out io.Writer, list []catalogue.Difference) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(out, "nothing differs")
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	part := ""
	for _, d := range list {
		if d.Part != part {
			part = d.Part
			fmt.Fprintf(table, "%s\n", part)
		}
		fmt.Fprintf(table, "  %s\t%s\t%s%s\n", text.Printable(d.Path), brief(d.A), brief(d.B), change(d))
	}
	return table.Flush()
}

// briefly is how many characters of a value a line has room for.
const briefly = 28

func brief(v any) string {
	s := []rune(cell(v, "-"))
	if len(s) <= briefly {
		return string(s)
	}
	return string(s[:briefly-1]) + "…"
}

// change is a cell with by how much two numbers differ; of others there is none.
func change(d catalogue.Difference) string {
	switch {
	case !d.Change.Known():
		return ""
	case d.Deviations.Known():
		return fmt.Sprintf("\t%+.6g, %+.1f sd", float64(d.Change), float64(d.Deviations))
	}
	return fmt.Sprintf("\t%+.6g", float64(d.Change))
}
