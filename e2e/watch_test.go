package e2e

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
	"tsrun/pipeline/series"
)

// startWatch watches the bench of shots.yaml, one shot of it, and waits until it sees pairs.
func startWatch(t *testing.T) (p *tsrun, keys *os.File, dir string) {
	dir, path := writeRecipe(t, strings.Replace(shotsRecipe, ", repeat: 3", "", 1))
	p, keys = startKeyed(t, dir, append([]string{"watch", path, "--json"}, freePorts...)...)
	for deadline := time.Now().Add(2 * time.Minute); !seesPairs(p); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no pairs are seen:\n%s\n%s", p.stdout.String(), p.stderr.String())
		}
	}
	return p, keys, dir
}

// startKeyed starts tsrun with what is typed to it.
func startKeyed(t *testing.T, dir string, args ...string) (p *tsrun, keys *os.File) {
	t.Helper()
	in, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p = startLine(t, dir, append([]string{"sh", "-c", `exec "$0" "$@" <&3`, filepath.Join(bin, "tsrun")}, args...), in)
	t.Cleanup(func() { in.Close(); keys.Close() })
	return p, keys
}

// press types something.
func press(t *testing.T, keys *os.File, what string) {
	t.Helper()
	if _, err := keys.WriteString(what); err != nil {
		t.Fatal(err)
	}
}

// emptied wants nothing in a directory but what is named, not even directories.
func emptied(t *testing.T, dir string, but ...string) {
	t.Helper()
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		if !slices.Contains(but, e.Name()) {
			t.Errorf("left in %s: %s", dir, e.Name())
		}
	}
}

// ratesOf are those of the newest that a watcher told, by channel; 0: none is known.
func ratesOf(p *tsrun) map[string]float64 {
	rates := map[string]float64{}
	for l := range strings.Lines(p.stdout.String()) {
		var e event.Watched
		if strings.HasPrefix(l, `{"event":"watched"`) && json.Unmarshal([]byte(l), &e) == nil {
			for _, c := range e.Channels {
				if rates[c.Channel] = 0; c.Rate != nil {
					rates[c.Channel] = float64(c.Rate.Millihertz()) / 1000
				}
			}
		}
	}
	return rates
}

// A node whose slave somebody has started is watched as the master's own are, also when
// its cable was cut meanwhile; r recorded it, and the second one is nothing more.
func TestWatchOfARemoteNode(t *testing.T) {
	t.Parallel()
	f, line := layField(t, 31)
	var keys *os.File
	f.master, keys = startKeyed(t, f.work, append([]string{"watch"}, line...)...)
	f.slave = f.join("bob")
	seen := func(b bool) func() bool {
		return func() bool { r := ratesOf(f.master); return r["alice.a"] > 0 && (r["bob.b"] > 0) == b }
	}
	eventually(t, 60*time.Second, "rates of both", seen(true))
	f.cut(true)
	f.hears(isAway, 1)
	eventually(t, 60*time.Second, "no rate of who is away, and one of who is here", seen(false))
	f.cut(false)
	f.hears(isBack, 1)
	eventually(t, 60*time.Second, "rates of both again", seen(true))
	emptied(t, f.far, "runs")
	if files := tagFiles(t, f.far); len(files)+len(tagFiles(t, f.work)) > 0 {
		t.Errorf("before anything is recorded there are %v", files)
	}
	press(t, keys, "rr\n")
	f.hears(inState("running"), 1)
	press(t, keys, "r\n")
	f.good()
	if runs, _ := filepath.Glob(filepath.Join(f.work, "runs", "2*")); len(runs) != 1 {
		t.Errorf("recorded as %v", runs)
	}
	if opened := strings.Count(f.master.stdout.String(), `{"event":"device"`); opened != 2 {
		t.Errorf("%d devices were opened of two nodes", opened)
	}
}

