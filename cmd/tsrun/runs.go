package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"tsrun/pipeline/catalogue"
	"tsrun/pipeline/run"
	"tsrun/pipeline/series"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

func newRunsCommand() *cobra.Command {
	var o output
	var q catalogue.Query
	c := &cobra.Command{
		Use:   "runs [DIR]",
		Short: "list the runs of a directory, with their conditions and results",
		Long: `runs lists the run directories in DIR (runs, where it is left out), the oldest
first: when each started, how long it took, what it found and its condition. One
that has not ended goes on, or its master was killed.

Columns are ` + strings.Join(catalogue.Names(), ", ") + `; and
each path of manifest.json, as nodes.alice.channels.signal.rate_hz, where results
go by the names of their stages, as results.g2.g2_at_zero. commit has + behind it where
the recipe was not as committed; rate_hz is that of all channels together; pairs and
offset_ps are those of the first stages that found some.`,
		Example: `  tsrun runs --where condition=GOOD --where 'pairs>=1000'
  tsrun runs --columns started,pairs,results.pairs.car --csv
  tsrun runs compare runs/A runs/B`,
		Args: arguments(0, 1, "one directory of runs or none"),
		RunE: func(c *cobra.Command, args []string) error {
			dir := "runs"
			if len(args) > 0 {
				dir = args[0]
			}
			if run.IsRun(dir) {
				return usage(fmt.Sprintf("%s is a run directory, and runs lists those in a directory of them; tsrun report %s shows what was found", dir, dir))
			}
			table, err := q.List(dir)
			var mistake *catalogue.MistakeError
			switch {
			case errors.As(err, &mistake):
				return usage(mistake.Error())
			case err != nil:
				return err
			}
			noteSeries(dir)
			return o.print(c, "runs in "+dir, struct {
				Runs []jsonRow `json:"runs"`
			}{jsonRows(table)}, func(out io.Writer) error { return writeRunsCSV(out, table) },
				func(out io.Writer) error { return printRuns(out, table, len(q.Columns) == 0) })
		},
	}
	o.add(c, "of the columns", "runs, with a key for each column")
	c.Flags().StringSliceVar(&q.Columns, "columns", nil, "the `COLUMNS` that are wanted, with commas between")
	completeList(c, "columns", catalogue.Names())
	c.Flags().StringArrayVar(&q.Where, "where", nil, "only runs for which this holds: `COLUMN=VALUE`, or with != < <= > >=; given more than once, all must hold")
	c.AddCommand(newRunsCompareCommand())
	return c
}

// noteSeries says which directories have runs of their own, which are not listed.
func noteSeries(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // which the list has told
	}
	for _, e := range entries {
		if path := filepath.Join(dir, e.Name()); e.IsDir() && series.Is(path) {
			fmt.Fprintf(os.Stderr, "note: %s is a series, whose runs tsrun runs %s lists\n", text.Printable(path), text.Printable(path))
		}
	}
}

// jsonRow is a row that keeps the order of its columns in JSON.
type jsonRow struct {
	columns []string
	cells   []any
}

func jsonRows(t catalogue.Table) []jsonRow {
	rows := make([]jsonRow, len(t.Rows))
	for i, cells := range t.Rows {
		rows[i] = jsonRow{t.Columns, cells}
	}
	return rows
}

// MarshalJSON writes an object with a key for each column.
func (r jsonRow) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	for i, name := range r.columns {
		key, err := json.Marshal(name)
		if err != nil {
			return nil, err
		}
		value, err := json.Marshal(r.cells[i])
		if err != nil {
			return nil, err
		}
		out.WriteString(map[bool]string{true: "{", false: ","}[i == 0])
		out.Write(key)
		out.WriteByte(':')
		out.Write(value)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

func writeRunsCSV(out io.Writer, t catalogue.Table) error {
	return underHeading(out, tableLine(t.Columns), func(out io.Writer) error {
		for _, row := range t.Rows {
			cells := make([]string, len(row))
			for i, v := range row {
				cells[i] = cell(v, "")
			}
			if _, err := fmt.Fprintln(out, tableLine(cells)); err != nil {
				return err
			}
		}
		return nil
	})
}

// tableLine is a line of a table, whose cells hold no commas.
func tableLine(cells []string) string {
	line := make([]string, len(cells))
	for i, c := range cells {
		line[i] = strings.ReplaceAll(c, ",", " ")
	}
	return strings.Join(line, ",")
}

// cell is a value in a table; what there is none of is written as none.
func cell(v any, none string) string {
	switch v := v.(type) {
	case nil:
		return none
	case []string:
		return text.Printable(strings.Join(v, " + "))
	}
	return text.Printable(fmt.Sprint(v))
}

// printRuns writes a table for people: the columns that were asked for, or a choice.
func printRuns(out io.Writer, t catalogue.Table, chosen bool) error {
	table := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	if !chosen {
		heading := make([]string, len(t.Columns))
		for i, name := range t.Columns {
			heading[i] = text.Printable(name)
		}
		fmt.Fprintln(table, strings.Join(heading, "\t"))
		for _, row := range t.Rows {
			cells := make([]string, len(row))
			for i, v := range row {
				cells[i] = cell(v, "-")
			}
			fmt.Fprintln(table, strings.Join(cells, "\t"))
		}
		return table.Flush()
	}
	fmt.Fprintln(table, "started (UTC)\ttook\ttags\tpairs\toffset\tcondition\trecipe\tdirectory")
	for _, row := range t.Rows {
		of := map[string]any{}
		for i, name := range t.Columns {
			of[name] = row[i]
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", minute(of["started"]), seconds(of["took_s"]), cell(of["tags"], "-"), cell(of["pairs"], "-"),
			offset(of["offset_ps"], of["offset_sd_ps"]), condition(of), at(of["recipe"], of["commit"]), cell(of["directory"], "-"))
	}
	return table.Flush()
}

func minute(started any) string {
	s, ok := started.(string)
	if !ok || len(s) < len("2026-03-01T12:00") {
		return "-"
	}
	return strings.Replace(s[:len("2026-03-01T12:00")], "T", " ", 1)
}

func seconds(took any) string {
	number, ok := took.(json.Number)
	if !ok {
		return "-"
	}
	return number.String() + " s"
}

func offset(ps, sd any) string {
	value, ok := ps.(json.Number)
	deviation, is := sd.(json.Number)
	if !ok || !is {
		return "-"
	}
	d, err := deviation.Float64()
	if err != nil {
		return "-"
	}
	_, known, _ := strings.Cut(text.Measured(0.0, d, "ps"), " ")
	return quantity.Thousands(value.String()) + " " + known // the value is of whole ps
}

func condition(of map[string]any) string {
	if of["error"] != nil {
		return cell(of["error"], "-")
	}
	return cell(of["condition"], "-")
}

func at(recipe, commit any) string {
	if commit == nil {
		return cell(recipe, "-")
	}
	return cell(recipe, "-") + " @ " + cell(commit, "-")
}
