package e2e

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/run"
	"tsrun/sdk"
	"tsrun/sdk/fifteen"
	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
)

// runTDC2 runs a recipe of a simulated TDC2.
func runTDC2(t *testing.T, code int, fault string) (result, string, *run.Manifest) {
	t.Helper()
	work := t.TempDir()
	args := append([]string{write(t, filepath.Join(work, "tdc2.yaml"), `version: 1
name: tdc2
nodes: {bob: {controllers: {tc: {driver: tc-serial, config: {model: tdc2, port: sim}}}, channels: {idler: {on: tc/1, threshold: 500 mV}}}}
acquire: {duration: 2 s}
sinks: {raw: {sink: sink-file, config: {format: bin}}}
simulate:
  seed: 7
  pairs: {rate: 20 kHz, jitter: 80 ps}
  bob: {drift: 12 ppb, dark: 2 kHz, efficiency: 60 %}
`)}, freePorts...)
	if fault != "" {
		args = append(args, "--set", "simulate.bob.faults=["+fault+"]")
	}
	r := runTsrun(t, work, args...)
	held := false
	if code == 0 && r.code == 3 {
		_, m := latest(t, work)
		held = strings.Contains(reasons(m), "of readevents7 in the first") // as this PC held it up, which is told
	}
	if r.code != code && !held {
		t.Fatalf("exit code %d, want %d\n%s%s", r.code, code, r.stderr, r.stdout)
	}
	if code == 5 { // refused before there was anything
		return r, "", nil
	}
	dir, m := latest(t, work)
	return r, dir, m
}

// TestTDC2 records a TDC2, which a process of its own reads: each tag is at the
// time at which the simulator saw it, to a tick. One that does not end when it is
// told to has given all that was asked for.
func TestTDC2(t *testing.T) {
	t.Parallel()
	for _, fault := range []string{"", "stubborn"} {
		t.Run("fault "+fault, func(t *testing.T) {
			t.Parallel()
			_, dir, m := runTDC2(t, 0, fault)
			late := strings.Contains(reasons(m), "of readevents7 in the first") // this PC held it up, which is told
			if want := []run.Condition{run.Good, run.Simulated}; !slices.Equal(m.Condition, want) && !late {
				t.Errorf("condition %v, want %v; reasons %v", m.Condition, want, m.Reasons)
			}
			if got, want := recordedTags(t, dir, m, "bob", "idler"), seenByTDC2(t, m); !slices.Equal(got, want) || len(want) < 1000 {
				t.Errorf("%d tags, want %d at their times", len(got), len(want))
			}
		})
	}
}

// TestTDC2Faults: what its program does wrong is in the condition, and what came
// before is kept.
func TestTDC2Faults(t *testing.T) {
	t.Parallel()
	for fault, reason := range map[string]string{"killed=800 ms": "signal: killed", "ends=800 ms": "ended by itself", "garbage=1001@500 ms": "no event", "no-device": "No such file"} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			code := 3
			if fault == "no-device" {
				code = 5
			}
			r, dir, m := runTDC2(t, code, fault)
			contains(t, r.stdout+r.stderr, reason)
			if code == 5 {
				return
			}
			contains(t, r.stdout+r.stderr, "INCOMPLETE + SIMULATED")
			c := m.Nodes["bob"].Channels["idler"]
			if c.Tags < 1000 {
				t.Errorf("%d tags are kept", c.Tags)
			}
			if !strings.HasPrefix(fault, "garbage") {
				return
			}
			got, want := recordedTags(t, dir, m, "bob", "idler"), seenByTDC2(t, m)
			known := 0
			for _, tag := range got {
				if _, found := slices.BinarySearch(want, tag); found {
					known++
				}
			}
			if c.Lost == 0 || len(got)-known > 1 || uint64(len(want)-known) > c.Lost {
				t.Errorf("%d tags of which %d are known, of %d; %d lost", len(got), known, len(want), c.Lost)
			}
		})
	}
}

