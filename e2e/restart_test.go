package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// restarting is a field whose nodes record on after a fault.
func restarting(t *testing.T, octet int, duration string) *field {
	t.Helper()
	return newField(t, octet, "--set", "faults.lost_node=restart", "--set", "acquire.duration="+duration)
}

// killSlave kills the slave of bob within the recording and starts another.
func (f *field) killSlave() {
	f.t.Helper()
	_ = f.slave.cmd.Process.Kill()
	<-f.slave.ended
	f.slave = f.join("bob")
}

// holes wants what bob's channel lacks, and nothing else, to be said of a run.
func (f *field) holes(times int) *run.Manifest {
	f.t.Helper()
	if code := f.master.wait(120 * time.Second); code != 3 {
		f.t.Errorf("exit code %d\n%s\n%s", code, f.master.stdout.String(), f.slave.stderr.String())
	}
	dir, m := latest(f.t, f.work)
	b := m.Nodes["bob"].Channels["b"]
	at := uint64(0)
	for _, r := range m.Nodes["bob"].Restarts {
		if r.From < at || r.At <= r.From || r.At >= m.DurationPs || len(r.Shots) > 1 { // none of one that ended before it could tell
			f.t.Errorf("restart %+v", r)
		}
		at = r.At
	}
	holes := 0
	for _, l := range b.Losses {
		if l.LengthPs > 0 {
			holes++
		}
	}
	if n := len(m.Nodes["bob"].Restarts); n < times || n > times+1 || holes != n { // one that is killed may have begun
		f.t.Errorf("%d restarts and %d holes, want %d or one more: %+v", len(m.Nodes["bob"].Restarts), holes, times, b.Losses)
	}
	if b.LengthPs != m.DurationPs {
		f.t.Errorf("bob has recorded to %d ps of %d", b.LengthPs, m.DurationPs)
	}
	for _, s := range m.Segments {
		if !s.Verified {
			f.t.Errorf("%s is not verified", s.File)
		}
	}
	if a := m.Nodes["alice"].Channels["a"]; a.Tags == 0 || a.LengthPs != m.DurationPs || m.Has(run.Good) || m.Has(run.Unverified) {
		f.t.Errorf("alice %+v, condition %v", a, m.Condition)
	}
	contains(f.t, reasons(m), "INCOMPLETE bob.b nothing is recorded from ")
	if v := runTsrun(f.t, f.work, "verify", dir); v.code != 0 {
		f.t.Errorf("verify: exit code %d\n%s", v.code, v.stdout)
	}
	if f.t.Failed() {
		f.t.Logf("%s\n%s\n%s", reasons(m), f.master.stdout.String(), f.slave.stderr.String())
	}
	return m
}

// TestRestart: with faults.lost_node restart a node that is back records the rest.
func TestRestart(t *testing.T) {
	t.Parallel()
	f := restarting(t, 31, "9 s")
	f.hears(`"file":"raw/bob/b-000000.bin"`, 1)
	f.killDriver()
	f.hears(`"file":"raw/bob/again-1/`, 1)
	f.killSlave()
	m := f.holes(2)
	contains(t, reasons(m), "its driver failed and was started anew", "its slave ended and was started anew")
}

// TestLongRestart kills the slave at other moments.
func TestLongRestart(t *testing.T) {
	t.Parallel()
	need.Long(t)
	t.Run("while it opens its controllers", func(t *testing.T) {
		t.Parallel()
		f := restarting(t, 32, "12 s")
		f.hears(`"file":"raw/bob/b-000000.bin"`, 1)
		f.killSlave()
		f.hears(joined, 3) // alice, bob, and bob again
		f.killSlave()
		f.hears(joined, 4)
		f.killSlave()
		f.holes(1)
	})
	t.Run("in the lead", func(t *testing.T) {
		t.Parallel()
		f := restarting(t, 33, "5 s")
		f.hears(inState("running"), 1)
		f.killSlave()
		f.ends("nothing is recorded from 0.000 s on")
	})
	t.Run("back as it drains", func(t *testing.T) {
		t.Parallel()
		f := restarting(t, 34, "3 s")
		f.hears(`"file":"raw/bob/b-000000.bin"`, 1)
		_ = f.slave.cmd.Process.Kill()
		<-f.slave.ended
		f.hears(isAway, 1) // the others have recorded by now
		f.slave = f.join("bob")
		m := f.ends("INCOMPLETE bob. its slave ended while it recorded", "the acquisition was over before they could be started anew")
		if len(m.Nodes["bob"].Restarts) != 0 || m.Nodes["bob"].Channels["b"].Tags == 0 {
			t.Errorf("bob %+v", m.Nodes["bob"])
		}
	})
	t.Run("waited for", func(t *testing.T) {
		t.Parallel()
		f := newField(t, 35, "--set", "faults.lost_node=wait", "--set", "faults.patience=5 s")
		f.hears(inState("running"), 1)
		f.cut(true)
		f.hears(isAway, 1)
		time.Sleep(8 * time.Second) // longer than anybody's patience
		f.cut(false)
		f.good()
	})
}

// ends wants a run that is INCOMPLETE for some reasons, and files as it says.
func (f *field) ends(why ...string) *run.Manifest {
	f.t.Helper()
	if code := f.master.wait(120 * time.Second); code != 3 {
		f.t.Errorf("exit code %d\n%s\n%s", code, f.master.stdout.String(), f.slave.stderr.String())
	}
	dir, m := latest(f.t, f.work)
	contains(f.t, reasons(m), why...)
	if v := runTsrun(f.t, f.work, "verify", dir); v.code != 0 {
		f.t.Errorf("verify: exit code %d\n%s", v.code, v.stdout)
	}
	return m
}

// killDriver kills the driver of bob.
func (f *field) killDriver() {
	f.t.Helper()
	for _, p := range family(f.t, f.slave.cmd.Process.Pid) {
		if strings.Contains(p.command, "plugins/tc-hurry") {
			if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil {
				f.t.Fatal(err)
			}
			return
		}
	}
	f.t.Fatal("bob has no driver")
}
