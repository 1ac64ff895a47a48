package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
)

const shotsRecipe = `version: 1
name: shots
nodes:
  alice:
    controllers:
      tc: {driver: tc-ethernet, config: {address: sim}}
    channels:
      signal: {on: tc/1, threshold: 120 mV}
  bob:
    controllers:
      tc: {driver: tc-ethernet, config: {address: sim}}
    channels:
      idler: {on: tc/1, threshold: 80 mV}
trigger: {master: alice, lead: 400 ms}
acquire: {duration: 300 ms, segment: 200 ms, repeat: 3}
pipeline:
  - {stage: align, config: {reference: alice.signal, target: bob.idler, search: 20 ms}}
  - {stage: coincidences, name: pairs, config: {of: [alice.signal, bob.idler], window: 2 ns}}
sinks:
  raw: {sink: sink-file, config: {format: bin}}
simulate:
  seed: 7
  pairs: {rate: 20 kHz, jitter: 80 ps}
`

func writeRecipe(t *testing.T, text string) (dir, path string) {
	t.Helper()
	dir = t.TempDir()
	path = filepath.Join(dir, "recipe.yaml")
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return dir, path
}

// Each shot has its own files and its own start, and stages look at all.
func TestShots(t *testing.T) {
	t.Parallel()
	dir, path := writeRecipe(t, shotsRecipe)
	r := runTsrun(t, dir, append([]string{path}, freePorts...)...)
	at, m := latest(t, dir)
	if r.code != 0 && !heldUp(m) {
		t.Fatalf("exit code %d: %s\n%s", r.code, reasons(m), r.stderr)
	}
	if !strings.Contains(r.stdout+r.stderr, "shot 3 of 3") {
		t.Errorf("nothing is said of shot 3 of 3:\n%s", r.stdout)
	}
	if len(m.Trigger.Shots) != 3 || m.DurationPs != 900_000_000_000 {
		t.Errorf("%d shots of %d ps in all", len(m.Trigger.Shots), m.DurationPs)
	}
	for name, n := range m.Nodes {
		if len(n.Takes) != 3 {
			t.Fatalf("%s has %d shots", name, len(n.Takes))
		}
		for i, take := range n.Takes {
			if take.Start == nil || take.InstantNs != m.Trigger.Shots[i].InstantNs || take.At != uint64(take.InstantNs-m.Trigger.InstantNs)*1000 || take.Shots["tc"].Called < take.InstantNs {
				t.Errorf("%s, shot %d: %+v", name, i+1, take)
			}
		}
		for channel, c := range n.Channels {
			if c.LengthPs < 899_000_000_000 || c.LengthPs > 901_000_000_000 || c.LastPs < n.Takes[2].At {
				t.Errorf("%s.%s: %d ps, the last tag at %d ps", name, channel, c.LengthPs, c.LastPs)
			}
		}
	}
	if v := runTsrun(t, dir, "verify", at); v.code != 0 {
		t.Errorf("verify: %s%s", v.stdout, v.stderr)
	}
	if live := followedShots(t, at); !slices.Equal(live, []int{1, 2, 3}) && !heldUp(m) {
		t.Errorf("while the run went on the clock was found in shots %v", live)
	}
	if heldUp(m) { // in all trials, so that less was recorded together
		return
	}
	summary, ok := stage.DecodeSummary[stage.AlignSummary](m.Results[0])
	if !ok || summary.Refused || summary.Parts != 3 {
		t.Errorf("align: %+v", m.Results[0])
	}
	pairs, ok := stage.DecodeSummary[stage.CoincidencesSummary](m.Results[1])
	if !ok || pairs.OneToOne < 15_000 { // of 18 000 in all shots
		t.Errorf("pairs: %+v", m.Results[1])
	}
}

// followedShots are the shots in which the clock was found while the run went on, in
// the order in which that was told.
func followedShots(t *testing.T, dir string) (shots []int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, stage.SyncFile))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var s event.Sync
		if err := json.Unmarshal([]byte(line), &s); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if s.Value != nil && (len(shots) == 0 || shots[len(shots)-1] != s.Shot) {
			shots = append(shots, s.Shot)
		}
	}
	return shots
}