// recordedTags are the tags in the files of a channel.
func recordedTags(t *testing.T, dir string, m *run.Manifest, node, channel string) (tags []uint64) {
	t.Helper()
	for _, s := range m.Segments {
		if s.Node != node || s.Channel != channel {
			continue
		}
		b, err := os.ReadFile(filepath.Join(dir, s.File))
		if err != nil {
			t.Fatal(err)
		}
		for ; len(b) >= 8; b = b[8:] {
			tags = append(tags, binary.LittleEndian.Uint64(b))
		}
	}
	slices.Sort(tags)
	return tags
}

// seenByTDC2 works out anew what the simulator at bob saw, as the driver has to
// have written it.
func seenByTDC2(t *testing.T, m *run.Manifest) (tags []uint64) {
	t.Helper()
	var report struct {
		OriginTick uint64     `json:"origin_tick"`
		Simulation *sky.Truth `json:"simulation"`
	}
	if err := json.Unmarshal(m.Nodes["bob"].Controllers["tc"].Report, &report); err != nil || report.Simulation == nil {
		t.Fatal(err, "no truth")
	}
	var controller sky.Controller
	if err := json.Unmarshal([]byte(`{"drift": "12 ppb", "dark": "2 kHz", "efficiency": "60 %"}`), &controller); err != nil {
		t.Fatal(err)
	}
	truth := report.Simulation
	eye, err := sky.NewEye(sky.Settings{Seed: truth.Seed, Pairs: sdk.Pairs{Rate: 20 * quantity.Kilohertz, Jitter: 80}}, controller, truth.Serial)
	if err != nil {
		t.Fatal(err)
	}
	const mask = 1<<fifteen.EventTimeBits - 1
	eye.Detections(fifteen.Detectors, sky.Unix(truth.StartUnixNs, truth.StartPs), false).Until(3e12, func(at int64, input int) {
		if at < 0 || input != 1 {
			return
		}
		ticks := fifteen.PsToTicks(uint64(at)) + uint64(truth.StartUnixNs)*256
		if tag, _ := fifteen.TicksToPs((ticks - report.OriginTick) & mask); tag < 2e12 {
			tags = append(tags, tag)
		}
	})
	return tags
}

// simulateTDC1 starts tsrun sim tdc1 and returns its port.
func simulateTDC1(t *testing.T, args ...string) (port string, sim *tsrun) {
	t.Helper()
	sim = start(t, t.TempDir(), nil, append([]string{"sim", "tdc1"}, args...)...)
	eventually(t, 20*time.Second, "the simulator says where it is", func() bool {
		m := regexp.MustCompile(`"port":"([^"]+)"`).FindStringSubmatch(sim.stdout.String())
		if m != nil {
			port = m[1]
		}
		return m != nil
	})
	return port, sim
}

// onPort is a recipe of one TDC1.
func onPort(t *testing.T, port, duration string) string {
	t.Helper()
	return write(t, filepath.Join(t.TempDir(), "port.yaml"), fmt.Sprintf(`version: 1
name: port
nodes: {lab: {controllers: {tc: {driver: tc-serial, config: {model: tdc1, port: %q}}}, channels: {x: {on: tc/1, threshold: 500 mV}}}}
acquire: {duration: %s}
sinks: {raw: {sink: sink-file}}
`, port, duration))
}

