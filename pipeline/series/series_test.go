package series

import (
	"context"
	"encoding/csv"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
)

// begun is a series of three thresholds and two rates.
func begun(t *testing.T, onFailure string) *Series {
	t.Helper()
	r := &recipe.Resolved{Recipe: &recipe.Recipe{Name: "x", Nodes: []recipe.Node{{Name: "alice", Channels: []recipe.Channel{{Name: "signal"}}}}},
		Files: []recipe.File{{Path: "/x.yaml", Bytes: []byte("x")}},
		Scan:  &recipe.Scan{OnFailure: onFailure, Axes: []recipe.Axis{{Path: "a", Values: []string{"10 mV", "20 mV", "30 mV"}}, {Path: "b", Values: []string{"1", "2"}}}}}
	s, err := Begin(t.TempDir(), r, time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// manifest is that of a run in a condition.
func manifest(condition run.Condition) *run.Manifest {
	return &run.Manifest{Condition: []run.Condition{condition, run.Simulated},
		Nodes: map[string]*run.Node{"alice": {Channels: map[string]*run.Channel{"signal": {Tags: 5, Rate: run.RateOf(5, 1e12)}}}}}
}

func TestSeriesGoesOnWhereItWas(t *testing.T) {
	s := begun(t, recipe.ScanGoesOn)
	var taken []string
	take := func(_ context.Context, number int, set []string, dir string) (*run.Manifest, string, error) {
		taken = append(taken, strings.Join(set, " "))
		switch {
		case number == 2:
			return nil, "", errors.New("no device")
		case number == 4 && len(taken) == 4:
			return nil, "", ErrStopped
		}
		return manifest(run.Good), filepath.Join(dir, "r"), nil
	}
	if err := s.Run(t.Context(), take); !errors.Is(err, ErrStopped) || s.Left() != 3 {
		t.Fatalf("%v, %d are left", err, s.Left())
	}
	again, err := Open(s.Dir())
	if err != nil || again.Left() != 3 || again.Failed() != 1 {
		t.Fatalf("%v: %+v", err, again)
	}
	if err := again.Run(t.Context(), take); err != nil {
		t.Fatal(err)
	}
	want := []string{"a=10 mV b=1", "a=10 mV b=2", "a=20 mV b=1", "a=20 mV b=2", "a=20 mV b=2", "a=30 mV b=1", "a=30 mV b=2"}
	if !slices.Equal(taken, want) {
		t.Errorf("taken: %q", taken)
	}
	if err := again.Run(t.Context(), take); err != nil || len(taken) != len(want) {
		t.Errorf("a series that is over: %v, %d runs", err, len(taken))
	}
	text, err := os.ReadFile(filepath.Join(s.Dir(), TableFile))
	if err != nil {
		t.Fatal(err)
	}
	about, table, _ := strings.Cut(string(text), "\n")
	lines, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil || !strings.Contains(about, "SIMULATED") || len(lines) != 7 || lines[2][3] != "" || lines[3][5] != "5" {
		t.Errorf("%v: %s", err, text)
	}
	if picture, err := os.ReadFile(filepath.Join(s.Dir(), "rates.svg")); err != nil || !strings.Contains(string(picture), "SIMULATED") {
		t.Errorf("no picture: %v", err)
	}
	if _, err := os.Stat(filepath.Join(s.Dir(), "pairs.svg")); err == nil {
		t.Error("there is a picture of pairs, of which nothing is known")
	}
}

// TestSeriesOfTwoProcesses: one of them takes the runs, and the other begins with none.
func TestSeriesOfTwoProcesses(t *testing.T) {
	s := begun(t, recipe.ScanGoesOn)
	other, err := Open(s.Dir())
	if err != nil {
		t.Fatal(err)
	}
	none := func(context.Context, int, []string, string) (*run.Manifest, string, error) {
		t.Error("a run is taken twice")
		return nil, "", nil
	}
	if err := s.Run(t.Context(), func(_ context.Context, _ int, _ []string, dir string) (*run.Manifest, string, error) {
		if err := other.Run(t.Context(), none); err == nil || !strings.Contains(err.Error(), "another process") {
			t.Errorf("while one goes on: %v", err)
		}
		return manifest(run.Good), filepath.Join(dir, "r"), nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := other.Run(t.Context(), none); err == nil || !strings.Contains(err.Error(), "a moment ago") {
		t.Errorf("after the other went on: %v", err)
	}
}

func TestSeriesStopsAtAFailure(t *testing.T) {
	s := begun(t, recipe.ScanStops)
	err := s.Run(t.Context(), func(_ context.Context, _ int, _ []string, dir string) (*run.Manifest, string, error) {
		return manifest(run.Incomplete), filepath.Join(dir, "r"), nil
	})
	if again, errOpen := Open(s.Dir()); err != nil || errOpen != nil || len(s.Shots) != 1 || again.Left() != 0 {
		t.Errorf("%v, %v: %d runs", err, errOpen, len(s.Shots))
	}
}

func TestFilesThatAreNoSeries(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "another version": `{"version": 2}`, "no axis": `{"version": 1, "recipe": [{}]}`,
		"an empty axis":       `{"version": 1, "recipe": [{}], "scan": {"axes": [{"path": "a"}]}}`,
		"a shot out of order": `{"version": 1, "recipe": [{}], "scan": {"axes": [{"path": "a", "values": ["1"]}]}, "shots": [{"shot": 2}]}`,
		"a run elsewhere":     `{"version": 1, "recipe": [{}], "scan": {"axes": [{"path": "a", "values": ["1"]}]}, "shots": [{"shot": 1, "values": ["1"], "directory": "../x"}]}`,
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, File), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(dir); err == nil {
			t.Errorf("%s: it is a series", name)
		}
	}
	if Is(t.TempDir()) {
		t.Error("an empty directory is a series")
	}
	if err := begun(t, recipe.ScanStops).Unchanged([]recipe.File{{Bytes: []byte("y")}}); err == nil {
		t.Error("another recipe is the same")
	}
}
