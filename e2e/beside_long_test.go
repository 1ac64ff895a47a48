package e2e

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// TestLongFilesTravelBesideARecording records for ten seconds from a device that holds
// the tags of the last second and loses what is not taken by then: once without a
// master, so that no file travels meanwhile, and once while each closed file is sent to
// a master on the same PC, written there and proven. Every tag is in a proven file or a
// recorded loss; how many were lost in each is told, because that is what this PC can do.
func TestLongFilesTravelBesideARecording(t *testing.T) {
	need.LongWhole(t)
	own := need.Address(t)
	for _, every := range []int{200, 100} { // ns, of each of two channels
		for _, travel := range []bool{false, true} {
			recordLive(t, own, every, travel)
		}
	}
}

func recordLive(t *testing.T, own string, every int, travel bool) {
	t.Helper()
	const seconds = 10
	expected := uint64(2 * seconds * 1_000_000_000 / every)
	work := inMemory(t)
	recipe := write(t, filepath.Join(work, "live.yaml"), fmt.Sprintf(`version: 1
name: live
nodes:
  alice:
    host: remote
    controllers: {tc: {driver: tc-hurry, config: {every: %d ns, live: 1 s}}}
    channels:
      a: {on: tc/1, threshold: 120 mV}
      b: {on: tc/2, threshold: 120 mV}
trigger: {master: alice, lead: 1 s}
network: {insecure: true, master: %s}
acquire: {duration: %d s, segment: 1 s}
sinks: {raw: {sink: sink-file, config: {format: bin}}}
`, every, own, seconds))
	runs, here, said := filepath.Join(work, "data"), 0, ""
	if travel {
		runs = filepath.Join(work, "runs")
		here, said = recordAndSend(t, own, work, recipe)
	} else {
		local := start(t, work, nil, "--mode", "slave", "--node", "alice", "--local", recipe, "--data", "data")
		local.wait(2 * time.Minute)
		said = local.stderr.String()
	}
	dirs, _ := filepath.Glob(filepath.Join(runs, "2*"))
	if len(dirs) != 1 {
		t.Fatalf("%d runs\n%s", len(dirs), said)
	}
	m, err := run.ReadManifest(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	tags, lost, inFiles := uint64(0), uint64(0), uint64(0)
	for _, c := range m.Nodes["alice"].Channels {
		tags, lost = tags+c.Tags, lost+c.Lost
	}
	for _, s := range m.Segments {
		if inFiles += s.Tags; !s.Verified {
			t.Errorf("%s is not proven", s.File)
		}
	}
	t.Logf("%d tags/s, files travel: %v: %d tags in proven files, %d lost; %d of %d files were with the master when the recording ended",
		expected/seconds, travel, inFiles, lost, here, len(m.Segments))
	if tags+lost != expected || inFiles != tags {
		t.Errorf("%d tags came, %d are in files, %d are told to be lost; %d were to come\n%s", tags, inFiles, lost, expected, reasons(m))
	}
}

// recordAndSend has a slave record for a master, and returns how many files that had
// proven when the recording ended, and what it said.
func recordAndSend(t *testing.T, own, work, recipe string) (here int, said string) {
	t.Helper()
	port := strconv.Itoa(ownPort(t, own))
	args := []string{recipe, "--json", "--runs", "runs", "--set", "network.ports.status=" + port}
	for _, name := range []string{"trigger", "files", "clock"} {
		args = append(args, "--set", fmt.Sprintf("network.ports.%s=%d", name, ownPort(t, own)))
	}
	master := start(t, work, nil, args...)
	start(t, work, nil, "--mode", "slave", "--node", "alice", "--data", "data", "--once", "--master", net.JoinHostPort(own, port), "--tls", "off")
	master.wait(3 * time.Minute)
	before, _, _ := strings.Cut(master.stdout.String(), inState("draining"))
	return strings.Count(before, `"event":"verified"`), master.stderr.String()
}

// inMemory is a directory in memory, where there is one: how fast a disk is is not asked.
func inMemory(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "tsrun-e2e-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}
