package main

import (
	"encoding/json"
	"errors"
	"maps"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/calibrate"
	"tsrun/pipeline/catalogue"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/drill"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/sdk/tagfile"
)

// fill gives every exported field below a value, so that no key is left out. What holds
// more of its own kind holds it once.
func fill(v reflect.Value, within ...reflect.Type) {
	if v.Kind() == reflect.Struct {
		if slices.Contains(within, v.Type()) {
			return
		}
		within = append(slices.Clone(within), v.Type())
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), within...)
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Unix(1, 0)))
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), within...)
			}
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), within...)
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(1)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	}
}

func filled[T any]() (v T) {
	fill(reflect.ValueOf(&v).Elem())
	return v
}

// keysIn collects the keys of an answer and of all objects and lists below, as
// "peak.offset_ps".
func keysIn(v any, path string, found map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			found[path+key] = true
			keysIn(value, path+key+".", found)
		}
	case []any:
		for _, element := range v {
			keysIn(element, path, found)
		}
	}
}

// keyRows is what the tables under a heading of docs/results.md say: the unit and
// the meaning of each key, and the heading of another table for a key that refers
// to one.
type keyRows map[string]struct{ unit, means, table string }

var (
	keyRow      = regexp.MustCompile("(?m)^\\| (`[^|]*) \\| ([^|]*) \\| ([^|]*) \\|$")
	quotedKey   = regexp.MustCompile("`([^`]+)`")
	linkedTable = regexp.MustCompile(`see \[(\w+)\]\(#\w+\)`)
)

func keyTables(t *testing.T) map[string]keyRows {
	t.Helper()
	text, err := os.ReadFile("../../docs/results.md")
	if err != nil {
		t.Fatal(err)
	}
	tables := map[string]keyRows{}
	for part := range strings.SplitSeq(string(text), "\n## ") {
		heading, body, _ := strings.Cut(part, "\n")
		rows := keyRows{}
		for _, row := range keyRow.FindAllStringSubmatch(body, -1) {
			link := ""
			if m := linkedTable.FindStringSubmatch(row[3]); m != nil {
				link = m[1]
			}
			for _, key := range quotedKey.FindAllStringSubmatch(row[1], -1) {
				if _, twice := rows[key[1]]; twice {
					t.Errorf("two rows of %s are about %s", heading, key[1])
				}
				rows[key[1]] = struct{ unit, means, table string }{strings.TrimSpace(row[2]), strings.TrimSpace(row[3]), link}
			}
		}
		tables[heading] = rows
	}
	return tables
}

// Every key that a stage or a command writes has a row in docs/results.md, with
// unit and meaning, and every row is about a key that is written.
func TestResultKeysAreDocumented(t *testing.T) {
	info, err := infoAnswer("x", filled[tagfile.Info](), errors.New("x"))
	if err != nil {
		t.Fatal(err)
	}
	tables, used := keyTables(t), map[string]map[string]bool{}
	for _, answer := range []struct {
		name   string
		tables []string // where its keys stand, the first that knows one
		value  any
	}{
		{"stage align", []string{"Align"}, filled[stage.AlignSummary]()},
		{"stage coincidences", []string{"Coincidences"}, filled[stage.CoincidencesSummary]()},
		{"stage scan", []string{"Scan"}, filled[stage.ScanSummary]()},
		{"stage histogram", []string{"Histogram"}, filled[stage.HistogramSummary]()},
		{"stage g2", []string{"g2"}, filled[stage.G2Summary]()},
		{"stage rates", []string{"Rates"}, filled[stage.RatesSummary]()},
		{"drift --json", []string{"Align"}, filled[stage.Drift]()},
		{"coincidences --json", []string{"Coincidences"}, filled[stage.CoincidencesAnswer]()},
		{"scan --json", []string{"Scan"}, filled[correlate.Scan]()},
		{"histogram --json", []string{"Histogram"}, filled[correlate.Histogram]()},
		{"g2 --json", []string{"g2"}, filled[correlate.G2]()},
		{"rates --json", []string{"Rates"}, filled[correlate.Rates]()},
		{"info --json", []string{"Info"}, json.RawMessage(info)},
		{"convert --json", []string{"Convert"}, filled[tagfile.Report]()},
		{"verify --json", []string{"Verify"}, filled[run.Verification]()},
		{"runs --json", []string{"Runs"}, map[string]any{"runs": []jsonRow{{catalogue.Names(), make([]any, len(catalogue.Names()))}}}},
		{"runs compare --json", []string{"Comparison"}, filled[catalogue.Comparison]()},
		{"drill --json", []string{"Drill"}, filled[drill.Report]()},
		{"calibrate --json", []string{"Calibrate"}, filled[calibrate.Proposal]()},
		{"check --json", []string{"Check"}, filled[recipe.Problem]()},
		{"version --json", []string{"Version"}, filled[build]()},
	} {
		text, err := json.Marshal(answer.value)
		var held map[string]any
		if err == nil {
			err = json.Unmarshal(text, &held)
		}
		if err != nil {
			t.Fatalf("%s: %v", answer.name, err)
		}
		keys := map[string]bool{}
		keysIn(held, "", keys)
		for _, key := range slices.Sorted(maps.Keys(keys)) {
			table, of := rowOf(tables, answer.tables, key)
			row, ok := tables[table][of]
			if !ok || row.unit == "" || row.means == "" {
				t.Errorf("%s: docs/results.md says nothing of %s under %q", answer.name, key, answer.tables)
				continue
			}
			if used[table] == nil {
				used[table] = map[string]bool{}
			}
			used[table][of] = true
		}
	}
	for heading, rows := range tables {
		for key := range rows {
			if used[heading] != nil && !used[heading][key] {
				t.Errorf("docs/results.md has a row about %s under %s, and nothing writes it", key, heading)
			}
		}
	}
}

// rowOf finds the table and the name under which a key stands, also behind one
// that refers to another table.
func rowOf(tables map[string]keyRows, among []string, key string) (table, name string) {
	for _, table := range among {
		if _, ok := tables[table][key]; ok {
			return table, key
		}
		for outer, row := range tables[table] {
			if rest, below := strings.CutPrefix(key, outer+"."); below && row.table != "" {
				return rowOf(tables, []string{row.table}, rest)
			}
		}
	}
	return "", ""
}
