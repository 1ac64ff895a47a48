package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/twopcs"
	"tsrun/pipeline/run"
)

// within calls f on a thread that is in the network namespace of a process:
// sockets that it makes belong there.
func within(pid int, f func() error) error {
	return twopcs.Enter(fmt.Sprintf("/proc/%d/ns/net", pid), f)
}

// narrow passes connections on, each way with so many bytes a second at most.
func narrow(t *testing.T, l net.Listener, dial func() (net.Conn, error), bytesPerSecond int) {
	t.Cleanup(func() { l.Close() })
	pass := func(to, from net.Conn) {
		defer to.Close()
		defer from.Close()
		piece := make([]byte, max(1, bytesPerSecond/50))
		for {
			n, err := from.Read(piece)
			if _, werr := to.Write(piece[:n]); err != nil || werr != nil {
				return
			}
			time.Sleep(time.Duration(n) * time.Second / time.Duration(bytesPerSecond))
		}
	}
	go func() { // ends with l
		for {
			from, err := l.Accept()
			if err != nil {
				return
			}
			to, err := dial()
			if err != nil {
				from.Close()
				continue
			}
			for _, c := range []net.Conn{from, to} { // what lies in buffers is not on the cable
				_ = c.(*net.TCPConn).SetReadBuffer(64 << 10)
				_ = c.(*net.TCPConn).SetWriteBuffer(64 << 10)
			}
			go pass(to, from)
			go pass(from, to)
		}
	}()
}

// TestLongBacklog has files of a remote node travel for longer than a sender or
// a master waits for anything, over a cable on which one chunk of the greatest
// size takes longer than a connection may stand still.
func TestLongBacklog(t *testing.T) {
	need.Long(t)
	t.Parallel()
	here, there, address := twoHosts(t)
	anchor := start(t, t.TempDir(), there, "--mode", "slave", "--node", "nobody", "--master", "127.0.0.9") // holds the namespace
	eventually(t, 20*time.Second, "the namespace is there", func() bool { return strings.Contains(anchor.stderr.String(), "no answer") })
	work, away := t.TempDir(), t.TempDir()
	recipe := hurried(t, "", "every: 1 us", "acquire: {duration: 1 s}\ntransfer: {chunk: 4 MiB, compress: none}\nnetwork: {master: "+address+", join: 2 min, insecure: true}")
	master := start(t, work, here, recipe, "--set", "nodes.bob.host=remote", "--json")
	passOn(t, anchor.cmd.Process.Pid, address, map[int]int{5557: 10 << 20, 5559: 10 << 20, 5560: 80_000})
	slave := start(t, away, there, "--mode", "slave", "--node", "bob", "--master", "127.0.0.1", "--once")
	if code := master.wait(8 * time.Minute); code != 0 {
		t.Fatalf("exit code %d\n%s\nslave:\n%s", code, master.stderr.String(), slave.stderr.String())
	}
	whole(t, work)
	dir, m := latest(t, work)
	if info, err := os.Stat(filepath.Join(dir, "raw", "bob", "b-000000.bin")); err != nil || info.Size() != 8_000_000 {
		t.Errorf("bob's file: %v, %v", info, err)
	}
	if took := m.Ended.Sub(m.Started); took < 70*time.Second {
		t.Errorf("the run took %v: the cable was too good", took)
	}
	t.Logf("the run took %v", m.Ended.Sub(m.Started))
}

// compression is how many times shorter the deadlines about files are in
// TestLongBacklogBeyondTenMinutes.
const compression = 10

