package e2e

import (
	"testing"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/stage"
)

// sixShots has a run take six shots, so long that a test finds its way into the middle
// of one on a PC that is held up.
var sixShots = []string{"--set", "acquire.repeat=6", "--set", "acquire.duration=4 s"}

const sixShotsPs = 4e12 // of each

// Of a run of several shots that was broken in one of them, the shots before are kept,
// proven and analysed, and what is missing is told.
func TestResumeOfShots(t *testing.T) {
	t.Parallel()
	t.Run("the master is killed", func(t *testing.T) {
		t.Parallel()
		b := breakOff(t, 41, `"shot":3,`, 500*time.Millisecond, sixShots...)
		m := b.resumed(130)
		if taken := len(m.Trigger.Shots); taken != 3 || m.DurationPs != 6*sixShotsPs {
			t.Errorf("%d shots were begun, of %d ps in all", taken, m.DurationPs)
		}
		contains(t, reasons(m), "INTERRUPTED alice. 2 of 6 shots were taken whole")
		if got := m.WholeShots(sixShotsPs); got != 2 {
			t.Errorf("%d whole shots", got)
		}
		if c := m.Nodes["bob"].Channels["b"]; c.LengthPs != 3*sixShotsPs {
			t.Errorf("bob has recorded %d ps of its shots", c.LengthPs)
		}
		for _, r := range m.Results {
			if s, ok := stage.DecodeSummary[stage.AlignSummary](r); ok && (s.Refused || s.Parts < 2) {
				t.Errorf("align: %+v", s)
			}
		}
	})
	t.Run("a slave is killed, and comes again", func(t *testing.T) {
		t.Parallel()
		b := &broken{field: newField(t, 42, sixShots...), files: map[string]fact.Segment{}}
		b.hears(`"shot":3,`, 1)
		time.Sleep(3 * time.Second) // of which 1 s is the lead
		b.dir, _ = latest(t, b.work)
		b.collect()
		_ = b.slave.cmd.Process.Kill()
		<-b.slave.ended
		b.slave = b.join("bob")
		if code := b.master.wait(120 * time.Second); code != 3 {
			t.Errorf("exit code %d\n%s", code, b.master.stdout.String())
		}
		_, m := latest(t, b.work)
		contains(t, reasons(m), "INCOMPLETE bob. ", "INCOMPLETE . 2 of 6 shots were taken whole")
		if c := m.Nodes["alice"].Channels["a"]; c.LengthPs != 3*sixShotsPs {
			t.Errorf("alice has recorded %d ps of its shots", c.LengthPs)
		}
		here := map[string]bool{}
		for _, s := range m.Segments {
			here[s.File] = s.Verified
		}
		for name := range b.files {
			if !here[name] {
				t.Errorf("%s was closed and is not here", name)
			}
		}
		if v := runTsrun(t, b.work, "verify", b.dir); v.code != 0 {
			t.Errorf("verify: %s%s", v.stdout, v.stderr)
		}
	})
}
