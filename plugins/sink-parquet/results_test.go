package main

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"

	"tsrun/sdk"
)

// tabled is the file that the program makes of a table, and of another result that has
// none.
func tabled(t *testing.T, config, columns, rows string) *file.Reader {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "results")
	cmd.Env, cmd.Dir = append(os.Environ(), convertsAs+"=1"), dir
	request := `{"version":1,"sink":"sink-parquet","config":` + config + `,"run":"0123","recipe":"abab","simulated":true,"results":2}` + "\n" +
		`{"stage":"rates","kind":"rates","file":"rates","columns":[` + columns + `],"rows":` + jsonOf(t, strings.Count(rows, "\n")) + "}\n" + rows +
		`{"stage":"empty","kind":"align","file":"empty","columns":[],"rows":0}` + "\n"
	cmd.Stdin = strings.NewReader(request)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v %s", err, said.String())
	}
	var a sdk.ResultsAnswer
	if err := json.Unmarshal(out, &a); err != nil || len(a.Files) != 1 || a.Files[0].Path != "rates.parquet" || !slices.Equal(a.Without, []string{"empty"}) {
		t.Fatalf("%v %s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(dir, "rates.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := file.NewParquetReader(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// columnOf is what another implementation finds in a column of three rows; nil: no value.
func columnOf(t *testing.T, r *file.Reader, at int) (cells []any) {
	t.Helper()
	column, err := r.RowGroup(0).Column(at)
	if err != nil {
		t.Fatal(err)
	}
	var values []any
	levels, n := make([]int16, 8), 0
	switch column := column.(type) {
	case *file.Int64ColumnChunkReader:
		read := make([]int64, 8)
		_, n, err = column.ReadBatch(8, read, levels, nil)
		for _, v := range read[:n] {
			values = append(values, v)
		}
	case *file.Float64ColumnChunkReader:
		read := make([]float64, 8)
		_, n, err = column.ReadBatch(8, read, levels, nil)
		for _, v := range read[:n] {
			values = append(values, v)
		}
	case *file.ByteArrayColumnChunkReader:
		read := make([]parquet.ByteArray, 8)
		_, n, err = column.ReadBatch(8, read, levels, nil)
		for _, v := range read[:n] {
			values = append(values, string(v))
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	for row := range r.NumRows() {
		if r.MetaData().Schema.Column(at).MaxDefinitionLevel() > 0 && levels[row] == 0 {
			cells = append(cells, nil)
			continue
		}
		cells, values = append(cells, values[0]), values[1:]
	}
	return cells
}

// TestResultsByArrow: another implementation finds the columns in the table's order, with
// each digit, and no value where there is none.
func TestResultsByArrow(t *testing.T) {
	columns := `{"name":"z_ps","unit":"ps","type":"integer"},{"name":"g2","type":"number"},{"name":"of","type":"text"},{"name":"a","type":"integer"},{"name":"none","type":"number"}`
	rows := "9223372036854775807,0.1,x,1,\n,,,-2,\n-9007199254740993,NaN,é,3,\n"
	for _, compression := range []string{"none", "snappy", "zstd"} {
		r := tabled(t, `{"compression":"`+compression+`"}`, columns, rows)
		schema := r.MetaData().Schema
		var names []string
		for i := range schema.NumColumns() {
			names = append(names, schema.Column(i).Name())
		}
		if strings.Join(names, " ") != "z_ps g2 of a none" || r.NumRows() != 3 {
			t.Fatalf("%d rows of %v", r.NumRows(), names)
		}
		want := [][]any{{int64(math.MaxInt64), nil, int64(-9007199254740993)}, {0.1, nil, nil}, {"x", "", "é"}, {int64(1), int64(-2), int64(3)}, {nil, nil, nil}}
		for i := range want {
			got := columnOf(t, r, i)
			if i == 1 && math.IsNaN(got[2].(float64)) {
				got[2] = nil // a value that is no number, as it was in the table
			}
			if !slices.Equal(got, want[i]) {
				t.Errorf("%s: column %s: %v, want %v", compression, names[i], got, want[i])
			}
		}
		said := r.MetaData().KeyValueMetadata()
		for key, want := range map[string]string{"tsrun.run": "0123", "tsrun.stage": "rates", "tsrun.kind": "rates", "tsrun.simulated": "true", "SIMULATED": "computed and not measured", "tsrun.unit.z_ps": "ps"} {
			if got := said.FindValue(key); got == nil || *got != want {
				t.Errorf("%s is %v, want %s", key, got, want)
			}
		}
	}
}

// TestResultsWithoutRows: a table that has a heading alone is a file with columns.
func TestResultsWithoutRows(t *testing.T) {
	if r := tabled(t, `{}`, `{"name":"b","type":"integer"},{"name":"a","type":"text"}`, ""); r.NumRows() != 0 || r.MetaData().Schema.Column(0).Name() != "b" {
		t.Errorf("%d rows, %v", r.NumRows(), r.MetaData().Schema)
	}
}
