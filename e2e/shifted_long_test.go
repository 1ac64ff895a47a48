package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/twopcs"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
)

// shiftedRun is a run of two PCs of which the slave's clock is off.
type shiftedRun struct {
	trigger, clock string
	refused        bool   // where the clocks are an hour apart; TAINTED where they are 10 ms apart
	says           string // the run, in its summary or before
	stated         bool   // the skew includes the difference of the clocks
}

// The clock of one PC is an hour ahead, an hour behind, and 10 ms and 1 s ahead and behind: by every method the
// run is refused, or its controllers begin together as it states; or, where nothing
// compared the clocks, it is told.
func TestLongShiftedClocks(t *testing.T) {
	need.LongWhole(t)
	need.Root(t)
	program := buildShifted(t)
	for name, c := range map[string]shiftedRun{
		"scheduled":            {trigger: "scheduled", clock: "auto", stated: true},
		"scheduled, none":      {trigger: "scheduled", clock: "none", refused: true, says: "its clock is "},
		"broadcast":            {trigger: "broadcast", clock: "auto", stated: true},
		"broadcast, UDP":       {trigger: "broadcast, fast: udp", clock: "auto", stated: true},
		"broadcast, UDP, none": {trigger: "broadcast, fast: udp", clock: "none", says: "no clock source compared the clocks of the PCs"},
		"hardware":             {trigger: "hardware", clock: "auto"},
	} {
		for _, shift := range []time.Duration{time.Hour, -time.Hour, 10 * time.Millisecond, -10 * time.Millisecond, time.Second, -time.Second} {
			t.Run(fmt.Sprintf("%s, %v", name, shift), func(t *testing.T) {
				a, b := twopcs.New(t)
				c.try(t, program, shift, a, b)
			})
		}
	}
}

func (c shiftedRun) try(t *testing.T, program string, shift time.Duration, a, b twopcs.PC) {
	lines := ""
	if c.trigger == "hardware" {
		line := fmt.Sprintf("{start_line: \"%s:7001\"}", a.Address)
		lines = "  alice: " + line + "\n  bob: " + line + "\n"
	}
	search := "search: 100 ms" // who fires on receipt may be some ms late where a PC is busy
	if c.refused {
		search = "search: 5 ms" // less than the clocks are apart
	}
	dir, path := writeRecipe(t, strings.NewReplacer("trigger: {master: alice", "trigger: {method: "+c.trigger+", master: alice", "lead: 400 ms", "lead: 2 s",
		"duration: 300 ms", "duration: 1 s", ", repeat: 3", "", "search: 20 ms", search).Replace(shotsRecipe)+lines)
	here := start(t, dir, a.In, path, "--set", "network.insecure=true", "--set", "network.master="+a.Address, "--set", "nodes.bob.host=remote", "--set", "clock.source="+c.clock)
	there := startLine(t, t.TempDir(), append(newShiftedClock(t, shift, 0).program(b, program),
		"--mode", "slave", "--node", "bob", "--master", a.Address, "--tls", "off", "--once"))
	code := here.wait(60 * time.Second)
	said := here.stdout.String() + here.stderr.String()
	if c.refused && shift.Abs() == time.Hour {
		if code != 5 || !strings.Contains(said, c.says) {
			t.Errorf("exit code %d, and it is not refused\n%s", code, said)
		}
		return
	}
	_, m := latest(t, dir)
	if want := map[bool]int{true: 3}[c.refused]; code != want && !heldUp(m) {
		t.Fatalf("exit code %d: %s\n%s\nslave:\n%s", code, reasons(m), said, there.stderr.String())
	}
	contains(t, said, c.says)
	skewOf := startDifference(truth(t, m, "alice"), truth(t, m, "bob")) / 1000
	switch reading := m.Nodes["bob"].Clock; {
	case c.clock == "auto" && (reading == nil || reading.Start == nil || text.Magnitude(reading.Start.Offset-shift.Nanoseconds()) > reading.Start.Bound):
		t.Errorf("its clock is %+v", reading)
	case c.stated && len(m.Trigger.Skew) != 1:
		t.Errorf("skew %+v", m.Trigger.Skew)
	case c.stated && text.Magnitude(m.Trigger.Skew[0].SkewNs-skewOf) > m.Trigger.Skew[0].UncertaintyNs:
		t.Errorf("skew %+v, truly %d ns", m.Trigger.Skew[0], skewOf)
	}
	if found, ok := stage.DecodeSummary[stage.AlignSummary](m.Results[0]); c.trigger == "hardware" && !heldUp(m) && (!ok || found.Refused || text.Magnitude(skewOf) > 10) {
		t.Errorf("one pulse starts both: align %+v, skew %d ns", m.Results[0], skewOf)
	}
	if c.refused && !m.Has(run.Tainted) {
		t.Errorf("it started at another instant, and the run is %v", m.Condition)
	}
}
