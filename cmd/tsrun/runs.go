package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

func newRunsCommand() *cobra.Command {
	var o output
	c := &cobra.Command{
		Use:   "runs [DIR]",
		Short: "list the runs of a directory, with their conditions",
		Long: `runs lists the run directories in DIR (runs, where it is left out), the oldest
first: when each started, how long it took, how many tags it has, and its
condition. One that has not ended goes on, or its master was killed.`,
		Args: arguments(0, 1, "one directory of runs or none"),
		RunE: func(c *cobra.Command, args []string) error {
			dir := "runs"
			if len(args) > 0 {
				dir = args[0]
			}
			list, err := run.List(dir)
			if err != nil {
				return err
			}
			answer := struct {
				Runs []run.Listed `json:"runs"`
			}{list}
			return o.print(c, "runs in "+dir, answer, func(out io.Writer) error { return writeRunsCSV(out, list) },
				func(out io.Writer) error { return printRuns(out, list) })
		},
	}
	o.add(c, "per run: "+runColumns, "runs")
	return c
}

const runColumns = "directory,name,started,ended,tags,condition"

func writeRunsCSV(out io.Writer, list []run.Listed) error {
	return underHeading(out, runColumns, func(out io.Writer) error {
		for _, l := range list {
			cells := []string{l.Directory, l.Name, stamp(l.Started), stamp(l.Ended), fmt.Sprint(l.Tags), l.Words()}
			for i := range cells {
				cells[i] = strings.ReplaceAll(text.Printable(cells[i]), ",", " ")
			}
			if _, err := fmt.Fprintln(out, strings.Join(cells, ",")); err != nil {
				return err
			}
		}
		return nil
	})
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func printRuns(out io.Writer, list []run.Listed) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(table, "started (UTC)\ttook\ttags\tcondition\tdirectory")
	for _, l := range list {
		started, took := "-", "-"
		if !l.Started.IsZero() {
			started = l.Started.UTC().Format("2006-01-02 15:04")
		}
		if !l.Ended.IsZero() {
			took = l.Ended.Sub(l.Started).Round(100 * time.Millisecond).String()
		}
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", started, took, l.Tags, l.Words(), text.Printable(l.Directory))
	}
	return table.Flush()
}
