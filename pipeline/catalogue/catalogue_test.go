package catalogue_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/pipeline/catalogue"
)

// write makes a run directory of a manifest and a resolved recipe.
func write(t *testing.T, dir, manifest, resolved string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "recipe"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"manifest.json": manifest, "recipe/resolved.json": resolved} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// manifest is one with a pair of channels and what two stages found.
func manifest(started, condition string, pairs, offset string) string {
	return fmt.Sprintf(`{"condition": ["%s", "SIMULATED"], "name": "pairs", "started": "%s", "ended": "2026-03-01T12:00:05.25Z", "tsrun": "v1",
	"recipe": {"file": "recipe/pairs.yaml", "resolved": "recipe/resolved.json", "git": {"commit": "0123456789abcdef", "dirty": true}},
	"nodes": {"alice": {"pid": 7, "channels": {"signal": {"tags": 18446744073709551615, "rate_hz": 12.5}, "dark": {"tags": 0, "rate_hz": null}},
		"controllers": {"tc": {"driver": "d", "device": {"serial": "S1"}}}}},
	"segments": [{"file": "x", "sha256": "y"}],
	"results": [{"stage": "clock", "kind": "align", "summary": {"offset_ps": %s, "offset_sd_ps": 3, "alignment": {"offset_ps": %s}}},
		{"stage": "pairs", "kind": "coincidences", "summary": {"all": %s, "curve": [%s]}}]}`,
		condition, started, offset, offset, pairs, strings.Repeat("1,", 99)+pairs)
}

