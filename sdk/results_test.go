package sdk

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const threeColumns = `{"version":1,"sink":"s","run":"r","results":1}
{"stage":"pairs","kind":"coincidences","file":"pairs","columns":[{"name":"a_ps","unit":"ps","type":"integer"},{"name":"g2","type":"number"},{"name":"of","type":"text"}],"rows":2}
9223372036854775807,,x
,0.1,
`

func TestResultsAreReadAsTheyWere(t *testing.T) {
	r, _, err := readResults(strings.NewReader(threeColumns), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	of, err := r.Next()
	if err != nil {
		t.Fatal(err)
	}
	a, g, x := &of.Columns[0], &of.Columns[1], &of.Columns[2]
	if a.Integers[0] != math.MaxInt64 || a.Has(1) || !math.IsNaN(a.AsNumbers()[1]) || g.Has(0) || g.Numbers[1] != 0.1 || !math.IsNaN(g.Numbers[0]) || x.Cell(0) != "x" || !x.Has(1) {
		t.Errorf("%+v", of)
	}
	if err := r.Write(of, "csv", func(w io.Writer) error { return r.WriteCSV(w, of) }); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(r.dir, "pairs.csv"))
	if want := "a_ps,g2,of\n9223372036854775807,,x\n,0.1,\n"; err != nil || !strings.HasSuffix(string(text), want) || !strings.HasPrefix(string(text), "# measured; stage pairs") {
		t.Errorf("%v\n%s", err, text)
	}
	if f := r.answer.Files; len(f) != 1 || f[0].Size != int64(len(text)) || f[0].Path != "pairs.csv" {
		t.Errorf("%+v", f)
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Error(err)
	}
	if err := r.Write(of, "csv", func(io.Writer) error { return errors.New("full") }); err == nil {
		t.Error("a file that was not written was told of")
	}
	if left, _ := filepath.Glob(filepath.Join(r.dir, ".*")); len(left) > 0 {
		t.Error(left)
	}
}

func TestRefusesResults(t *testing.T) {
	for name, change := range map[string][2]string{
		"version": {`"version":1`, `"version":2`}, "count": {`"results":1`, `"results":1001`}, "a file elsewhere": {`"file":"pairs"`, `"file":"../pairs"`},
		"type": {`"type":"text"`, `"type":"blob"`}, "twice": {`"name":"g2"`, `"name":"a_ps"`}, "rows": {`"rows":2`, `"rows":99999999`}, "negative": {`"rows":2`, `"rows":-1`},
		"a row short": {",0.1,\n", ""}, "a cell short": {",0.1,", "0.1,"}, "a cell more": {",0.1,", ",0.1,,"}, "no number": {"0.1", "z"}, "beyond 64 bits": {"9223372036854775807", "9223372036854775808"},
		"a row more": {",0.1,\n", ",0.1,\n1,1,1\n"}, "no JSON": {`{"stage"`, `"stage"`},
	} {
		text := strings.Replace(threeColumns, change[0], change[1], 1)
		r, _, err := readResults(strings.NewReader(text), t.TempDir())
		for err == nil {
			_, err = r.Next()
		}
		if text == threeColumns || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s was taken: %v", name, err)
		}
	}
}

func FuzzResults(f *testing.F) {
	f.Add([]byte(threeColumns))
	f.Fuzz(func(t *testing.T, text []byte) {
		r, _, err := readResults(bytes.NewReader(text), "")
		for err == nil {
			_, err = r.Next()
		}
	})
}

func TestPluginWritesResults(t *testing.T) {
	type nothing struct{}
	taking := func(take bool) Plugin {
		return Plugin{Name: "s", Sinks: []SinkType{TakingResults(NewSink("s", nothing{}, nil), nothing{}, func(_ context.Context, r *Results, _ nothing) error {
			if take {
				of, err := r.Next()
				r.Without(of)
				return err
			}
			return nil
		})}}
	}
	var out, complaints bytes.Buffer
	if code := run(taking(true), []string{"results"}, strings.NewReader(threeColumns), &out, &complaints); code != 0 {
		t.Fatalf("%d %s", code, complaints.String())
	}
	var a ResultsAnswer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil || a.Version != ResultsVersion || len(a.Without) != 1 {
		t.Errorf("%v %+v", err, a)
	}
	if code := run(taking(false), []string{"results"}, strings.NewReader(threeColumns), &out, &complaints); code != 1 || !strings.Contains(complaints.String(), "not all results") {
		t.Errorf("%d %s", code, complaints.String())
	}
	if d, err := taking(true).Describe(); err != nil || d.Sinks[0].Results == nil {
		t.Errorf("%v %+v", err, d)
	}
}
