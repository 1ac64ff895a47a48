package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/twopcs"
)

// pcs is a master and the slave of bob on another PC, with a bad cable between.
type pcs struct {
	t             *testing.T
	here, there   twopcs.PC
	cable         *badCable
	address       string
	work, far     string
	tags          uint64 // of each channel
	master, slave *tsrun
}

// linkPhase is a phase of a run that is long enough for a fault.
type linkPhase struct {
	name       string
	alice, bob string // more of the config of their controllers
	every      time.Duration
	lead       string
	length     time.Duration // of the recording
	usual      harm          // of the cable, from the start
	until      func(a *pcs)
}

var linkPhases = []linkPhase{
	{name: "joining", bob: ", open: 3 s", until: func(a *pcs) { a.hears(`"node":"bob","host"`) }},
	{name: "arming", bob: ", arm: 3 s", until: func(a *pcs) { a.hears(inState("arming")) }},
	{name: "armed", lead: "5 s", usual: harm{delay: 300 * time.Millisecond}, until: func(a *pcs) { a.hears(inState("armed")) }}, // the instant is under way
	{name: "acknowledged", lead: "5 s", until: func(a *pcs) { a.hears(inState("running")) }},
	{name: "running", until: func(a *pcs) { a.hears(inState("running")); time.Sleep(4 * time.Second) }},
	{name: "draining", until: func(a *pcs) { a.hears(inState("draining")) }},
	{name: "transferring", every: 20 * time.Microsecond, usual: harm{rate: 1_000_000}, until: func(a *pcs) { a.hears(inState("transferring")) }},
}

// linkFault is what is done to the link, and for how long it has no connections.
type linkFault struct {
	name string
	down time.Duration
	do   func(a *pcs, usual harm)
}

// link sets the interface of a PC up or down.
func (a *pcs) link(pc twopcs.PC, state string) {
	a.t.Helper()
	if err := pc.Link(state); err != nil {
		a.t.Error(err)
	}
}

func linkFaults() (faults []linkFault) {
	for _, d := range []time.Duration{time.Second, 10 * time.Second, 60 * time.Second} {
		faults = append(faults, linkFault{"down " + d.String(), d, func(a *pcs, _ harm) {
			a.link(a.there, "down")
			time.Sleep(d)
			a.link(a.there, "up")
		}})
	}
	faults = append(faults, linkFault{"master's end down 10s", 10 * time.Second, func(a *pcs, _ harm) {
		a.link(a.here, "down")
		time.Sleep(10 * time.Second)
		a.link(a.here, "up")
	}}, linkFault{"resets 2s", 2 * time.Second, func(a *pcs, usual harm) {
		reset := usual
		reset.reset = true
		a.cable.set(reset)
		time.Sleep(2 * time.Second)
		a.cable.set(usual)
	}})
	for _, d := range []time.Duration{time.Second, 10 * time.Second} {
		for from, whose := range []string{"master", "slave"} {
			faults = append(faults, linkFault{"deaf to the " + whose + " " + d.String(), d, func(a *pcs, usual harm) {
				a.cable.setWay(from, harm{loss: 1})
				time.Sleep(d)
				a.cable.setWay(from, usual)
			}})
		}
	}
	for name, h := range map[string]harm{"300 ms and loss 5 %": {loss: 0.05, delay: 300 * time.Millisecond}, "long packets vanish": {mtu: 1280}, "loss 5 %": {loss: 0.05}, "delay 200 ms": {delay: 200 * time.Millisecond}, "reordered": {reorder: 0.25}, "1 Mbit/s": {rate: 1_000_000}} {
		faults = append(faults, linkFault{name, 0, func(a *pcs, usual harm) {
			both := h
			both.rate, both.delay = max(h.rate, usual.rate), h.delay+usual.delay
			a.cable.set(both)
		}})
	}
	return faults
}

// inPart are those that are tried where a part is asked for.
var inPart = map[string]string{"joining": "loss 5 %", "arming": "down 10s", "armed": "down 1s", "acknowledged": "resets 2s",
	"running": "down 10s", "draining": "reordered", "transferring": "resets 2s"}

// TestLongLinks: whatever becomes of a link for a while, in whatever phase, a run ends
// as docs/reliability.md says, with all that was recorded.
func TestLongLinks(t *testing.T) {
	t.Parallel()
	part := need.LongTrials(t, 2, 1) == 1
	for _, phase := range linkPhases {
		for _, fault := range linkFaults() {
			if part && inPart[phase.name] != fault.name {
				continue
			}
			t.Run(phase.name+", "+fault.name, func(t *testing.T) {
				t.Parallel()
				a := newApart(t, phase)
				phase.until(a)
				begun := time.Now()
				fault.do(a, phase.usual)
				code := a.end(fault.down)
				switch {
				case phase.name == "joining" && fault.down > joinWithin:
					a.nobodyRecorded(code, "joined, was preparing, and nothing is heard of it")
				case phase.name == "armed" && code == 5: // the acknowledgement does not wait
					a.nobodyRecorded(code, "the trigger was not acknowledged in time")
				default:
					a.all(code)
				}
				t.Logf("exit code %d, %.0f s after the fault; away %d times", code, time.Since(begun).Seconds(), strings.Count(a.master.stdout.String(), isAway))
			})
		}
	}
}

// joinWithin is how long the runs wait for a slave to join, longer than all that a link
// is down for but the longest.
const joinWithin = 40 * time.Second