func runs(t *testing.T) string {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "b"), manifest("2026-03-01T12:00:00Z", "GOOD", "1000", "9007199254740993"), "{}")
	write(t, filepath.Join(dir, "a"), manifest("2026-03-01T12:00:00.5Z", "TAINTED", "999", "-5"), "{}")
	write(t, filepath.Join(dir, "empty"), `{"nodes": {}}`, "{}")
	write(t, filepath.Join(dir, "bad"), `{"condition": 5}`, "{}")
	write(t, filepath.Join(dir, "other"), `{"name": "a page", "start_url": "/"}`, "{}")
	if err := os.Mkdir(filepath.Join(dir, "none"), 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// names are the directories of the rows.
func names(t catalogue.Table) []string {
	var list []string
	i := slices.Index(t.Columns, "directory")
	for _, row := range t.Rows {
		list = append(list, filepath.Base(row[i].(string)))
	}
	return list
}

func TestNamedColumns(t *testing.T) {
	table, err := catalogue.Query{}.List(runs(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := names(table); !slices.Equal(got, []string{"bad", "empty", "other", "b", "a"}) {
		t.Fatalf("runs %v", got)
	}
	n := json.Number("0")
	unreadable := make([]any, 13)
	want := [][]any{
		unreadable,
		{nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, nil, []string{"not ended"}},
		unreadable,
		{"pairs", "2026-03-01T12:00:00Z", "2026-03-01T12:00:05Z", json.Number("5.25"), "pairs.yaml", "0123456789ab+", json.Number("18446744073709551615"), n,
			json.Number("12.500"), json.Number("1000"), json.Number("9007199254740993"), json.Number("3"), []string{"GOOD", "SIMULATED"}},
	}
	for i, row := range want {
		if diff := cmp.Diff(row, table.Rows[i][1:len(row)+1]); diff != "" {
			t.Errorf("row %d: %s", i, diff)
		}
	}
	for row, saying := range map[int]string{0: "read manifest", 2: "of something else than a run: it names no nodes"} {
		if why, _ := table.Rows[row][len(table.Columns)-1].(string); !strings.Contains(why, saying) {
			t.Errorf("why a run cannot be read: %q", why)
		}
	}
}

func TestConditionsOnColumns(t *testing.T) {
	dir := runs(t)
	for where, want := range map[string]string{
		"condition=GOOD":                       "b",
		"condition=SIMULATED":                  "b a",
		"condition!=GOOD":                      "empty a",
		"pairs>=1000":                          "b",
		"pairs<1e3":                            "a",
		"pairs>-1":                             "b a",
		"pairs=":                               "empty",
		"pairs!=999":                           "empty b",
		"offset_ps=9007199254740993":           "b",
		"offset_ps=9007199254740992":           "",
		"offset_ps<=-5":                        "a",
		"started>2026-03-01":                   "b a",
		"started<2026-03-01":                   "",
		"tags=18446744073709551615":            "b a",
		"tags>18446744073709551614":            "b a",
		"results.clock.alignment.offset_ps=-5": "a",
		"nodes.alice.channels.signal.rate_hz = 12.50": "b a",
		"nodes.alice.channels.dark.rate_hz=":          "empty b a",
		"directory=" + filepath.Join(dir, "bad"):      "bad",
		"error!=":                                     "bad other",
	} {
		table, err := catalogue.Query{Columns: []string{"directory"}, Where: []string{where}}.List(dir)
		if err != nil {
			t.Errorf("%s: %v", where, err)
		} else if got := strings.Join(names(table), " "); got != want {
			t.Errorf("%s: %q, want %q", where, got, want)
		}
	}
	table, err := catalogue.Query{Columns: []string{"directory"}, Where: []string{"pairs>0", "condition=TAINTED"}}.List(dir)
	if err != nil || !slices.Equal(names(table), []string{"a"}) {
		t.Errorf("two conditions: %v, %v", table, err)
	}
}

func TestMistakesInAQuery(t *testing.T) {
	dir := runs(t)
	for name, q := range map[string]catalogue.Query{
		"unknown column":    {Columns: []string{"paris"}},
		"unknown path":      {Columns: []string{"nodes.bob.channels.x.tags"}},
		"a segment":         {Columns: []string{"segments.0.file"}},
		"condition on it":   {Where: []string{"paris=5"}},
		"no operator":       {Where: []string{"condition"}},
		"nothing":           {Where: []string{""}},
		"an operator alone": {Where: []string{"="}},
		"no column":         {Where: []string{"<5"}},
		"no number":         {Where: []string{"pairs>many"}},
		"a unit":            {Where: []string{"nodes.alice.channels.signal.rate_hz<10 kHz"}},
		"a thousand":        {Where: []string{"pairs=1k"}},
		"more than nothing": {Where: []string{"pairs>"}},
	} {
		_, err := q.List(dir)
		var mistake *catalogue.MistakeError
		if !asMistake(err, &mistake) {
			t.Errorf("%s: %v, want a mistake", name, err)
		}
	}
	if _, err := (catalogue.Query{}).List(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a directory that is none is listed")
	}
	if table, err := (catalogue.Query{Columns: []string{"results.x.y"}}).List(t.TempDir()); err != nil || len(table.Rows) > 0 {
		t.Errorf("no runs: %v, %v", table, err)
	}
}

func asMistake(err error, into **catalogue.MistakeError) bool {
	m, ok := err.(*catalogue.MistakeError)
	*into = m
	return ok
}

func TestWhatDiffers(t *testing.T) {
	dir := t.TempDir()
	a := write(t, filepath.Join(dir, "a"), manifest("2026-03-01T12:00:00Z", "GOOD", "1000", "7"), `{"version": 1, "name": "pairs", "acquire": {"duration": "3 s"}}`)
	changed := strings.NewReplacer(`"pid": 7`, `"pid": 8`, `"S1"`, `"S2"`, `"tsrun": "v1"`, `"tsrun": "v2"`).Replace(manifest("2026-03-02T12:00:00Z", "TAINTED", "1010", "12"))
	b := write(t, filepath.Join(dir, "b"), changed, `{"version": 1, "name": "pairs", "acquire": {"duration": "2 s"}}`)

	same, err := catalogue.Compare(a, a)
	if err != nil || len(same.Differences) > 0 {
		t.Fatalf("a run and itself: %v, %v", same, err)
	}
	found, err := catalogue.Compare(a, b)
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	by := map[string]catalogue.Difference{}
	for _, d := range found.Differences {
		paths = append(paths, d.Part+" "+d.Path)
		by[d.Path] = d
	}
	want := []string{"condition condition.0", "recipe acquire.duration", "programs tsrun", "devices nodes.alice.controllers.tc.device.serial",
		"results results.clock.alignment.offset_ps", "results results.clock.offset_ps", "results results.pairs.all", "results results.pairs.curve"}
	if diff := cmp.Diff(want, paths); diff != "" {
		t.Error(diff)
	}
	if d := by["results.clock.offset_ps"]; d.Change != 5 || d.Deviations < 1.17 || d.Deviations > 1.18 {
		t.Errorf("the offset differs by %v, %v deviations", d.Change, d.Deviations)
	}
	if d := by["results.pairs.all"]; d.Change != 10 || d.Deviations.Known() {
		t.Errorf("pairs differ by %v, %v deviations", d.Change, d.Deviations)
	}
	if n := len(found.Main()); n != len(want)-1 {
		t.Errorf("%d main differences of %d", n, len(want))
	}
	if list := found.Without(catalogue.PartResults, catalogue.PartCondition); len(list) != 3 {
		t.Errorf("without results: %v", list)
	}
	if _, err := catalogue.Compare(a, dir); err == nil || !strings.Contains(err.Error(), "no run directory") {
		t.Errorf("no run: %v", err)
	}
}

func TestRecipeThatRepeats(t *testing.T) {
	for name, text := range map[string]string{
		"none":    `{"nodes": {}}`,
		"outside": `{"nodes": {}, "recipe": {"repeats": "../x.yaml"}}`,
		"missing": `{"nodes": {}, "recipe": {"repeats": "recipe/x.yaml"}}`,
		"no sums": `{"nodes": {}, "recipe": {"repeats": "recipe/resolved.json"}, "ended": "2026-03-01T12:00:00Z"}`,
	} {
		if path, err := catalogue.Repeats(write(t, t.TempDir(), text, "{}")); err == nil {
			t.Errorf("%s: %s", name, path)
		}
	}
	dir := write(t, t.TempDir(), `{"nodes": {}, "recipe": {"repeats": "recipe/resolved.json"}}`, "{}")
	if path, err := catalogue.Repeats(dir); err != nil || path != filepath.Join(dir, "recipe", "resolved.json") {
		t.Errorf("a run that was killed: %q, %v", path, err)
	}
}
