package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// TestMasterHeldUpAtTheInstant stops the master when it has given the instant:
// the acknowledgements come before its deadline and are read after it.
func TestMasterHeldUpAtTheInstant(t *testing.T) {
	for _, pause := range []time.Duration{500 * time.Millisecond, 1200 * time.Millisecond, 2500 * time.Millisecond, 4 * time.Second} {
		t.Run(pause.String(), func(t *testing.T) {
			t.Parallel()
			recipe := hurried(t, "pace: 10 ms", "pace: 10 ms", "acquire: {duration: 1 s}")
			work := t.TempDir()
			for trial := 1; ; trial++ {
				p := start(t, work, nil, recipe, "--json", "--set", "trigger.lead=1 s")
				eventually(t, 30*time.Second, "the instant is out", func() bool { return strings.Contains(p.stdout.String(), `"event":"fired"`) })
				_ = p.cmd.Process.Signal(syscall.SIGSTOP)
				time.Sleep(pause)
				_ = p.cmd.Process.Signal(syscall.SIGCONT)
				code := p.wait(60 * time.Second)
				if code == 0 {
					break
				}
				// A PC that holds up the drivers as well makes them late, which the run
				// tells; then it says nothing of the master.
				_, m := latest(t, work)
				if trial == mostTrials || m.Has(run.Incomplete) || !heldUp(m) {
					t.Fatalf("trial %d: exit code %d\n%s", trial, code, p.stdout.String())
				}
			}
			whole(t, work)
		})
	}
}

// TestSlaveHeldUpAtTheInstant stops a slave when the instant is out, until after it. It has
// acknowledged it by then, and its driver starts in time; or it has not, and the start is
// called off for all. Nothing starts alone without a word: a driver may have the order while
// its slave is stopped just before the acknowledgement.
func TestSlaveHeldUpAtTheInstant(t *testing.T) {
	t.Parallel()
	work := t.TempDir()
	p := start(t, work, nil, append([]string{hurried(t, "pace: 10 ms", "pace: 10 ms", "acquire: {duration: 1 s}"), "--json", "--set", "trigger.lead=2 s"}, freePorts...)...)
	slave := 0
	joined := regexp.MustCompile(`"event":"joined"[^\n]*"node":"bob"[^\n]*"pid":(\d+)`)
	eventually(t, 30*time.Second, "the slave's process is named", func() bool {
		if found := joined.FindStringSubmatch(p.stdout.String()); found != nil {
			slave, _ = strconv.Atoi(found[1])
		}
		return slave > 1
	})
	eventually(t, 30*time.Second, "the instant is out", func() bool { return strings.Contains(p.stdout.String(), `"event":"fired"`) })
	if err := syscall.Kill(slave, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond)
	_ = syscall.Kill(slave, syscall.SIGCONT)
	code := p.wait(60 * time.Second)
	runs, err := filepath.Glob(filepath.Join(work, "runs", "*-hurried", "manifest.json"))
	if err != nil || len(runs) != 1 {
		t.Fatalf("%v, %v\n%s", runs, err, p.stdout.String())
	}
	m, err := run.ReadManifest(filepath.Dir(runs[0]))
	if err != nil {
		t.Fatal(err)
	}
	shots := 0
	for _, n := range m.Nodes {
		for _, c := range n.Controllers {
			if c.Shot != nil {
				shots++
			}
		}
	}
	switch {
	case code == 5 && shots == 0 && len(m.Segments) == 0 && strings.Contains(reasons(m), "called off"):
	case code == 5 && shots == 1 && strings.Contains(reasons(m), `ABORTED bob. controller "tc" had been started when the start was called off, and recorded alone`):
	case (code == 0 || heldUp(m)) && shots == 2:
	default:
		t.Errorf("exit code %d, %d starts, %d segments\n%s", code, shots, len(m.Segments), reasons(m))
	}
	t.Logf("exit code %d, %d starts", code, shots)
}

