package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// hurried is a recipe of two local nodes whose controllers are tc-hurry with a
// config.
func hurried(t *testing.T, alice, bob, more string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "hurried.yaml"), fmt.Sprintf(`version: 1
name: hurried
nodes:
  alice:
    controllers: {tc: {driver: tc-hurry, config: {%s}}}
    channels: {a: {on: tc/1, threshold: 120 mV}}
  bob:
    controllers: {tc: {driver: tc-hurry, config: {%s}}}
    channels: {b: {on: tc/1, threshold: 120 mV}}
trigger: {master: alice, lead: 1 s}
sinks: {raw: {sink: sink-file}}
%s
`, alice, bob, more))
}

// runIn is [runTsrun] in a directory that is looked at afterwards.
func runIn(t *testing.T, args ...string) (r result, dir string, m *run.Manifest) {
	t.Helper()
	work := t.TempDir()
	r = runTsrun(t, work, args...)
	dir, m = latest(t, work)
	return r, dir, m
}

func reasons(m *run.Manifest) string {
	var text strings.Builder
	for _, r := range m.Reasons {
		fmt.Fprintf(&text, "%s %s.%s %s\n", r.Condition, r.Node, r.Channel, r.Message)
	}
	return text.String()
}

// TestRecordThatEndsEarly: a driver that returns before its time leaves a run
// that is not whole. The command for its end gets that run, whole and provable, and
// the condition, and its failure changes nothing.
func TestRecordThatEndsEarly(t *testing.T) {
	t.Parallel()
	r, dir, m := runIn(t, hurried(t, "", "end: 2 s", `acquire: {duration: 8 s}
on_end: {command: [sh, -c, 'cd "$1" && sha256sum --quiet -c SHA256SUMS >&2 && mkdir -p notes && echo "$2" > notes/end; echo the log book is shut; exit 9', on_end]}`))
	if got, err := os.ReadFile(filepath.Join(dir, run.NotesDir, "end")); err != nil || string(got) != "INCOMPLETE+SIMULATED\n" {
		t.Errorf("the command for the end was told %q, %v", got, err)
	}
	contains(t, r.stderr+r.stdout, "exit status 9; it said: the log book is shut")
	if r.code != 3 || !m.Has(run.Incomplete) {
		t.Errorf("exit code %d, condition %v, want 3 and INCOMPLETE", r.code, m.Condition)
	}
	contains(t, reasons(m), "INCOMPLETE bob.b recorded 2.000 s of 8.000 s")
	if strings.Contains(reasons(m), "alice.a") {
		t.Errorf("alice recorded all:\n%s", reasons(m))
	}
}

// TestDriverThatGoesBack: a driver whose tags go back in time is named, with the
// tag, and what it delivered before is kept.
func TestDriverThatGoesBack(t *testing.T) {
	t.Parallel()
	r, dir, m := runIn(t, hurried(t, "", "back: 5 ns", "acquire: {duration: 1 s}"))
	if r.code != 3 || !m.Has(run.Incomplete) {
		t.Errorf("exit code %d, condition %v, want 3 and INCOMPLETE", r.code, m.Condition)
	}
	contains(t, reasons(m), `INCOMPLETE bob. bob.tc: send: tag 2 of 2 on channel "b" (stream 0), at 999999995000 ps, is before the tag before it, at 1000000000000 ps; tags of a channel never decrease`)
	if kept := m.Nodes["bob"].Channels["b"].Tags; kept != 1001 || len(m.Segments) != 3 {
		t.Errorf("%d tags are kept, want 1001, in %d files of 3", kept, len(m.Segments))
	}
	if v := runTsrun(t, t.TempDir(), "verify", dir); v.code != 0 {
		t.Errorf("verify: exit code %d\n%s", v.code, v.stdout)
	}
}

// TestPluginThatTalks: lines of any length reach the log or are cut, and hold
// up nothing.
func TestPluginThatTalks(t *testing.T) {
	t.Parallel()
	r, dir, m := runIn(t, hurried(t, "lines: 60, line_size: 61440", "", "acquire: {duration: 1 s}"))
	if good(t, r); !run.IsGood(m.Condition) {
		t.Errorf("condition %v\n%s", m.Condition, reasons(m))
	}
	text, err := os.ReadFile(filepath.Join(dir, run.LogFile))
	if n := strings.Count(string(text), "xxxxxxxx (61440 bytes in all)"); err != nil || strings.Count(string(text), `"msg":"xxxx`) != 60 {
		t.Errorf("%d of 60 long lines are in the log (%v)", n, err)
	}
}

