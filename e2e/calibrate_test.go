package e2e

import (
	"encoding/json"
	"math"
	"os"
	"strings"
	"testing"

	"tsrun/pipeline/calibrate"
	"tsrun/pipeline/run"
)

// What is proposed are the true latencies of the controllers, and it stands in the
// recipe afterwards, once.
func TestCalibrate(t *testing.T) {
	t.Parallel()
	text := strings.Replace(strings.Replace(shotsRecipe, ", repeat: 3", "", 1), "lead: 400 ms", "lead: 400 ms, compensation: {bob: auto}", 1) + "  bob: {start_delay: 250 us}\n"
	dir, path := writeRecipe(t, text)
	if r := runTsrun(t, dir, append([]string{path}, freePorts...)...); r.code != 0 {
		_, m := latest(t, dir)
		if !heldUp(m) {
			t.Fatalf("exit code %d: %s\n%s", r.code, reasons(m), r.stderr)
		}
		return // on a PC that was held up the photons of the little that was recorded may not do
	}
	at, m := latest(t, dir)
	latency := func(node string) int64 { // ns from the command to the first record, in truth
		return truth(t, m, node).StartUnixNs - m.Nodes[node].Controllers["tc"].Shot.Called
	}
	used := m.Nodes["bob"].Controllers["tc"].Compensation
	if used == nil || used.Path == nil || used.Path.Questions != 64 || used.Path.Known() != (used.MeasuredNs != nil) {
		t.Fatalf("bob was compensated by %+v", used)
	}
	if used.MeasuredNs == nil && (used.UsedNs != 0 || used.Why == "") || used.MeasuredNs != nil && (used.UsedNs != *used.MeasuredNs || *used.MeasuredNs > used.Path.RoundTripNs) {
		t.Errorf("bob was compensated by %+v", used)
	}
	if shot := m.Nodes["bob"].Controllers["tc"].Shot; shot.Asked != m.Trigger.InstantNs-used.UsedNs || m.Nodes["bob"].Start.CompensationNs != used.UsedNs {
		t.Errorf("bob was fired at %+v for %d", shot, m.Trigger.InstantNs)
	}
	// On a PC that is too busy nothing was measured, and all is proposed.
	want := latency("bob") - latency("alice") - used.UsedNs
	for i := range 2 {
		r := runTsrun(t, dir, "calibrate", at, "--write", "--json")
		var p calibrate.Proposal
		if err := json.Unmarshal([]byte(r.stdout), &p); err != nil || r.code != 0 || !p.Simulated || len(p.Compensation) != 1 {
			t.Fatalf("exit code %d, %v: %s%s", r.code, err, r.stdout, r.stderr)
		}
		if c := p.Compensation[0]; c.Node != "bob" || math.Abs(float64(c.Is-want)) > 1000 {
			t.Errorf("%+v, and the true latencies differ by %d ns", c, want)
		}
		if len(p.Written) != 1 || p.Written[0].Already != (i > 0) {
			t.Errorf("written %+v", p.Written)
		}
		has, err := os.ReadFile(path)
		if err != nil || strings.Replace(string(has), "bob: "+p.Compensation[0].Text, "bob: auto", 1) != text {
			t.Errorf("%v\n%s", err, has)
		}
	}
	if r := runTsrun(t, dir, "calibrate", at); r.code != 0 || !strings.HasPrefix(r.stdout, string(run.Simulated)) || !strings.Contains(r.stdout, "\n    bob: ") {
		t.Errorf("exit code %d\n%s%s", r.code, r.stderr, r.stdout)
	}
}
