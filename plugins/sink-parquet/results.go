package main

import (
	"cmp"
	"context"
	"io"
	"slices"
	"strconv"

	"github.com/parquet-go/parquet-go"

	"tsrun/sdk"
)

// resultsConfig is what a recipe says about the sink where it takes results.
type resultsConfig struct {
	Compression string `json:"compression" jsonschema:"enum=none,enum=snappy,enum=zstd,description=of the pages"`
}

func resultsDefaults() resultsConfig { return resultsConfig{Compression: defaults().Compression} }

// writeResults writes a file for each stage that has a table.
func writeResults(_ context.Context, r *sdk.Results, c resultsConfig) error {
	if _, known := codecs[c.Compression]; !known {
		return &sdk.Failure{Code: "bad-config", Message: "compression " + clip(c.Compression) + " is not known", Hint: "write none, snappy or zstd", Field: "compression"}
	}
	return r.WriteTables(format, func(w io.Writer, of *sdk.Result) error { return writeTable(w, r, of, c) })
}

// nodeOf is the column of a table in the schema of its file: optional where some row
// has no value.
func nodeOf(c *sdk.Column) parquet.Node {
	var n parquet.Node
	switch c.Type {
	case sdk.Integer:
		n = parquet.Encoded(parquet.Int(64), &parquet.DeltaBinaryPacked)
	case sdk.Number:
		n = parquet.Leaf(parquet.DoubleType)
	default:
		n = parquet.String()
	}
	if c.Missing != nil {
		return parquet.Optional(n)
	}
	return n
}

// valueOf is the cell of a row.
func valueOf(c *sdk.Column, row, column int) parquet.Value {
	level := 0
	if c.Missing != nil {
		if !c.Has(row) {
			return parquet.NullValue().Level(0, 0, column)
		}
		level = 1
	}
	switch c.Type {
	case sdk.Integer:
		return parquet.Int64Value(c.Integers[row]).Level(0, level, column)
	case sdk.Number:
		return parquet.DoubleValue(c.Numbers[row]).Level(0, level, column)
	}
	return parquet.ByteArrayValue([]byte(c.Texts[row])).Level(0, level, column)
}

// table is a schema whose columns stand as those of the table do; those of a
// [parquet.Group] stand in order of their names.
type table struct {
	parquet.Group
	places map[string]int
}

func (t table) Fields() []parquet.Field {
	fields := t.Group.Fields()
	slices.SortFunc(fields, func(a, b parquet.Field) int { return cmp.Compare(t.places[a.Name()], t.places[b.Name()]) })
	return fields
}

// writeTable writes a table.
func writeTable(w io.Writer, r *sdk.Results, of *sdk.Result, c resultsConfig) error {
	group := table{parquet.Group{}, map[string]int{}}
	said := []pair{{"tsrun.run", r.Run}, {"tsrun.recipe_sha256", r.Recipe}, {"tsrun.stage", of.Stage}, {"tsrun.kind", of.Kind}, {"tsrun.simulated", strconv.FormatBool(r.Simulated)}}
	if r.Simulated {
		said = append(said, simulated)
	}
	for i := range of.Columns {
		column := &of.Columns[i]
		group.Group[column.Name], group.places[column.Name] = nodeOf(column), i
		if column.Unit != "" {
			said = append(said, pair{"tsrun.unit." + column.Name, column.Unit})
		}
	}
	schema := parquet.NewSchema("results", group)
	options := append(writerOptions(config{Compression: c.Compression}, said), schema)
	out := parquet.NewWriter(w, options...)
	for row, held := 0, 0; row < of.Rows; {
		rows := make([]parquet.Row, 0, chunk)
		for ; row < of.Rows && len(rows) < chunk; row++ {
			values := make(parquet.Row, len(of.Columns))
			for i := range of.Columns {
				values[i] = valueOf(&of.Columns[i], row, i)
			}
			rows = append(rows, values)
		}
		if _, err := out.WriteRows(rows); err != nil {
			return err
		}
		if held += len(rows); held >= defaults().RowGroup {
			held = 0
			if err := out.Flush(); err != nil {
				return err
			}
		}
	}
	return out.Close()
}