// TestDriverHeldUpAtTheInstant: a controller that was started late is no part of
// a good run, and the manifest says by how much.
func TestDriverHeldUpAtTheInstant(t *testing.T) {
	t.Parallel()
	const lead = 8 * time.Second // in which the driver is to be found and stopped, however slow this PC is
	work := t.TempDir()
	p := start(t, work, nil, append([]string{hurried(t, "", "", "acquire: {duration: 1 s}"), "--json", "--set", "trigger.lead=" + lead.String()}, freePorts...)...)
	eventually(t, 30*time.Second, "the instant is acknowledged", func() bool { return strings.Contains(p.stdout.String(), `"state":"running"`) })
	driver := 0
	eventually(t, 20*time.Second, "the manifest names the driver's process", func() bool {
		_, m := latest(t, work)
		driver = m.Nodes["bob"].Controllers["tc"].PID
		return driver > 1 // 0 would be this test itself
	})
	if err := syscall.Kill(driver, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	time.Sleep(lead + time.Second)
	_ = syscall.Kill(driver, syscall.SIGCONT)
	if code := p.wait(60 * time.Second); code != 3 {
		t.Errorf("exit code %d, want 3\n%s", code, p.stdout.String())
	}
	_, m := latest(t, work)
	if m.Has(run.Incomplete) || !strings.Contains(reasons(m), `TAINTED bob. controller "tc" was started `) {
		t.Errorf("condition %v\n%s", m.Condition, reasons(m))
	}
}

// TestDiskThatFillsWithSegments: the last manifest finds its room however many
// segments there are.
func TestDiskThatFillsWithSegments(t *testing.T) {
	t.Parallel()
	runs := filepath.Join(need.Disk(t, "20m"), "runs")
	recipe := hurried(t, "", "", "acquire: {duration: 40 s, segment: 10 ms}")
	r := runTsrun(t, t.TempDir(), recipe, "--set", "faults.disk_below=1 MiB", "--runs", runs, "--set", "acquire.duration=2000 s")
	contains(t, r.stderr, "the manifest of 400002 segments takes up to ", " MiB, and ", "write a longer acquire.segment")
	if r.code != 5 {
		t.Errorf("no room for the manifest: exit code %d, want 5", r.code)
	}
	r = runTsrun(t, t.TempDir(), recipe, "--set", "faults.disk_below=1 MiB", "--runs", runs)
	if r.code != 3 {
		t.Errorf("exit code %d, want 3\n%s%s", r.code, r.stderr, r.stdout)
	}
	contains(t, r.stdout+r.stderr, "no space left on device", "INCOMPLETE")
	m, err := run.ReadManifest(filepath.Join(runs, "latest"))
	if err != nil {
		t.Fatal(err)
	}
	proven := 0
	for _, s := range m.Segments {
		if s.Verified {
			proven++
		}
	}
	sums, err := os.Stat(filepath.Join(runs, "latest", run.SumsFile))
	if m.Ended.IsZero() || len(m.Segments) < 2000 || proven == 0 || err != nil || sums.Size() == 0 {
		t.Errorf("ended %v; %d of %d segments are proven; %v", m.Ended, proven, len(m.Segments), err)
	}
	if n := len(r.stderr); n > 20_000 || strings.Count(r.stderr, "of the log are not kept") > 1 {
		t.Errorf("the user is told in %d bytes:\n%.4000s", n, r.stderr)
	}
	t.Logf("%d of %d segments are proven", proven, len(m.Segments))
	if v := runTsrun(t, t.TempDir(), "verify", filepath.Join(runs, "latest")); strings.Contains(v.stdout, "hash") || v.code != 0 && v.code != 7 {
		t.Errorf("verify: exit code %d, want no damage\n%.2000s", v.code, v.stdout)
	}
}

// passOn lets what dials a port of the loopback in a namespace through to the
// master, so many bytes a second, for the ports that are named.
func passOn(t *testing.T, pid int, address string, ports map[int]int) {
	t.Helper()
	for port, rate := range ports {
		var l net.Listener
		if err := within(pid, func() (err error) {
			l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
			return err
		}); err != nil {
			t.Fatal(err)
		}
		narrow(t, l, func() (conn net.Conn, err error) {
			err = within(pid, func() (err error) {
				conn, err = net.Dial("tcp", net.JoinHostPort(address, fmt.Sprint(port)))
				return err
			})
			return conn, err
		}, rate)
	}
}

// TestSlavesThatCannotTakePart: whatever keeps the other PC from recording, the
// master says what it is there, soon, and the slave waits for better times.
func TestSlavesThatCannotTakePart(t *testing.T) {
	t.Parallel()
	here, there, address := twoHosts(t)
	anchor := start(t, t.TempDir(), there, "--mode", "slave", "--node", "nobody", "--master", "127.0.0.9") // holds the namespace
	eventually(t, 20*time.Second, "the namespace is there", func() bool { return strings.Contains(anchor.stderr.String(), "no answer") })
	recipe := hurried(t, "", "", "acquire: {duration: 1 s}\nnetwork: {master: "+address+", join: 5 min, insecure: true}")
	master := func(code int, wants ...string) *tsrun {
		t.Helper()
		p := start(t, t.TempDir(), here, recipe, "--set", "nodes.bob.host=remote")
		if got := p.wait(60 * time.Second); got != code {
			t.Errorf("exit code %d, want %d\n%s", got, code, p.stderr.String())
		}
		contains(t, p.stderr.String(), wants...)
		return p
	}
	slave := func(address string, args ...string) *tsrun {
		return start(t, t.TempDir(), there, append([]string{"--mode", "slave", "--node", "bob", "--master", address, "--tls", "off"}, args...)...)
	}
	end := func(p *tsrun) {
		_ = p.cmd.Process.Signal(syscall.SIGTERM)
		p.wait(20 * time.Second)
	}

	nowhere := slave(address, "--data", "/dev/null/data")
	for range 2 { // it comes back for the next run
		master(5, "bob", "make the directory for recorded files: mkdir /dev/null: not a directory", "choose a writable one with --data on that PC")
	}
	if n := strings.Count(nowhere.stderr.String(), "make the directory for recorded files"); n < 2 || n > 20 {
		t.Errorf("the slave says so %d times\n%s", n, nowhere.stderr.String())
	}
	end(nowhere)

	small := slave(address, "--data", filepath.Join(need.Disk(t, "4m"), "runs"))
	master(5, "bob", "has 3 MiB left, the recipe wants 100 MiB", "a slave: --data")
	end(small)

	t.Run("files port", func(t *testing.T) {
		passOn(t, anchor.cmd.Process.Pid, address, map[int]int{5557: 10 << 20, 5559: 10 << 20})
		blocked := slave("127.0.0.1")
		master(5, "bob", "the master's files port cannot be reached", "127.0.0.1:5560: connect: connection refused", "let the firewalls between pass TCP")
		end(blocked)
	})
	t.Run("trigger port", func(t *testing.T) {
		passOn(t, anchor.cmd.Process.Pid, address, map[int]int{5559: 10 << 20, 5560: 10 << 20})
		blocked := slave("127.0.0.1")
		const says = "bob: is ready, but hears nothing from the trigger port of this PC, 5557"
		for join := 10 * time.Second; ; join *= 4 {
			p := start(t, t.TempDir(), here, recipe, "--set", "nodes.bob.host=remote", "--set", "network.join="+join.String())
			code, told := p.wait(join+60*time.Second), p.stderr.String()
			if join < 3*time.Minute && (strings.Contains(told, "did not join within") || strings.Contains(told, "still preparing when the time was up")) {
				continue // a busy PC kept bob from being ready by then
			}
			if code != 5 || strings.Count(told, says) < 2 { // while the master waits, and at the end
				t.Errorf("exit code %d\n%s", code, told)
			}
			break
		}
		end(blocked)
	})
}

// TestSlaveWithoutReaders: what nobody reads, and a terminal that hangs up, end
// nothing on the other PC either.
func TestSlaveWithoutReaders(t *testing.T) {
	t.Parallel()
	here, there, address := twoHosts(t)
	work, away := t.TempDir(), t.TempDir()
	line := append(there, "bash", "-c", `"$0" --mode slave --node bob --master "$1" --tls off --once 2>&1 | head -n 1; exit ${PIPESTATUS[0]}`, filepath.Join(bin, "tsrun"), address)
	slave := startLine(t, away, line)
	master := start(t, work, here, hurried(t, "pace: 100 ms", "pace: 100 ms", "acquire: {duration: 3 s, segment: 500 ms}"),
		"--set", "network.master="+address, "--set", "network.insecure=true", "--set", "nodes.bob.host=remote", "--json")
	eventually(t, 40*time.Second, "the run goes on", func() bool { return strings.Contains(master.stdout.String(), `"state":"running"`) })
	var joined struct{ PID int }
	for text := range strings.Lines(master.stdout.String()) {
		if strings.Contains(text, `"event":"joined"`) && strings.Contains(text, `"node":"bob"`) {
			if err := json.Unmarshal([]byte(text), &joined); err != nil {
				t.Fatal(err)
			}
		}
	}
	if joined.PID <= 1 {
		t.Fatalf("no process of bob's slave\n%s", master.stdout.String())
	}
	for range 2 {
		if err := syscall.Kill(joined.PID, syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
	}
	begun := time.Now()
	if code := master.wait(60 * time.Second); code != 0 {
		t.Errorf("exit code %d\n%s", code, master.stdout.String())
	}
	t.Logf("the run took %v more", time.Since(begun))
	if code := slave.wait(20 * time.Second); code != 0 {
		t.Errorf("slave: exit code %d\n%s", code, slave.stdout.String())
	}
	whole(t, work)
	if left, err := os.ReadDir(filepath.Join(away, "runs")); err != nil || len(left) > 0 {
		t.Errorf("left at the slave: %v, %v", left, err)
	}
}
