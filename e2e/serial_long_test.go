package e2e

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/steady"
	"tsrun/pipeline/run"
)

// serialRun runs serial.yaml and compares it with the truth: 2 ns steps against 1 ps. It
// returns by how many of its stated deviations the offset is off. Runs of one seed start
// at other moments, so each is a trial by chance: 3 deviations hold in 99 % of many, and
// one alone is false beyond 5.
func serialRun(t *testing.T, seed int, drift string) (pull float64) {
	t.Helper()
	steady.Try(t, 20*time.Millisecond, func(once *steady.T) {
		work := t.TempDir()
		args := append([]string{shipped(t, "serial.yaml"), "--set", "acquire.duration=2 s", "--set", "simulate.seed=" + strconv.Itoa(seed),
			"--set", "simulate.bob.drift=" + drift}, freePorts...)
		if r := runTsrun(t, work, args...); r.code != 0 { // a simulated TDC1 that was held up began later than a real one can
			once.Errorf("exit code %d\n%s%s", r.code, r.stdout, r.stderr)
			return
		}
		pull = checkSerial(t, work, fmt.Sprintf("seed %d, drift %s", seed, drift))
	})
	return pull
}

// checkSerial compares what a run in a directory found with the truth.
func checkSerial(t *testing.T, work, name string) float64 {
	t.Helper()
	dir, m := latest(t, work)
	if want := []run.Condition{run.Good, run.Simulated}; !slices.Equal(m.Condition, want) {
		t.Errorf("condition %v, want %v; reasons %v", m.Condition, want, m.Reasons)
	}
	checkTags(t, dir, m, "alice", "signal")
	checkTags(t, dir, m, "bob", "idler")
	var found alignment
	text, err := os.ReadFile(filepath.Join(dir, "results", "align.json"))
	if err == nil {
		err = json.Unmarshal(text, &found)
	}
	if err != nil {
		t.Fatal(err)
	}
	want := newTwoClocks(t, truth(t, m, "alice"), truth(t, m, "bob"), 1, 1).offset(found.ReferencePs).Float()
	miss := float64(found.OffsetPs) - want
	t.Logf("%s: offset %d ps ± %.2f ps, truly %.1f ps: %.2f of its deviations off", name, found.OffsetPs, found.OffsetSdPs, want, miss/found.OffsetSdPs)
	if found.Refused || math.Abs(miss) > 5*found.OffsetSdPs || found.OffsetSdPs > 100 {
		t.Errorf("offset %d ps ± %.2f ps (refused: %v), truly %.1f ps", found.OffsetPs, found.OffsetSdPs, found.Refused, want)
	}
	return miss / found.OffsetSdPs
}

// TestSerial runs the shipped recipe of two kinds of controllers, with clocks
// that drift and with clocks on one reference, where nothing dithers the steps.
func TestSerial(t *testing.T) {
	t.Parallel()
	for _, drift := range []string{"12 ppb", "0 ppb"} {
		t.Run(drift, func(t *testing.T) {
			t.Parallel()
			serialRun(t, 7, drift)
		})
	}
}

// TestSerialFaults: what a fault costs is in the condition, and what came is kept.
func TestSerialFaults(t *testing.T) {
	t.Parallel()
	for fault, reason := range map[string]string{"lost-bytes=3@500 ms": "bytes of the TDC1 were lost", "unplugged=2 s": "vanished"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			r := runTsrun(t, work, append([]string{shipped(t, "serial.yaml"), "--set", "acquire.duration=3 s", "--set", "simulate.bob.faults=[" + fault + "]"}, freePorts...)...)
			if r.code != 3 {
				t.Errorf("exit code %d, want 3", r.code)
			}
			contains(t, r.stdout+r.stderr, "INCOMPLETE + SIMULATED", reason)
			_, m := latest(t, work)
			if c := m.Nodes["bob"].Channels["idler"]; c.Tags == 0 || reason != "vanished" && c.Lost == 0 {
				t.Errorf("%d tags, %d lost", c.Tags, c.Lost)
			}
		})
	}
}

func TestLongSerial(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var pulls []float64
	t.Run("runs", func(t *testing.T) {
		for seed := 1; seed <= need.LongTrials(t, 20, 2); seed++ {
			for _, drift := range []string{"12 ppb", "0 ppb"} {
				t.Run(fmt.Sprintf("seed %d, %s", seed, drift), func(t *testing.T) {
					t.Parallel()
					pull := serialRun(t, seed, drift)
					mu.Lock()
					defer mu.Unlock()
					pulls = append(pulls, pull)
				})
			}
		}
	})
	outside := 0
	for _, p := range pulls {
		if math.Abs(p) > 3 {
			outside++
		}
	}
	if most := 1 + len(pulls)/20; outside > most { // of 99 %, as many are in one of a thousand such tests
		t.Errorf("%d of %d offsets are off by more than 3 of their deviations: %.2f", outside, len(pulls), pulls)
	}
}
