package e2e

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/internal/need"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/journal"
	"tsrun/pipeline/run"
)

// closed collects the files that sinks have closed, as the journals of slaves below
// some directories say. What another process removes meanwhile is passed over.
func closed(t *testing.T, files map[string]fact.Segment, dirs ...string) {
	t.Helper()
	for _, dir := range dirs {
		ledgers, _ := filepath.Glob(filepath.Join(dir, "*", "journal")) // the pattern is right
		for _, ledger := range ledgers {
			_ = journal.Read(ledger, func(record []byte) error {
				var e struct {
					News struct{ Segment *fact.Segment }
				}
				if err := json.Unmarshal(record, &e); err != nil {
					t.Errorf("%s: %v", ledger, err)
				}
				if s := e.News.Segment; s != nil {
					files[s.File] = *s
				}
				return nil
			})
		}
	}
}

// broken is a run of a local and a remote node whose master was killed.
type broken struct {
	*field
	dir   string
	files map[string]fact.Segment // that sinks have closed until then
	flags []string                // of tsrun resume
}

// breakOff kills the master of a run when it has said something, and a moment later.
func breakOff(t *testing.T, octet int, says string, later time.Duration, args ...string) *broken {
	t.Helper()
	b := &broken{field: newField(t, octet, args...), files: map[string]fact.Segment{}}
	b.hears(says, 1)
	time.Sleep(later)
	dirs, err := filepath.Glob(filepath.Join(b.work, "runs", "2*"))
	if err != nil || len(dirs) != 1 {
		t.Fatalf("run directories %v, %v", dirs, err)
	}
	b.dir = dirs[0]
	b.collect()
	_ = b.master.cmd.Process.Kill()
	<-b.master.ended
	return b
}

func (b *broken) collect() {
	b.t.Helper()
	closed(b.t, b.files, filepath.Join(b.dir, "sources"), filepath.Join(b.far, "runs"))
}

// resumed finishes the run, and wants what sinks have closed in it, once, as it was,
// and nothing else.
func (b *broken) resumed(codes ...int) *run.Manifest {
	b.t.Helper()
	b.collect()
	p := start(b.t, b.work, nil, append([]string{"resume", "--json", "--web=127.0.0.1:0", b.dir}, b.flags...)...)
	seen := lookOn(b.t, p)
	if code := p.wait(120 * time.Second); !slices.Contains(codes, code) {
		b.t.Errorf("exit code %d, want %d\n%s\n%s\n%s", code, codes, p.stdout.String(), p.stderr.String(), b.slave.stderr.String())
	}
	m, err := run.ReadManifest(b.dir)
	if err != nil {
		b.t.Fatal(err)
	}
	if page := seen(); !strings.Contains(page, `"over":true`) || !strings.Contains(page, string(m.Condition[0])) {
		b.t.Errorf("the page of a run that is %v never says so:\n%s", m.Condition, page)
	}
	here := map[string]int{}
	for _, s := range m.Segments {
		if here[s.File]++; !s.Verified {
			b.t.Errorf("%s is not verified", s.File)
		}
		if was, known := b.files[s.File]; known && (was.SHA256 != s.SHA256 || was.Tags != s.Tags) {
			b.t.Errorf("%s has %d tags and SHA-256 %s, it was closed with %d and %s", s.File, s.Tags, s.SHA256, was.Tags, was.SHA256)
		}
	}
	for name := range b.files {
		if here[name] != 1 {
			b.t.Errorf("%s was closed and is here %d times", name, here[name])
		}
	}
	if v := runTsrun(b.t, b.work, "verify", b.dir); v.code != 0 {
		b.t.Errorf("verify: exit code %d\n%s", v.code, v.stdout)
	}
	if _, err := os.Lstat(filepath.Join(b.dir, run.JournalFile)); err == nil {
		b.t.Error("the journal is still there")
	}
	return m
}

