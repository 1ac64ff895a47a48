package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tsrun/internal/recordings"
	"tsrun/pipeline/run"
)

// replayRecipe plays one recording through two simulated controllers, which one
// START edge fires. A single record has no dead time that could swallow a tag.
// Its files are of the compact format.
const replayRecipe = `version: 1
name: replay
nodes:
  alice:
    controllers:
      tc: {driver: tc-ethernet, config: {address: sim, record: single}}
    channels:
      a: {on: tc/1, threshold: 100 mV}
  bob:
    controllers:
      tc: {driver: tc-ethernet, config: {address: sim, record: single}}
    channels:
      b: {on: tc/1, threshold: 100 mV}
network: {ports: {trigger: 0, status: 0, files: 0}}
trigger: {master: alice, method: hardware}
acquire: {duration: %d ms, segment: %d ms}
pipeline:
  - {stage: histogram, name: forward, config: {start: alice.a, stop: bob.b, range: 160 ns, bin: 16 ps}}
  - {stage: histogram, name: backward, config: {start: bob.b, stop: alice.a, range: 160 ns, bin: 16 ps}}
sinks:
  raw: {sink: sink-file, config: {format: tags}}
simulate:
  alice: {start_line: "127.0.0.1:%d", replay: {file: %q, channels: {1: %d}}}
  bob: {start_line: "127.0.0.1:%[3]d", replay: {file: %[4]q, channels: {1: %[6]d}}}
`

// TestReplay measures real recordings with the whole system and expects the
// known histograms, bin for bin.
func TestReplay(t *testing.T) {
	t.Parallel()
	for _, known := range recordings.All(t) {
		t.Run(known.Name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			duration := known.Length/1_000_000_000 + 100
			path := write(t, filepath.Join(work, "replay.yaml"),
				fmt.Sprintf(replayRecipe, duration, duration/3+1, ownPort(t, "127.0.0.1"), known.Path, known.A, known.B))
			good(t, runTsrun(t, work, path))
			dir, m := latest(t, work)
			if !m.Has(run.Good) || !m.Has(run.Simulated) {
				t.Errorf("condition %v; reasons %v", m.Condition, m.Reasons)
			}
			for channel, file := range map[string]int{"alice.a": known.A, "bob.b": known.B} {
				node, name, _ := strings.Cut(channel, ".")
				if got, want := m.Nodes[node].Channels[name].Tags, known.Counts[strconv.Itoa(file)]; got != want {
					t.Errorf("%s has %d tags, the recording %d", channel, got, want)
				}
			}
			sameBins(t, "forward", known.BMinusA, upperHalf(t, filepath.Join(dir, "results", "forward.csv")))
			sameBins(t, "backward", known.AMinusB, upperHalf(t, filepath.Join(dir, "results", "backward.csv")))
		})
	}
}

func sameBins(t *testing.T, what string, want, got []uint64) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// upperHalf reads the bins from 0 on out of a histogram's file.
func upperHalf(t *testing.T, path string) (counts []uint64) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var start int64
		var n uint64
		if _, err := fmt.Sscanf(line, "%d,%d", &start, &n); err == nil && start >= 0 {
			counts = append(counts, n)
		}
	}
	return counts
}