// Whatever ends a watch before anything is recorded leaves nothing, on no PC.
func TestWatchThatLeavesNothing(t *testing.T) {
	t.Parallel()
	t.Run("Ctrl-C while a controller opens", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		p, keys := startKeyed(t, dir, append([]string{"watch", hurried(t, "", "open: 10 min", "acquire: {duration: 1 s}"), "--json"}, freePorts...)...)
		eventually(t, 30*time.Second, "one of two is ready", func() bool { return strings.Contains(p.stdout.String(), `{"event":"device"`) })
		press(t, keys, "r\n") // too early, and nothing
		if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code := p.wait(30 * time.Second); code != 0 {
			t.Errorf("exit code %d\n%s", code, p.stderr.String())
		}
		emptied(t, dir)
	})
	t.Run("a controller that refuses", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		_, path := writeRecipe(t, strings.Replace(strings.Replace(shotsRecipe, ", repeat: 3", "", 1), "bob:\n    controllers:\n      tc: {driver: tc-ethernet, config: {address: sim}}", "bob:\n    controllers:\n      tc: {driver: tc-ethernet, config: {address: 127.0.0.1}}", 1))
		p, _ := startKeyed(t, dir, append([]string{"watch", path, "--json"}, freePorts...)...)
		if code := p.wait(30 * time.Second); code == 0 || code == 130 {
			t.Errorf("exit code %d\n%s\n%s", code, p.stdout.String(), p.stderr.String())
		}
		emptied(t, dir)
	})
	t.Run("a driver that dies, of one node without stages", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		_, path := writeRecipe(t, "version: 1\nname: one\nnodes:\n  alice:\n    controllers: {tc: {driver: tc-ethernet, config: {address: sim}}}\n    channels: {a: {on: tc/1, threshold: 100 mV}}\nacquire: {duration: 1 s}\nsinks: {raw: {sink: sink-file}}\n")
		p, _ := startKeyed(t, dir, append([]string{"watch", path, "--json", "--web=127.0.0.1:0"}, freePorts...)...)
		seen := lookOn(t, p)
		eventually(t, 30*time.Second, "a rate", func() bool { return ratesOf(p)["alice.a"] > 0 })
		for _, m := range family(t, p.cmd.Process.Pid) {
			if strings.Contains(m.command, "/plugins/tc-ethernet") {
				_ = syscall.Kill(m.pid, syscall.SIGKILL)
			}
		}
		if code := p.wait(30 * time.Second); code == 0 || code == 130 {
			t.Errorf("exit code %d\n%s\n%s", code, p.stdout.String(), p.stderr.String())
		}
		contains(t, p.stdout.String(), "plugin-died", "none is kept")
		contains(t, seen(), "plugin-died")
		emptied(t, dir)
	})
	t.Run("a page whose port is taken", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		for _, line := range [][]string{{"watch", shipped(t, "coincidence.yaml")}, {shipped(t, "coincidence.yaml")}} {
			r := runTsrun(t, dir, append(append(line, "--web="+taken.Addr().String()), freePorts...)...)
			if r.code == 0 || !strings.Contains(r.stderr, "address already in use; give --web another address") {
				t.Errorf("%v: exit code %d\n%s", line, r.code, r.stderr)
			}
			emptied(t, dir)
		}
	})
	t.Run("a remote slave that is killed and started again", func(t *testing.T) {
		t.Parallel()
		f, line := layField(t, 32)
		f.master, _ = startKeyed(t, f.work, append([]string{"watch"}, line...)...)
		f.slave = f.join("bob")
		f.hears(inState("watching"), 1)
		_ = f.slave.cmd.Process.Kill()
		<-f.slave.ended
		f.slave = f.join("bob")
		f.hears(inState("watching"), 2)
		eventually(t, 60*time.Second, "rates of both", func() bool { r := ratesOf(f.master); return r["alice.a"] > 0 && r["bob.b"] > 0 })
		if err := f.master.cmd.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		if code := f.master.wait(30 * time.Second); code != 0 {
			t.Errorf("exit code %d\n%s", code, f.master.stderr.String())
		}
		emptied(t, f.work)
		emptied(t, f.far, "runs")
		eventually(t, 30*time.Second, "nothing is left at the slave", func() bool {
			left, err := filepath.Glob(filepath.Join(f.far, "runs", "*", "*"))
			return err == nil && len(left) == 0
		})
	})
}

// Of a recipe with scan, r begins the series.
func TestWatchBeginsASeries(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p, keys := startKeyed(t, dir, append([]string{"watch", shipped(t, "threshold-scan.yaml"), "--json", "--set", "acquire.duration=300 ms",
		"--set", "scan={nodes.alice.channels.signal.threshold: [100 mV, 140 mV]}"}, freePorts...)...)
	eventually(t, 60*time.Second, "a rate", func() bool { return ratesOf(p)["alice.signal"] > 0 })
	emptied(t, dir, "runs")
	press(t, keys, "r\n")
	code := p.wait(90 * time.Second)
	found, _ := filepath.Glob(filepath.Join(dir, "runs", "*"))
	if len(found) != 1 {
		t.Fatalf("left: %v", found)
	}
	s, err := series.Open(found[0])
	if err != nil || len(s.Shots) != 2 || code != 0 && s.Failed() == 0 {
		t.Errorf("exit code %d: %v, %+v\n%s", code, err, s, p.stderr.String())
	}
	contains(t, p.stderr.String(), "begins its series of 2 runs", "shot 2 of 2")
}

// seesPairs reports whether rates and a peak were told.
func seesPairs(p *tsrun) bool {
	for l := range strings.Lines(p.stdout.String()) {
		var e event.Watched
		if strings.HasPrefix(l, `{"event":"watched"`) && json.Unmarshal([]byte(l), &e) == nil && len(e.Pairs) == 1 && e.Pairs[0].PeakPs != nil {
			return e.Channels[0].Rate != nil && e.Channels[1].Rate != nil
		}
	}
	return false
}

// A bench that is only watched leaves nothing; one that is recorded is a run.
func TestWatch(t *testing.T) {
	t.Parallel()
	p, _, dir := startWatch(t)
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(30 * time.Second); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
	emptied(t, dir, "recipe.yaml")

	p, keys, dir := startWatch(t)
	press(t, keys, "r\n")
	code := p.wait(60 * time.Second)
	at, m := latest(t, dir)
	if (code != 0 || !run.IsGood(m.Condition)) && !heldUp(m) {
		t.Errorf("exit code %d, %v: %s\n%s", code, m.Condition, reasons(m), p.stderr.String())
	}
	if opened := strings.Count(p.stdout.String(), `{"event":"device"`); opened != 2 {
		t.Errorf("%d devices were opened of two nodes", opened)
	}
	checkTags(t, at, m, "alice", "signal")
	checkTags(t, at, m, "bob", "idler")
}