// TestResume kills the master and finishes its run.
func TestResume(t *testing.T) {
	t.Parallel()
	t.Run("killed in the recording", func(t *testing.T) {
		t.Parallel()
		b := breakOff(t, 11, inState("running"), 1500*time.Millisecond, "--set", "pipeline=[{stage: rates, config: {of: [alice.a, bob.b]}}]", "--set", "sinks.found={sink: sink-file, takes: results}") // of which 1 s is the lead
		stale := filepath.Join(b.dir, run.ResultsDir, "found", "half.csv")
		if err := os.MkdirAll(filepath.Dir(stale), 0o755); err != nil {
			t.Fatal(err)
		}
		write(t, stale, "of the master that was killed")
		m := b.resumed(130)
		if len(m.ResultSinks) != 1 || len(m.ResultSinks[0].Files) == 0 || m.ResultSinks[0].Failed != "" {
			t.Errorf("what stages found was given so: %+v", m.ResultSinks)
		}
		if _, err := os.Lstat(stale); !os.IsNotExist(err) {
			t.Errorf("what a sink had left before is still there: %v", err)
		}
		contains(t, reasons(m), "INTERRUPTED alice. its recording ended with the master")
		if c := m.Nodes["bob"].Channels["b"]; c.LengthPs != m.DurationPs || strings.Contains(reasons(m), "INCOMPLETE bob") {
			t.Errorf("bob has recorded %d ps of %d\n%s", c.LengthPs, m.DurationPs, reasons(m))
		}
		before, _ := os.ReadFile(filepath.Join(b.dir, run.ManifestFile))
		r := runTsrun(t, b.work, "resume", b.dir)
		after, _ := os.ReadFile(filepath.Join(b.dir, run.ManifestFile))
		if contains(t, r.stderr, "has ended", "nothing is changed"); r.code != 130 || string(before) != string(after) {
			t.Errorf("resume of a run that has ended: exit code %d, changed %v", r.code, string(before) != string(after))
		}
	})
	t.Run("killed when all is recorded, the slave too, and at another address", func(t *testing.T) {
		t.Parallel()
		b := newField(t, 12)
		b.hears(inState("armed"), 1)
		b.files.set(true)
		b.hears(inState("transferring"), 1)
		again := &broken{field: b, files: map[string]fact.Segment{}}
		again.dir, _ = filepath.EvalSymlinks(filepath.Join(b.work, "runs", "latest"))
		if r := runTsrun(t, b.work, "resume", again.dir); r.code != 5 || !strings.Contains(r.stderr, "goes on") {
			t.Errorf("resume of a run that goes on: exit code %d\n%s", r.code, r.stderr)
		}
		again.collect()
		_ = b.master.cmd.Process.Kill()
		_ = b.slave.cmd.Process.Kill()
		<-b.master.ended
		<-b.slave.ended
		_, port, _ := net.SplitHostPort(b.address)
		again.flags = []string{"--listen", "127.0.78.12"} // the old one leads nowhere: its cable stays cut
		b.address = net.JoinHostPort("127.0.78.12", port)
		b.slave = b.join("bob")
		if m := again.resumed(0); !run.IsGood(m.Condition) {
			t.Errorf("condition %v\n%s", m.Condition, reasons(m))
		}
	})
	t.Run("only the slave of this PC is killed", func(t *testing.T) {
		t.Parallel()
		b := &broken{field: newField(t, 13), files: map[string]fact.Segment{}}
		b.hears(inState("running"), 1)
		b.hears(`"event":"progress","version":1`, 2)
		var pid int
		for line := range strings.Lines(b.master.stdout.String()) {
			var e struct {
				Event, Node string
				PID         int
			}
			if err := json.Unmarshal([]byte(line), &e); err == nil && e.Event == "joined" && e.Node == "alice" {
				pid = e.PID
			}
		}
		if pid == 0 || syscall.Kill(pid, syscall.SIGKILL) != nil {
			t.Fatalf("the slave of alice, process %d, could not be killed\n%s", pid, b.master.stdout.String())
		}
		if code := b.master.wait(120 * time.Second); code != 3 {
			t.Errorf("exit code %d\n%s", code, b.master.stdout.String())
		}
		dir, m := latest(t, b.work)
		contains(t, reasons(m), "INCOMPLETE alice. its slave ended while it recorded")
		if v := runTsrun(t, b.work, "verify", dir); v.code != 0 {
			t.Errorf("verify: exit code %d\n%s", v.code, v.stdout)
		}
	})
	t.Run("a file that the killed master refused", func(t *testing.T) {
		t.Parallel()
		b := &broken{field: newField(t, 14), files: map[string]fact.Segment{}}
		b.hears(inState("armed"), 1)
		b.field.files.set(true)
		b.hears(inState("transferring"), 1)
		b.dir, _ = filepath.EvalSymlinks(filepath.Join(b.work, "runs", "latest"))
		limit := unix.Rlimit{Cur: 1, Max: unix.RLIM_INFINITY}
		if err := unix.Prlimit(b.master.cmd.Process.Pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
			t.Fatal(err)
		}
		b.field.files.set(false)
		b.hears(`"code":"file-refused"`, 1)
		b.collect()
		_ = b.master.cmd.Process.Kill()
		<-b.master.ended
		// Another one refuses a file, too, for a reason that stays: nobody waits for it.
		var other string
		for name := range b.files {
			path := filepath.Join(b.dir, name)
			if _, err := os.Lstat(path); err != nil && strings.HasPrefix(name, "raw/bob/b-") && (other == "" || path < other) {
				other = path
			}
		}
		if err := os.WriteFile(other, []byte("something else"), 0o644); err != nil {
			t.Fatal(err)
		}
		r := runTsrun(t, b.work, "resume", b.dir)
		if r.code != 3 || !strings.Contains(r.stderr, "something else of this name is there already") {
			t.Errorf("exit code %d\n%s\n%s", r.code, r.stdout, r.stderr)
		}
		_, m := latest(t, b.work)
		contains(t, reasons(m), "INCOMPLETE bob", "something else of this name")
		if err := os.Remove(other); err != nil {
			t.Fatal(err)
		}
		if m := b.resumed(0); !run.IsGood(m.Condition) {
			t.Errorf("condition %v\n%s", m.Condition, reasons(m))
		}
	})
	t.Run("no run", func(t *testing.T) {
		t.Parallel()
		work := t.TempDir()
		if r := runTsrun(t, work, "resume", "."); r.code != 1 || !strings.Contains(r.stderr, "is no run directory") {
			t.Errorf("exit code %d\n%s", r.code, r.stderr)
		}
	})
}

// TestLongResume kills the master at moments from a seed, and the slave with it now
// and then.
func TestLongResume(t *testing.T) {
	t.Parallel()
	for seed := range need.LongTrials(t, 24, 3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(uint64(seed), 1))
			state := []string{"armed", "running", "draining", "transferring", "analysing"}[seed%5]
			b := breakOff(t, 20, inState(state), time.Duration(rnd.IntN(1500))*time.Millisecond/time.Duration(1+9*(seed%5/2)))
			if seed%3 == 0 {
				if rnd.IntN(2) == 0 { // its user ends it, and then does not wait for a master either
					_ = b.slave.cmd.Process.Signal(syscall.SIGTERM)
					select {
					case <-b.slave.ended:
					case <-time.After(2 * time.Second):
						_ = b.slave.cmd.Process.Signal(syscall.SIGTERM)
					}
				} else {
					_ = b.slave.cmd.Process.Kill()
				}
				<-b.slave.ended
				b.slave = b.join("bob")
			}
			m := b.resumed(0, 3, 130)
			t.Logf("%s: %v, %d files were closed", state, m.Condition, len(b.files))
			_ = b.slave.cmd.Process.Kill()
			<-b.slave.ended
		})
	}
}
