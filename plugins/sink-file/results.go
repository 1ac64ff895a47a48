package main

import (
	"context"
	"fmt"
	"io"

	"tsrun/sdk"
	"tsrun/sdk/tagfile"
)

// csvFormat is one of the two formats of results; the other is [tagfile.NPZ].
const csvFormat = "csv"

// resultsConfig is what a recipe says about the sink where it takes results.
type resultsConfig struct {
	Format string `json:"format" jsonschema:"enum=csv,enum=npz,description=of each table: csv: a line that says where it is from and a heading and the rows; npz: an array of numpy for each column"`
}

func resultsDefaults() resultsConfig { return resultsConfig{Format: csvFormat} }

// writeResults writes a file for each stage that has a table.
func writeResults(_ context.Context, r *sdk.Results, c resultsConfig) error {
	write := map[string]func(io.Writer, *sdk.Results, *sdk.Result) error{
		csvFormat:   func(w io.Writer, r *sdk.Results, of *sdk.Result) error { return r.WriteCSV(w, of) },
		tagfile.NPZ: writeArrays,
	}[c.Format]
	if write == nil {
		return &sdk.Failure{Code: "bad-config", Message: fmt.Sprintf("results in format %.40q", c.Format), Hint: "write csv or npz", Field: "format"}
	}
	return r.WriteTables(c.Format, func(w io.Writer, of *sdk.Result) error { return write(w, r, of) })
}

// writeArrays writes an array for each column. Where an integer column has no value in
// some rows it is one of floating-point numbers, as numpy has no integer that is none;
// and one of texts where these would not have the last digits.
func writeArrays(w io.Writer, r *sdk.Results, of *sdk.Result) error {
	a := tagfile.NewArchive(w)
	units := map[string]string{}
	for i := range of.Columns {
		c := &of.Columns[i]
		if c.Unit != "" {
			units[c.Name] = c.Unit
		}
		var err error
		switch {
		case c.Type == sdk.Text:
			err = a.Texts(c.Name, c.Texts)
		case c.Type == sdk.Integer && c.Missing == nil:
			err = a.Integers(c.Name, c.Integers)
		case !c.Exact():
			err = a.Texts(c.Name, cellsOf(c, of.Rows))
		default:
			err = a.Numbers(c.Name, c.AsNumbers())
		}
		if err != nil {
			return err
		}
	}
	err := a.About(struct {
		Run       string            `json:"run"`
		Recipe    string            `json:"recipe_sha256,omitempty"`
		Simulated bool              `json:"simulated"`
		Stage     string            `json:"stage"`
		Kind      string            `json:"kind"`
		Units     map[string]string `json:"units"`
		About     string            `json:"about"`
	}{r.Run, r.Recipe, r.Simulated, of.Stage, of.Kind, units, r.About(of)})
	if err != nil {
		return err
	}
	return a.Close()
}

func cellsOf(c *sdk.Column, rows int) []string {
	cells := make([]string, rows)
	for row := range cells {
		cells[row] = c.Cell(row)
	}
	return cells
}
