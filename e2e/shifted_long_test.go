package e2e

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/twopcs"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
)

// shiftSource is what Go's package time gets where a program is built for a PC whose
// clock is set otherwise: by so many ns as the setting tsrunshift of GODEBUG says, which
// is given to plugins, too.
const shiftSource = `package time

import "syscall"

var ShiftNs = shiftNs()

func shiftNs() (ns int64) {
	const key = "tsrunshift="
	text, _ := syscall.Getenv("GODEBUG")
	if len(text) <= len(key) || text[:len(key)] != key {
		return 0
	}
	sign := int64(1)
	for _, c := range text[len(key):] {
		if c == '-' {
			sign = -1
			continue
		}
		ns = 10*ns + int64(c-'0')
	}
	return sign * ns
}

func shiftedNow() (sec int64, nsec int32, mono int64) {
	sec, nsec, mono = runtimeNow()
	ns := int64(nsec) + ShiftNs
	sec, ns = sec+ns/1e9, ns%1e9
	if ns < 0 {
		sec, ns = sec-1, ns+1e9
	}
	return sec, int32(ns), mono
}
`

// buildShifted builds tsrun and what a run needs of plugins so that every read of the PC's
// clock is off, also the kernel's stamps of packets. The simulated sky keeps the true time.
func buildShifted(t *testing.T) (dir string) {
	t.Helper()
	dir = t.TempDir()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	house, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	overlay := map[string]string{filepath.Join(library, "tsrun_shift.go"): write(t, filepath.Join(dir, "shift.go"), shiftSource)}
	for file, change := range map[string][]string{
		filepath.Join(library, "time.go"): {"sec, nsec, mono := runtimeNow()\n\tif mono == 0 {\n\t\treturn", "sec, nsec, mono := shiftedNow()\n\tif mono == 0 {\n\t\treturn"},
		filepath.Join(house, "sdk/realtime/clock_linux.go"): {"import (", "import (\n\t\"time\"",
			"return clockNow(unix.CLOCK_REALTIME)", "return clockNow(unix.CLOCK_REALTIME) + time.ShiftNs"},
		filepath.Join(house, "pipeline/clock/socket_linux.go"): {"return s*1e9 + ns, s > 0", "return s*1e9 + ns + time.ShiftNs, s > 0"},
		filepath.Join(house, "sim/sky/instant.go"):             {"Unix(time.Now().UnixNano(), 0)", "Unix(time.Now().UnixNano()-time.ShiftNs, 0)"},
		filepath.Join(house, "sim/idq/controller.go"): {"import (", "import (\n\t\"time\"",
			"realtime.Await(ctx, ns+1)", "realtime.Await(ctx, ns+1+time.ShiftNs)"},
	} {
		old, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		changed := string(old)
		for i := 0; i < len(change); i += 2 {
			if strings.Count(changed, change[i]) != 1 {
				t.Fatalf("%s does not read the clock by %q any more", file, change[i])
			}
			changed = strings.Replace(changed, change[i], change[i+1], 1)
		}
		overlay[file] = write(t, filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay))), changed)
	}
	list, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	replaced := write(t, filepath.Join(dir, "overlay.json"), string(list))
	for out, pkg := range map[string]string{"tsrun": "./cmd/tsrun", "plugins/tc-ethernet": "./plugins/tc-ethernet", "plugins/sink-file": "./plugins/sink-file"} {
		build := exec.Command("go", "build", "-overlay", replaced, "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, out), pkg)
		build.Dir, build.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
		if said, err := build.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, said)
		}
	}
	for _, plugin := range []string{"tc-ethernet", "sink-file"} {
		from := filepath.Join("plugins", plugin+".json")
		write(t, filepath.Join(dir, from), string(contentOf(t, bin, from)))
	}
	return dir
}

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
	dir, path := writeRecipe(t, strings.NewReplacer("trigger: {master: alice", "trigger: {method: "+c.trigger+", master: alice", "lead: 400 ms", "lead: 2 s",
		"duration: 300 ms", "duration: 1 s", ", repeat: 3", "", "search: 20 ms", "search: 5 ms").Replace(shotsRecipe)+lines)
	here := startLine(t, dir, append(append([]string(nil), a.In...), filepath.Join(bin, "tsrun"), path, "--set", "network.insecure=true",
		"--set", "network.master="+a.Address, "--set", "nodes.bob.host=remote", "--set", "clock.source="+c.clock))
	there := startLine(t, t.TempDir(), append(append([]string(nil), b.In...), "env", fmt.Sprintf("GODEBUG=tsrunshift=%d", shift.Nanoseconds()),
		filepath.Join(program, "tsrun"), "--mode", "slave", "--node", "bob", "--master", a.Address, "--tls", "off", "--once"))
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