// TestReadersThatGo runs with outputs that break while it goes on.
func TestReadersThatGo(t *testing.T) {
	t.Parallel()
	tsrun := filepath.Join(bin, "tsrun")
	recipe := hurried(t, "pace: 100 ms", "pace: 100 ms", "acquire: {duration: 1500 ms}")
	for name, line := range map[string]string{
		"head":                   `"$0" "$1" 2>&1 | head -n 1; exit ${PIPESTATUS[0]}`,
		"head of standard error": `"$0" "$1" 2>&1 >/dev/null | head -n 1; exit ${PIPESTATUS[0]}`,
		"head of events":         `"$0" "$1" --json | head -n 1; exit ${PIPESTATUS[0]}`,
		"tee that ends":          `"$0" "$1" 2>&1 | timeout 1 cat; exit ${PIPESTATUS[0]}`,
		"closed from the start":  `exec "$0" "$1" >&- 2>&-`,
		"full device":            `exec "$0" "$1" >/dev/full 2>/dev/full`,
		"hang-ups":               `"$0" "$1" >/dev/null 2>&1 & p=$!; while [ ! -e runs/latest ]; do sleep 0.1; done; kill -HUP $p; sleep 0.3; kill -HUP $p; wait $p`,
		"nohup":                  `exec nohup "$0" "$1" 2>/dev/null`,
		"no input":               `exec "$0" "$1" <&- >/dev/null`,
		"standard output to a pipe that closes at once": `"$0" "$1" | true; exit ${PIPESTATUS[0]}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			cmd := exec.Command("bash", "-c", line, tsrun, recipe)
			cmd.Dir, cmd.WaitDelay = work, 20*time.Second
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			whole(t, work)
		})
	}
}

// whole expects a run that is good, ended and verified.
func whole(t *testing.T, work string) {
	t.Helper()
	dir, m := latest(t, work)
	if !run.IsGood(m.Condition) || m.Ended.IsZero() {
		t.Errorf("condition %v, ended %v\n%s", m.Condition, m.Ended, reasons(m))
	}
	if v := runTsrun(t, work, "verify", dir); v.code != 0 {
		t.Errorf("verify: exit code %d\n%s%s", v.code, v.stdout, v.stderr)
	}
}

// TestTerminalThatCloses kills the terminal that a run was started in.
func TestTerminalThatCloses(t *testing.T) {
	t.Parallel()
	script := need.Tool(t, "script", "bsdutils")
	work := t.TempDir()
	line := "'" + filepath.Join(bin, "tsrun") + "' '" + hurried(t, "pace: 100 ms", "pace: 100 ms", "acquire: {duration: 1500 ms}") + "' & echo $! >pid; wait"
	terminal := exec.Command(script, "-qc", line, "/dev/null")
	terminal.Dir, terminal.Env = work, append(os.Environ(), "SHELL=/bin/sh")
	if err := terminal.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	eventually(t, 20*time.Second, "the run goes on", func() bool {
		text, _ := os.ReadFile(filepath.Join(work, "pid"))
		_, _ = fmt.Sscan(string(text), &pid)
		_, err := os.Readlink(filepath.Join(work, "runs", "latest"))
		return pid > 0 && err == nil
	})
	if err := terminal.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = terminal.Wait()
	eventually(t, 60*time.Second, "the run has ended", func() bool { return syscall.Kill(pid, 0) != nil })
	whole(t, work)
}

// TestUserOfASlave interrupts the slave on another PC: what it recorded is kept,
// the master is told, and the slave ends.
func TestUserOfASlave(t *testing.T) {
	t.Parallel()
	here, there, address := twoHosts(t)
	work, away := t.TempDir(), t.TempDir()
	slave := start(t, away, there, "--mode", "slave", "--node", "bob", "--master", address, "--tls", "off")
	eventually(t, 20*time.Second, "the slave says that nobody answers", func() bool {
		return strings.Contains(slave.stderr.String(), "waiting for the master: no answer: ask "+address)
	})
	recipe := hurried(t, "pace: 100 ms", "pace: 100 ms", "acquire: {duration: 15 s, segment: 500 ms}")
	master := start(t, work, here, recipe, "--set", "network.master="+address, "--set", "network.insecure=true", "--set", "nodes.bob.host=remote")
	eventually(t, 20*time.Second, "the master says whom it waits for", func() bool {
		return strings.Contains(master.stderr.String(), "waiting for bob; start it there with: tsrun --mode slave --node bob --master "+address+" --tls off")
	})
	impostor := start(t, t.TempDir(), there, "--mode", "slave", "--node", "alice", "--master", address, "--tls", "off")
	if code := impostor.wait(20 * time.Second); code != 5 {
		t.Errorf("a stranger in the place of a local node: exit code %d, want 5", code)
	}
	eventually(t, 40*time.Second, "bob records", func() bool {
		return strings.Contains(slave.stderr.String(), "bob: ") && strings.Contains(slave.stderr.String(), "tags")
	})
	time.Sleep(time.Second)
	if err := slave.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := master.wait(60 * time.Second); code != 130 {
		t.Errorf("exit code %d, want 130\n%s", code, master.stderr.String())
	}
	if code := slave.wait(20 * time.Second); code != 130 {
		t.Errorf("slave: exit code %d, want 130\n%s", code, slave.stderr.String())
	}
	dir, m := latest(t, work)
	contains(t, reasons(m), "INTERRUPTED bob. the recording of this node was ended by its user there")
	if b, a := m.Nodes["bob"].Channels["b"], m.Nodes["alice"].Channels["a"]; m.Has(run.Incomplete) || b.LengthPs >= a.LengthPs || b.Tags == 0 {
		t.Errorf("condition %v, bob %d ps, alice %d ps\n%s", m.Condition, b.LengthPs, a.LengthPs, reasons(m))
	}
	if v := runTsrun(t, work, "verify", dir); v.code != 0 {
		t.Errorf("verify: exit code %d\n%s%s", v.code, v.stdout, v.stderr)
	}
}

// TestRunRepeatsFromItsDirectory: what a run kept of its recipe is a recipe.
func TestRunRepeatsFromItsDirectory(t *testing.T) {
	t.Parallel()
	parent := hurried(t, "", "", "acquire: {duration: 9 s}")
	child := write(t, filepath.Join(filepath.Dir(parent), "child.yaml"), "version: 1\nextends: hurried.yaml\nname: child\nacquire: {duration: 2 s}\n")
	r, dir, first := runIn(t, child, "--set", "acquire.duration=1 s")
	good(t, r)
	again, _, second := runIn(t, filepath.Join(dir, "recipe", "resolved.yaml"))
	good(t, again)
	for _, m := range []*run.Manifest{first, second} {
		if c := m.Nodes["bob"].Channels["b"]; m.Name != "child" || c.Tags != 1000 || c.LengthPs != 1e12 {
			t.Errorf("%s recorded %d tags in %d ps", m.Name, c.Tags, c.LengthPs)
		}
	}
}

// TestRefusedStartLeavesLatest: the link goes on pointing at what was recorded.
func TestRefusedStartLeavesLatest(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	good(t, runTsrun(t, work, hurried(t, "", "", "acquire: {duration: 1 s}")))
	before, _ := latest(t, work)
	if r := runTsrun(t, work, hurried(t, "", "", "acquire: {duration: 1 s}\nnetwork: {join: 1 s}"), "--set", "nodes.bob.host=remote", "--set", "network.master=192.0.2.1", "--set", "network.insecure=true"); r.code != 5 {
		t.Errorf("exit code %d, want 5\n%s", r.code, r.stderr)
	}
	if after, _ := latest(t, work); after != before {
		t.Errorf("latest moved from %s to %s", before, after)
	}
}

// TestInterruptAfterTheRecording comes late: the files are fetched all the same.
func TestInterruptAfterTheRecording(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	p := start(t, work, nil, hurried(t, "every: 50 us", "every: 50 us", "acquire: {duration: 20 s, segment: 100 ms}"), "--json")
	eventually(t, 30*time.Second, "files travel", func() bool { return strings.Contains(p.stdout.String(), `"state":"transferring"`) })
	if err := p.cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(60 * time.Second); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stdout.String())
	}
	whole(t, work)
}

// TestTagFarAhead: one damaged tag makes no flood of files and ends no sink.
func TestTagFarAhead(t *testing.T) {
	t.Parallel()
	r, dir, m := runIn(t, hurried(t, "jump: 2000 s", "jump: 2 s", "acquire: {duration: 1 s, segment: 10 ms}"))
	if r.code != 3 {
		t.Errorf("exit code %d, want 3\n%s", r.code, r.stderr)
	}
	contains(t, reasons(m), "INCOMPLETE alice.a 1 tag lost: 1 tag from 2001000000000000 ps on, far behind the end of the acquisition")
	if strings.Contains(reasons(m), "INCOMPLETE bob") || m.Nodes["bob"].Channels["b"].Tags != 1001 || len(m.Segments) > 500 {
		t.Errorf("bob delivered %d tags, there are %d files\n%s", m.Nodes["bob"].Channels["b"].Tags, len(m.Segments), reasons(m))
	}
	if v := runTsrun(t, dir, "verify", dir); v.code != 0 {
		t.Errorf("verify: exit code %d\n%s", v.code, v.stdout)
	}
}

// TestMasterKilledAmongItsStages: what was proven before is known to be.
func TestMasterKilledAmongItsStages(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	recipe := write(t, filepath.Join(work, "killed.yaml"), `version: 1
name: killed
nodes:
  alice:
    controllers: {tc: {driver: tc-hurry, config: {every: 20 us, light: true}}}
    channels: {a: {on: tc/1, threshold: 120 mV}, b: {on: tc/2, threshold: 120 mV}}
acquire: {duration: 5 s, segment: 500 ms}
sinks: {raw: {sink: sink-file}}
pipeline: [{stage: coincidences, config: {of: [alice.a, alice.b], window: 1 s}}]  # far more than a test waits for
`)
	p := start(t, work, nil, recipe, "--json")
	proven := func() int {
		_, m := latest(t, work)
		return len(slices.DeleteFunc(m.Segments, func(s run.Segment) bool { return !s.Verified }))
	}
	eventually(t, 60*time.Second, "the stages are at work", func() bool { return strings.Contains(p.stdout.String(), `"state":"analysing"`) })
	eventually(t, 20*time.Second, "the manifest says what is proven", func() bool { return proven() == 20 })
	if err := p.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	p.wait(20 * time.Second)
	if n := proven(); n != 20 {
		t.Errorf("%d of 20 files are proven when the master is gone", n)
	}
}

// TestDriverContradictsItself: what a driver says of its tags is compared with
// what its blocks say, and a stream that it was not given is nobody's.
func TestDriverContradictsItself(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		alice, bob string
		condition  run.Condition
		reasons    []string
	}{
		{"more", "lost", run.Unverified, []string{"UNVERIFIED alice.a the driver delivered 17 tags, 10 arrived at its node\n",
			"UNVERIFIED bob.b the driver lost 7 tags, its blocks tell of 0\n"}},
		{"stranger", "strange count", run.Incomplete, []string{"INCOMPLETE alice. alice.tc: told of stream 99, which it was not armed with",
			"INCOMPLETE bob. bob.tc: told of stream 65536, which it was not armed with"}},
	} {
		r, _, m := runIn(t, write(t, filepath.Join(t.TempDir(), "miscounts.yaml"), fmt.Sprintf(`version: 1
name: miscounts
nodes:
  alice:
    controllers: {tc: {driver: tc-miscounts, config: {says: %q}}}
    channels: {a: {on: tc/1, threshold: 120 mV}}
  bob:
    controllers: {tc: {driver: tc-miscounts, config: {says: %q}}}
    channels: {b: {on: tc/1, threshold: 120 mV}}
acquire: {duration: 1 s}
trigger: {master: alice, lead: 1 s}
sinks: {raw: {sink: sink-file}}
`, c.alice, c.bob)))
		if c.condition == run.Unverified && r.code != 7 || !m.Has(c.condition) || m.Nodes["alice"].Channels["a"].Tags != 10 || m.Nodes["bob"].Channels["b"].Tags != 10 {
			t.Errorf("%s and %s: exit code %d, condition %v\n%s", c.alice, c.bob, r.code, m.Condition, r.stdout)
		}
		contains(t, reasons(m), c.reasons...)
	}
}