// A driver that dies in a shot ends the shots; what was taken is kept and aligned.
func TestShotThatFails(t *testing.T) {
	t.Parallel()
	dir, path := writeRecipe(t, strings.Replace(shotsRecipe, "repeat: 3", "repeat: 50", 1))
	p := start(t, dir, nil, append([]string{path, "--json"}, freePorts...)...)
	eventually(t, 30*time.Second, "shot 2 is fired", func() bool { return strings.Contains(p.stdout.String(), `"shot":2`) })
	members := family(t, p.cmd.Process.Pid)
	bob := members[slices.IndexFunc(members, func(m process) bool { return strings.Contains(m.command, "--node bob") })].pid
	driver := slices.IndexFunc(members, func(m process) bool { return m.parent == bob && strings.Contains(m.command, "tc-ethernet") })
	if err := syscall.Kill(members[driver].pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(60 * time.Second); code != 3 {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
	_, m := latest(t, dir)
	if taken := len(m.Trigger.Shots); taken < 2 || taken > 40 || !m.Has(run.Incomplete) {
		t.Errorf("%d shots were taken: %s", taken, reasons(m))
	}
	if m.Nodes["alice"].Channels["signal"].Tags < 5_000 {
		t.Errorf("alice kept %d tags", m.Nodes["alice"].Channels["signal"].Tags)
	}
}

// Of several shots each is armed for a START pulse of its own.
func TestShotsByHardware(t *testing.T) {
	t.Parallel()
	port := ownPort(t, "127.0.0.1")
	text := strings.NewReplacer("repeat: 3", "repeat: 2", "trigger: {", "trigger: {method: hardware, ").Replace(shotsRecipe)
	line := fmt.Sprintf("{start_line: \"127.0.0.1:%d\"}", port)
	dir, path := writeRecipe(t, text+"  alice: "+line+"\n  bob: "+line+"\n")
	r := runTsrun(t, dir, append([]string{path}, freePorts...)...)
	_, m := latest(t, dir)
	if r.code != 0 && !heldUp(m) {
		t.Fatalf("exit code %d: %s\n%s", r.code, reasons(m), r.stderr)
	}
	if len(m.Trigger.Shots) != 2 || len(m.Nodes["bob"].Takes) != 2 || m.WholeShots(3e11) != 2 {
		t.Errorf("%d shots, bob has %d, %d whole", len(m.Trigger.Shots), len(m.Nodes["bob"].Takes), m.WholeShots(3e11))
	}
	summary, ok := stage.DecodeSummary[stage.AlignSummary](m.Results[0])
	if !ok || summary.Refused || summary.Parts != 2 {
		t.Fatalf("align: %+v", m.Results[0])
	}
	if off := summary.Alignment.Offset.Float(); off > 1000 || off < -1000 {
		t.Errorf("one pulse started both, and bob began %v ps later", off)
	}
}

// With compensation: auto the start commands follow what starts take, by a little at a
// time; each change is told and kept, and the true start is within what is stated.
func TestShotsAreCompensated(t *testing.T) {
	t.Parallel()
	text := strings.NewReplacer("repeat: 3", "repeat: 5", "lead: 400 ms", "lead: 400 ms, compensation: {bob: auto}", "duration: 300 ms", "duration: 200 ms").Replace(shotsRecipe)
	dir, path := writeRecipe(t, text+"  bob: {start_delay: 250 us, start_wander: 4 us}\n")
	r := runTsrun(t, dir, append([]string{path, "--json"}, freePorts...)...)
	_, m := latest(t, dir)
	if r.code != 0 && !heldUp(m) {
		t.Fatalf("exit code %d: %s\n%s", r.code, reasons(m), r.stderr)
	}
	takes, changes := m.Nodes["bob"].Takes, 0
	if len(takes) != 5 {
		t.Fatalf("%d shots", len(takes))
	}
	for i, take := range takes {
		shot := take.Shots["tc"]
		if shot.CompensationNs == nil || shot.BackNs == nil || *shot.CompensationNs != take.CompensationNs || shot.Asked > take.InstantNs-take.CompensationNs+1 {
			t.Fatalf("shot %d: %+v", take.Number, take)
		}
		if i == 0 {
			continue
		}
		moved := take.CompensationNs - takes[i-1].CompensationNs
		if i < 2 && moved != 0 || moved > 100_000 || moved < -100_000 {
			t.Errorf("shot %d moves the compensation by %d ns", take.Number, moved)
		}
		if moved != 0 {
			changes++
		}
	}
	if told := strings.Count(r.stdout, `"event":"compensated"`); told != changes {
		t.Errorf("%d changes are told of %d", told, changes)
	}
	if m.Nodes["alice"].Controllers["tc"].Compensation != nil {
		t.Error("alice is compensated, whom the recipe does not name")
	}
	start := takes[4].Start
	if off := truth(t, m, "bob").StartUnixNs - start.EstimateNs; off > start.UncertaintyNs || off < -start.UncertaintyNs {
		t.Errorf("the start is stated %d ns beside the truth, to within %d ns", off, start.UncertaintyNs)
	}
}
