package e2e

import (
	"strings"
	"testing"
	"time"

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
		if r.From < at || r.At <= r.From || r.At >= m.DurationPs || len(r.Shots) != 1 {
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
	if len(m.Nodes["bob"].Restarts) != times || holes != times {
		f.t.Errorf("%d restarts and %d holes, want %d: %+v", len(m.Nodes["bob"].Restarts), holes, times, b.Losses)
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
	t.Run("slave killed", func(t *testing.T) {
		t.Parallel()
		f := restarting(t, 31, "6 s")
		f.hears(inState("running"), 1)
		f.hears(`"file":"raw/bob/b-000000.bin"`, 1)
		f.killSlave()
		m := f.holes(1)
		contains(t, reasons(m), "its slave ended and was started anew")
		if !strings.Contains(f.master.stdout.String(), "records again from ") {
			t.Error("the user was not told")
		}
	})
}