// newApart starts a run that is as slow in one phase as that needs.
func newApart(t *testing.T, p linkPhase) *pcs {
	t.Helper()
	a := &pcs{t: t, work: t.TempDir(), far: t.TempDir()}
	a.here, a.there, a.address, a.cable = twoHostsApart(t)
	a.cable.set(p.usual)
	if p.every == 0 {
		p.every = time.Millisecond
	}
	if p.lead == "" {
		p.lead = "3 s"
	}
	if p.length == 0 {
		p.length = 4 * time.Second
	}
	a.tags = uint64(p.length / p.every)
	config := fmt.Sprintf("every: %v, pace: %v", micro(p.every), micro(100*p.every))
	recipe := hurried(t, config+p.alice, config+p.bob, fmt.Sprintf("acquire: {duration: %v, segment: 500 ms}\nnetwork: {master: %s, join: %v, insecure: true}\nfaults: {patience: 90 s}",
		micro(p.length), a.address, micro(joinWithin)))
	a.master = start(t, a.work, a.here.In, recipe, "--set", "nodes.bob.host=remote", "--set", "trigger.lead="+p.lead, "--json")
	a.slave = a.join()
	return a
}

func micro(d time.Duration) string { return fmt.Sprintf("%d us", d.Microseconds()) }

func (a *pcs) join() *tsrun {
	return start(a.t, a.far, a.there.In, "--mode", "slave", "--node", "bob", "--master", a.address, "--tls", "off")
}

// said is all that the processes have said.
func (a *pcs) said() string {
	return a.master.stdout.String() + a.master.stderr.String() + "slave:\n" + a.slave.stderr.String()
}

func (a *pcs) hears(says string) {
	a.t.Helper()
	for begun := time.Now(); !strings.Contains(a.master.stdout.String(), says); time.Sleep(5 * time.Millisecond) {
		if time.Since(begun) > busy*time.Minute || a.master.cmd.ProcessState != nil {
			a.t.Fatalf("not heard: %s\n%s", says, a.said())
		}
	}
}

// end waits for the master's exit code as long as it says anything.
func (a *pcs) end(down time.Duration) int {
	a.t.Helper()
	for said, at := 0, time.Now(); ; {
		select {
		case <-a.master.ended:
			keepToSchema(a.t, a.master.stdout.String())
			return a.master.cmd.ProcessState.ExitCode()
		case <-time.After(50 * time.Millisecond):
		}
		if now := len(a.said()); now != said {
			said, at = now, time.Now()
		} else if time.Since(at) > down+2*time.Minute {
			a.t.Fatalf("nobody has said anything for %v\n%s", time.Since(at), a.said())
		}
	}
}

// all wants every tag in the run directory, proven, no copy of it left, and a slave
// that waits for the next run.
func (a *pcs) all(code int) {
	a.t.Helper()
	if code != 0 {
		a.t.Errorf("exit code %d\n%s", code, a.said())
	}
	whole(a.t, a.work)
	_, m := latest(a.t, a.work)
	for node, channel := range map[string]string{"alice": "a", "bob": "b"} {
		if n := m.Nodes[node].Channels[channel].Tags; n != a.tags {
			a.t.Errorf("%s: %d tags, want %d", node, n, a.tags)
		}
	}
	eventually(a.t, 20*time.Second, "the slave's own copies are gone", func() bool { return len(a.kept()) == 0 })
	a.waits()
}

// bytesOf is how much of a node's files there is anywhere.
func (a *pcs) bytesOf(node string) (bytes int64) {
	for _, place := range []string{filepath.Join(a.work, "runs", "*"), filepath.Join(a.work, "runs", "*", "sources", "*"), filepath.Join(a.far, "runs", "*")} {
		files, err := filepath.Glob(filepath.Join(place, "raw", node, "*"))
		if err != nil {
			a.t.Error(err)
		}
		for _, f := range files {
			if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() { // beside them is the record of the clock
				bytes += info.Size()
			}
		}
	}
	return bytes
}

// kept are the files of tags that the slave has kept.
func (a *pcs) kept() []string {
	files, err := filepath.Glob(filepath.Join(a.far, "runs", "*", "raw", "bob", "*.*"))
	if err != nil {
		a.t.Error(err)
	}
	return files
}

func (a *pcs) waits() {
	a.t.Helper()
	select {
	case <-a.slave.ended:
		a.t.Errorf("the slave has ended\n%s", a.slave.stderr.String())
	default:
	}
}

// nobodyRecorded wants a run that was called off with a reason, and a node that was
// alone with the instant to say where it keeps what it recorded.
func (a *pcs) nobodyRecorded(code int, why string) {
	a.t.Helper()
	if code != 5 || !strings.Contains(a.master.stdout.String(), why) {
		a.t.Errorf("exit code %d, want 5 and %q\n%s", code, why, a.said())
	}
	if n := a.bytesOf("alice"); n > 0 {
		a.t.Errorf("alice recorded %d bytes of a run that was called off\n%s", n, a.said())
	}
	a.waits()
	if files := a.kept(); len(files) > 0 {
		a.t.Logf("bob was alone: %d files", len(files))
		eventually(a.t, 60*time.Second, "bob says where its files are", func() bool {
			return strings.Contains(a.slave.stderr.String(), "recorded files")
		})
	}
}
