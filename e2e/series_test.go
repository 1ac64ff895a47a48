package e2e

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/pipeline/series"
	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
)

// A series that is killed goes on where it was, and says what the simulator's detectors
// see at each threshold.
func TestSeriesIsKilledAndResumed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	args := append([]string{shipped(t, "threshold-scan.yaml"), "--set", "acquire.duration=300 ms",
		"--set", "scan={nodes.alice.channels.signal.threshold: {from: 80 mV, to: 160 mV, step: 40 mV}}"}, freePorts...)
	p := start(t, dir, nil, args...)
	at := func() string {
		found, _ := filepath.Glob(filepath.Join(dir, "runs", "*-series"))
		if len(found) != 1 {
			return ""
		}
		return found[0]
	}
	taken := func() int {
		s, err := series.Open(at())
		if err != nil {
			return 0
		}
		return len(s.Shots)
	}
	for deadline := time.Now().Add(2 * time.Minute); taken() == 0; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no run of it is over:\n%s", p.stderr.String())
		}
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(20 * time.Second)
	before := taken()
	if before == 3 {
		t.Log("it was over before it was killed, which shows nothing of resuming")
	}
	again := start(t, dir, nil, "resume", at())
	again.wait(60 * time.Second)
	s, err := series.Open(at())
	if err != nil || len(s.Shots) != 3 {
		t.Fatalf("%v\n%s", err, again.stderr.String())
	}
	pulses := idq.Pulses{Height: 120 * quantity.Millivolt, Spread: 25 * quantity.Millivolt}
	for i, mV := range []quantity.Voltage{80, 120, 160} {
		got, want := s.Shots[i].Rates["alice.signal"], 21_000*pulses.Crossing(mV*quantity.Millivolt)
		if !s.Shots[i].Good() {
			t.Logf("%d mV: %v", mV, s.Shots[i].Condition) // this PC may have held it up
			continue
		}
		if math.Abs(got-want) > 6*math.Sqrt(want/0.3) {
			t.Errorf("%d mV: %.0f tags/s, want %.0f", mV, got, want)
		}
	}
	table, err := os.ReadFile(filepath.Join(at(), series.TableFile))
	if err != nil || strings.Count(string(table), "\n") != 5 || !strings.Contains(string(table), "80 mV") {
		t.Errorf("%v: %s", err, table)
	}
}
