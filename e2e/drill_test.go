package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/drill"
)

// drilled breaks so many runs of a short recipe of two nodes, and wants nothing
// to be lost without a word.
func drilled(t *testing.T, within time.Duration, args ...string) drill.Report {
	t.Helper()
	need.Address(t) // over which a remote node may reach a master
	dir := t.TempDir()
	args = append([]string{"drill", shipped(t, "coincidence.yaml"), "--set", "acquire.segment=250 ms",
		"--dir", filepath.Join(dir, "drill"), "--json"}, args...)
	p := start(t, dir, nil, args...)
	select {
	case <-p.ended:
	case <-time.After(within):
		t.Fatalf("the drill has not ended within %v\n%s", within, p.stderr.String())
	}
	var report drill.Report
	if err := json.Unmarshal([]byte(p.stdout.String()), &report); err != nil {
		t.Fatalf("%v\n%s\n%s", err, p.stdout.String(), p.stderr.String())
	}
	for _, r := range report.Runs {
		if len(r.Defects) > 0 {
			t.Errorf("%+v", r)
		}
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 && !t.Failed() {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
	return report
}

// TestDrill breaks a few runs.
func TestDrill(t *testing.T) {
	t.Parallel()
	const runs = 4
	report := drilled(t, 10*time.Minute, "--seed", "39", "--runs", fmt.Sprint(runs), "--at-once", fmt.Sprint(runs), "--set", "acquire.duration=1 s", "--longest", "1 s")
	if len(report.Runs) != runs {
		t.Errorf("%d runs, want %d", len(report.Runs), runs)
	}
	if done := doneTo(report, "driver", "sink"); done == 0 { // they are found by what they inherit
		t.Errorf("no plugin was broken: %+v", report.Runs)
	}
}

// doneTo counts the faults that were done to processes of some roles.
func doneTo(report drill.Report, roles ...string) (n int) {
	for _, r := range report.Runs {
		for _, f := range r.Faults {
			if f.Outcome == "done" && slices.Contains(roles, f.Target.Role) {
				n++
			}
		}
	}
	return n
}

// TestLongDrill breaks 300 runs with faults of all kinds.
func TestLongDrill(t *testing.T) {
	t.Parallel()
	runs := need.LongTrials(t, 300, 3)
	report := drilled(t, 2*time.Hour, "--runs", fmt.Sprint(runs), "--at-once", "6", "--seed", "1000", "--set", "acquire.duration=3 s")
	for _, k := range report.Kinds {
		t.Logf("%+v", k)
		if k.NotDone > k.Faults/2 {
			t.Errorf("most faults of kind %s find nothing to break: %+v", k.Kind, k)
		}
	}
	if len(report.Runs) != runs || report.Here == 0 {
		t.Errorf("%d runs, %d files", len(report.Runs), report.Here)
	}
}