// TestTwoRunsOnOnePort: the second is refused, and told who has the port; the
// first goes on.
func TestTwoRunsOnOnePort(t *testing.T) {
	t.Parallel()
	port, _ := simulateTDC1(t)
	work := t.TempDir()
	first := start(t, work, nil, append([]string{onPort(t, port, "10 s"), "--json"}, freePorts...)...)
	eventually(t, 60*time.Second, "the first one records", func() bool { return strings.Contains(first.stdout.String(), `"state":"running"`) })
	second := runTsrun(t, t.TempDir(), append([]string{onPort(t, port, "1 s")}, freePorts...)...)
	if second.code != 5 {
		t.Errorf("exit code %d, want 5", second.code)
	}
	_, m := latest(t, work)
	contains(t, second.stdout+second.stderr, port, fmt.Sprintf("in use by tc-serial (process %d)", m.Nodes["lab"].Controllers["tc"].PID))
	if code := first.wait(60 * time.Second); code != 0 {
		t.Errorf("the first one: exit code %d\n%s", code, first.stdout.String())
	}
}

// TestTDC1WhileItsDriverIsHeldUp stops the process that reads a TDC1 which cannot
// wait: what is lost is in the condition, whether bytes of words are missing or, as
// one out of a few buffers leaves it, whole words alone.
func TestTDC1WhileItsDriverIsHeldUp(t *testing.T) {
	t.Parallel()
	for _, buffer := range []int{16380, 16383} {
		t.Run(fmt.Sprintf("buffer of %d bytes", buffer), func(t *testing.T) {
			t.Parallel()
			// The simulator of a PC that is busy may lag, and lose less than the light of the
			// time of the stop, or nothing; then the run shows nothing, and a longer stop may.
			stop := time.Second
			for trial := 1; !heldUpTDC1(t, buffer, stop); trial++ {
				if trial == mostTrials {
					t.Fatalf("in %d trials the simulator lost next to nothing", trial)
				}
				stop *= 2
			}
		})
	}
}

// heldUpTDC1 stops the driver of a TDC1 that keeps so many bytes for a while, and says
// whether the simulator lost a stretch of its words.
func heldUpTDC1(t *testing.T, buffer int, stop time.Duration) bool {
	t.Helper()
	port, sim := simulateTDC1(t, "--dark", "100 kHz", "--pairs-rate", "0 Hz", "--fault", fmt.Sprintf("small-buffer=%d", buffer))
	work := t.TempDir()
	p := start(t, work, nil, append([]string{onPort(t, port, (stop + 8*time.Second).String()), "--json"}, freePorts...)...)
	eventually(t, 60*time.Second, "it records", func() bool { return strings.Contains(p.stdout.String(), `"state":"running"`) })
	driver := 0
	eventually(t, 20*time.Second, "the manifest names the driver's process", func() bool {
		_, m := latest(t, work)
		driver = m.Nodes["lab"].Controllers["tc"].PID
		return driver > 1
	})
	time.Sleep(time.Second)
	if err := syscall.Kill(driver, syscall.SIGSTOP); err != nil {
		t.Fatalf("process %d of the driver: %v\n%s%s", driver, err, p.stdout.String(), p.stderr.String())
	}
	time.Sleep(stop)
	_ = syscall.Kill(driver, syscall.SIGCONT)
	code := p.wait(stop + 90*time.Second)
	var told struct {
		Truth sky.Truth `json:"truth"`
	}
	eventually(t, 20*time.Second, "the simulator tells the truth", func() bool {
		_, line, _ := strings.Cut(sim.stdout.String(), "\n") // behind where it listens
		return json.Unmarshal([]byte(line), &told) == nil
	})
	_, m := latest(t, work)
	x, truth := m.Nodes["lab"].Channels["x"], told.Truth.Channels[0]
	t.Logf("stopped for %v: the simulator lost %d tags of %d; exit code %d, %d tags and %d lost; %s", stop, truth.LostToFault, truth.Tags+truth.LostToFault, code, x.Tags, x.Lost, reasons(m))
	if truth.LostToFault < 1000 { // 10 ms
		return false
	}
	if code != 3 || !m.Has(run.Incomplete) || x.Lost == 0 || x.Tags == 0 || x.Tags > truth.Tags {
		t.Errorf("exit code %d, condition %v; %+v\n%s", code, m.Condition, x, p.stdout.String())
	}
	return true
}
