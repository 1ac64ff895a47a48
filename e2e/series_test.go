package e2e

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/series"
	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
)

// A series that is killed goes on where it was, and says what the simulator's detectors
// see at each threshold.
func TestSeriesIsKilledAndResumed(t *testing.T) {
	t.Parallel()
	killSeries(t, 1, []quantity.Voltage{80, 120, 160}, "--set", "scan={nodes.alice.channels.signal.threshold: {from: 80 mV, to: 160 mV, step: 40 mV}}")
}

// TestLongSeriesOfSeventeen does so with all values of the shipped recipe, killed in the middle.
func TestLongSeriesOfSeventeen(t *testing.T) {
	need.LongWhole(t)
	var values []quantity.Voltage
	for mV := quantity.Voltage(40); mV <= 200; mV += 10 {
		values = append(values, mV)
	}
	killSeries(t, 8, values)
}

// killSeries kills the series of the shipped recipe after so many of its runs, has it
// resumed, and compares each run with what is seen at its threshold, in mV.
func killSeries(t *testing.T, after int, values []quantity.Voltage, sets ...string) {
	t.Helper()
	dir := t.TempDir()
	p := start(t, dir, nil, append(append([]string{shipped(t, "threshold-scan.yaml"), "--set", "acquire.duration=300 ms"}, sets...), freePorts...)...)
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
	for deadline := time.Now().Add(time.Duration(after) * 2 * time.Minute); taken() < after; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d runs of it are not over:\n%s", after, p.stderr.String())
		}
	}
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(20 * time.Second)
	before := taken()
	if before == len(values) {
		t.Log("it was over before it was killed, which shows nothing of resuming")
	}
	again := start(t, dir, nil, "resume", at())
	again.wait(time.Duration(len(values)) * 20 * time.Second)
	s, err := series.Open(at())
	if err != nil || len(s.Shots) != len(values) {
		t.Fatalf("%v\n%s", err, again.stderr.String())
	}
	pulses := idq.Pulses{Height: 120 * quantity.Millivolt, Spread: 25 * quantity.Millivolt}
	good := 0
	for i, mV := range values {
		got, want := s.Shots[i].Rates["alice.signal"], 21_000*pulses.Crossing(mV*quantity.Millivolt)
		if !s.Shots[i].Good() {
			t.Logf("%d mV: %v", mV, s.Shots[i].Condition) // this PC may have held it up
			continue
		}
		good++
		if math.Abs(got-want) > 6*math.Sqrt(want/0.3) {
			t.Errorf("%d mV: %.0f tags/s, want %.0f", mV, got, want)
		}
	}
	table, err := os.ReadFile(filepath.Join(at(), series.TableFile))
	if err != nil || strings.Count(string(table), "\n") != len(values)+2 || !strings.Contains(string(table), "80 mV") {
		t.Errorf("%v: %s", err, table)
	}
	t.Logf("killed after %d of %d runs, then resumed; %d are GOOD and have the rates of their thresholds", before, len(values), good)
}
