package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/run"
)

// checkRun compares everything a run of coincidence.yaml says with the truth.
func checkRun(t *testing.T, dir string, m *run.Manifest) {
	t.Helper()
	if want := []run.Condition{run.Good, run.Simulated}; !slices.Equal(m.Condition, want) {
		t.Errorf("condition %v, want %v; reasons %v", m.Condition, want, m.Reasons)
	}
	checkTags(t, dir, m, "alice", "signal")
	checkTags(t, dir, m, "alice", "herald")
	checkTags(t, dir, m, "bob", "idler")
	checkSkew(t, m)
	checkOffset(t, dir, m)
}

// TestGroundTruth runs the shipped recipe with twenty seeds and believes
// nothing that the simulators do not confirm.
func TestGroundTruth(t *testing.T) {
	t.Parallel()
	seeds := 20
	if testing.Short() {
		seeds = 2
	}
	for seed := 1; seed <= seeds; seed++ {
		t.Run(fmt.Sprintf("seed %d", seed), func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			args := append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=1 s",
				"--set", "acquire.segment=400 ms", "--set", "simulate.seed=" + strconv.Itoa(seed)}, freePorts...)
			good(t, runTsrun(t, work, args...))
			dir, m := latest(t, work)
			checkRun(t, dir, m)
		})
	}
}

// TestRunDirectory looks at what a run leaves behind.
func TestRunDirectory(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	r := runTsrun(t, work, append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=1 s"}, freePorts...)...)
	good(t, r)
	contains(t, r.stdout+r.stderr, "GOOD", "SIMULATED", "alice.signal")
	dir, _ := latest(t, work)
	for _, file := range []string{"manifest.json", "log.jsonl", "SHA256SUMS", "results/align.json", "results/g2.csv", "results/pairs.csv",
		"raw/alice/signal-000000.bin", "raw/alice/herald-000000.bin", "raw/bob/idler-000000.bin"} {
		if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "sources")); err == nil {
		t.Error("copies of the local nodes are left behind")
	}
	sums := exec.Command("sha256sum", "--check", "--quiet", "SHA256SUMS")
	sums.Dir = dir
	if out, err := sums.CombinedOutput(); err != nil {
		t.Errorf("sha256sum: %v\n%s", err, out)
	}
	if v := runTsrun(t, work, "verify", dir); v.code != 0 {
		t.Errorf("verify: exit code %d\n%s%s", v.code, v.stdout, v.stderr)
	}
}

// process is one line of /proc.
type process struct {
	pid, parent int
	command     string
}

// family lists a process and all its descendants that are alive.
func family(t *testing.T, root int) []process {
	t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	all := map[int]process{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", e.Name(), "stat"))
		if err != nil {
			continue // ended meanwhile
		}
		text := string(stat)
		fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
		if fields[0] == "Z" {
			continue
		}
		parent, _ := strconv.Atoi(fields[1])
		command, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		all[pid] = process{pid, parent, strings.ReplaceAll(string(command), "\x00", " ")}
	}
	var found []process
	for _, p := range all {
		for q := p; ; q = all[q.parent] {
			if q.pid == root {
				found = append(found, p)
			}
			if q.pid == root || q.pid == 0 {
				break
			}
		}
	}
	return found
}

// TestProcessesAndKilledMaster looks at a run from outside: who is who, and
// that nobody outlives a master that is killed.
func TestProcessesAndKilledMaster(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	p := start(t, work, nil, append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=60 s", "--json"}, append(patient, freePorts...)...)...)
	eventually(t, 20*time.Second, "the run is recording", func() bool {
		return strings.Contains(p.stdout.String(), `"state":"running"`)
	})
	members := family(t, p.cmd.Process.Pid)
	count := func(words ...string) (n int) {
		for _, m := range members {
			if !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(m.command, w) }) {
				n++
			}
		}
		return n
	}
	for _, want := range []struct {
		n     int
		words []string
	}{
		{1, []string{"coincidence.yaml"}}, {1, []string{"slave", "alice"}}, {1, []string{"slave", "bob"}},
		{2, []string{"plugins/tc-ethernet"}}, {2, []string{"plugins/sink-file"}}, {7, nil},
	} {
		if got := count(want.words...); got != want.n {
			t.Errorf("%d processes with %v, want %d: %v", got, want.words, want.n, members)
		}
	}
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, 3*time.Second, "everybody has gone with the master", func() bool {
		return !slices.ContainsFunc(members, func(m process) bool {
			command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", m.pid))
			return err == nil && len(command) > 0 // a zombie has no command line
		})
	})
	_, m := latest(t, work)
	if !m.Has(run.Incomplete) {
		t.Errorf("the manifest of a killed run says %v, want INCOMPLETE", m.Condition)
	}
}

// TestKilledDriver kills bob's driver in the middle of a run: alice goes on to
// the end, what bob had recorded is kept, and nobody calls the run good.
func TestKilledDriver(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	p := start(t, work, nil, append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=3 s",
		"--set", "acquire.segment=600 ms", "--json"}, append(patient, freePorts...)...)...)
	eventually(t, 30*time.Second, "a file of bob's is here", func() bool {
		return strings.Contains(p.stdout.String(), `"file":"raw/bob/idler-000000.bin"`)
	})
	members := family(t, p.cmd.Process.Pid)
	bob := members[slices.IndexFunc(members, func(m process) bool { return strings.Contains(m.command, "--node bob") })].pid
	driver := slices.IndexFunc(members, func(m process) bool { return m.parent == bob && strings.Contains(m.command, "tc-ethernet") })
	if err := syscall.Kill(members[driver].pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(60 * time.Second); code != 3 {
		t.Errorf("exit code %d, want 3\n%s\n%s", code, p.stdout.String(), p.stderr.String())
	}
	dir, m := latest(t, work)
	if !m.Has(run.Incomplete) || !slices.ContainsFunc(m.Reasons, func(r run.Reason) bool { return r.Node == "bob" && r.Condition == run.Incomplete }) {
		t.Errorf("condition %v, reasons %v", m.Condition, m.Reasons)
	}
	checkTags(t, dir, m, "alice", "signal")
	if kept := m.Nodes["bob"].Channels["idler"].Tags; kept == 0 {
		t.Error("nothing of bob's was kept")
	}
	if v := runTsrun(t, work, "verify", dir); v.code != 0 {
		t.Errorf("verify: exit code %d\n%s", v.code, v.stdout)
	}
}

// TestInterrupt stops a run early: what was recorded is kept, sent and told.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	p := start(t, work, nil, append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=60 s", "--json"}, append(patient, freePorts...)...)...)
	eventually(t, 30*time.Second, "tags arrive", func() bool {
		return strings.Contains(p.stdout.String(), `"event":"verified"`)
	})
	if err := p.cmd.Process.Signal(syscall.SIGQUIT); err != nil { // taken for an interrupt
		t.Fatal(err)
	}
	if code := p.wait(30 * time.Second); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, p.stderr.String())
	}
	dir, m := latest(t, work)
	if !slices.Equal(m.Condition, []run.Condition{run.Interrupted, run.Simulated}) {
		t.Errorf("condition %v; reasons %v", m.Condition, m.Reasons)
	}
	checkTags(t, dir, m, "alice", "signal")
	checkTags(t, dir, m, "bob", "idler")
}