// compressed builds tsrun with deadlines that much shorter, and with a further
// change to one file where there is one.
func compressed(t *testing.T, file, from, to string) string {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{}
	deadlines := regexp.MustCompile(`(?m)^(\s*(?:transferTimeout|sendTimeout|patience|stillness|chunkTimeout)\s*=.*time\.(?:Second|Minute))\b`)
	for i, name := range []string{"master/deadlines.go", "transfer/sender.go", "transfer/receiver.go", "master/state.go"} {
		path, err := filepath.Abs(filepath.Join("..", "pipeline", filepath.FromSlash(name)))
		if err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := deadlines.ReplaceAllString(string(text), fmt.Sprintf("$1 / %d", compression))
		if name == file {
			if !strings.Contains(changed, from) {
				t.Fatalf("%s has no %q", name, from)
			}
			changed = strings.Replace(changed, from, to, 1)
		} else if changed == string(text) && name != "master/state.go" {
			t.Fatalf("%s has no deadline", name)
		}
		replace[path] = write(t, filepath.Join(dir, fmt.Sprintf("%d.go", i)), changed)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "tsrun")
	cmd := exec.Command("go", "build", "-o", program, "-overlay", write(t, filepath.Join(dir, "overlay.json"), string(overlay)), "./cmd/tsrun")
	cmd.Dir, cmd.Env = "..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build with short deadlines: %v\n%s", err, out)
	}
	if err := os.Symlink(filepath.Join(bin, "plugins"), filepath.Join(dir, "plugins")); err != nil {
		t.Fatal(err)
	}
	return program
}

// travels sends files of a remote node over a cable on which they take longer than
// the master waits for any one step of them, and returns how the run ended.
func travels(t *testing.T, program string) (code int, m *run.Manifest, work string) {
	t.Helper()
	here, there, address := twoHosts(t)
	anchor := start(t, t.TempDir(), there, "--mode", "slave", "--node", "nobody", "--master", "127.0.0.9") // holds the namespace
	eventually(t, 20*time.Second, "the namespace is there", func() bool { return strings.Contains(anchor.stderr.String(), "no answer") })
	passOn(t, anchor.cmd.Process.Pid, address, map[int]int{5557: 10 << 20, 5559: 10 << 20, 5560: 900_000})
	recipe := hurried(t, "", "every: 100 ns", "acquire: {duration: 1 s, segment: 100 ms}\ntransfer: {compress: none}\nnetwork: {master: "+address+", join: 2 min, insecure: true}")
	work = t.TempDir()
	master := startLine(t, work, append(here, program, recipe, "--set", "nodes.bob.host=remote", "--json"))
	slave := startLine(t, t.TempDir(), append(there, program, "--mode", "slave", "--node", "bob", "--master", "127.0.0.1", "--once"))
	code = master.wait(5 * time.Minute)
	_, m = latest(t, work)
	t.Logf("exit code %d, %v, after %v of its time", code, m.Condition, (compression * m.Ended.Sub(m.Started)).Round(time.Second))
	if code != 0 {
		t.Logf("%s\nslave:\n%s", reasons(m), slave.stderr.String())
	}
	slave.wait(30 * time.Second)
	return code, m, work
}

// TestLongBacklogBeyondTenMinutes: files travel for longer than the master waits
// for any one step of them, ten minutes, those times being a tenth. With a
// master that does not count a file's way as progress the run ends unfinished,
// so that the cable is slow enough to show it.
func TestLongBacklogBeyondTenMinutes(t *testing.T) {
	need.LongWhole(t)
	t.Parallel()
	t.Run("as it is", func(t *testing.T) {
		t.Parallel()
		code, m, work := travels(t, compressed(t, "", "", ""))
		if code != 0 {
			t.Errorf("exit code %d, want 0\n%s", code, reasons(m))
		}
		whole(t, work)
		if took := compression * m.Ended.Sub(m.Started); took < 13*time.Minute {
			t.Errorf("the run took %v of its time: the cable was too good", took)
		}
	})
	t.Run("with a master that counts no progress", func(t *testing.T) {
		t.Parallel()
		code, m, _ := travels(t, compressed(t, "master/state.go", "case transferring:\n\t\t\treturn s, []any{doDeadline{transferTimeout}}", ""))
		if code != 3 || !m.Has(run.Incomplete) || !strings.Contains(reasons(m), "not finished transferring in time") {
			t.Errorf("exit code %d, %v, so the test shows nothing\n%s", code, m.Condition, reasons(m))
		}
	})
}
