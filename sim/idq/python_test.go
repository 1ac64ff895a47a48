package idq_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/sim/idq"
)

// tsrun is the path of the real program, built once for all tests that run it.
var tsrun = sync.OnceValues(func() (string, error) {
	path := filepath.Join(buildDir, "tsrun")
	out, err := exec.Command("go", "build", "-buildvcs=false", "-o", path, "tsrun/cmd/tsrun").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build tsrun: %w\n%s", err, out)
	}
	return path, nil
})

// process is a running `tsrun sim idq`.
type process struct {
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
}

// startProcess runs the simulator and waits until it listens.
func startProcess(t *testing.T, args ...string) *process {
	t.Helper()
	path, err := tsrun()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{cmd: exec.Command(path, append([]string{"sim", "idq"}, args...)...)}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = &p.stderr
	p.lines = bufio.NewScanner(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil {
			p.cmd.Process.Kill()
			p.cmd.Wait()
		}
	})
	var listening struct {
		Simulated bool `json:"simulated"`
	}
	p.next(t, "listening", &listening)
	if !listening.Simulated {
		t.Error("the simulator does not say that it is one")
	}
	return p
}

// next reads the next line of output, which must have one key.
func (p *process) next(t *testing.T, key string, v any) {
	t.Helper()
	if !p.lines.Scan() {
		t.Fatalf("no line %q: %v\n%s", key, p.lines.Err(), p.stderr.String())
	}
	var line map[string]json.RawMessage
	if err := json.Unmarshal(p.lines.Bytes(), &line); err != nil {
		t.Fatalf("%q: %v", p.lines.Text(), err)
	}
	if err := json.Unmarshal(line[key], v); err != nil {
		t.Fatalf("%q has no %q: %v", p.lines.Text(), key, err)
	}
}

// stop interrupts the process, which must end well.
func (p *process) stop(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	for p.lines.Scan() {
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("simulator: %v\n%s", err, p.stderr.String())
	}
}

// script runs a Python client and returns what it received.
func script(t *testing.T, name string, args ...string) map[int]received {
	t.Helper()
	python := need.Python(t, "zmq", "python3-zmq")
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, python, append([]string{"-B", filepath.Join("testdata", name)}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s", name, err, stderr.String())
	}
	var got map[int]received
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%s printed %q: %v", name, out, err)
	}
	return got
}

type received struct {
	Tags   uint64 `json:"tags"`
	SHA256 string `json:"sha256"`
}

func TestPythonClientsGetEveryTag(t *testing.T) {
	need.Python(t, "zmq", "python3-zmq")
	for i, test := range []struct {
		name string
		args func(host string) []string
		sim  []string
		want int // channels
	}{
		{"save.py", func(h string) []string { return []string{h, t.TempDir(), "bin"} }, nil, 4},
		{"save.py", func(h string) []string { return []string{h, t.TempDir(), "bin", "index"} }, nil, 4},
		{"save.py", func(h string) []string { return []string{h, t.TempDir(), "ascii"} }, nil, 4},
		{"save.py", func(h string) []string { return []string{h, t.TempDir(), "ascii", "index"} }, nil, 4},
		{"stream.py", func(h string) []string { return []string{h} }, nil, 2},
		{"stream.py", func(h string) []string { return []string{h, "index"} }, nil, 2},
		{"live.py", func(h string) []string { return []string{h, "5"} }, nil, 2},
		{"live.py", func(h string) []string { return []string{h, "3"} }, []string{"--fault", "stale-acquisition"}, 2},
	} {
		host := need.Loopback(t, idq.SCPIPort, idq.DLTPort)
		t.Run(fmt.Sprint(test.name, test.args("")[1:], test.sim), func(t *testing.T) {
			p := startProcess(t, append(test.sim, "--listen", host, "--seed", strconv.Itoa(i), "--dark", "2 kHz",
				"--efficiency", "60 %", "--clock-offset", "400 ns", "--drift", "12 ppb", "--start-delay", "2 ms")...)
			got := script(t, test.name, test.args(host)...)
			var truth idq.Truth
			p.next(t, "truth", &truth)
			p.stop(t)
			if len(got) != test.want || len(truth.Channels) != test.want {
				t.Fatalf("channels: client %d, truth %d, want %d", len(got), len(truth.Channels), test.want)
			}
			if !truth.Simulated || truth.ClockOffsetPs != 400_000 || truth.DriftE15 != 12_000_000 || truth.StartUnixNs == 0 {
				t.Errorf("truth: %+v", truth)
			}
			for _, c := range truth.Channels {
				if g := got[c.Channel]; g.Tags != c.Tags || g.SHA256 != c.SHA256 || c.Tags < 1000 {
					t.Errorf("channel %d: client has %d tags, sum %s; truth %d, %s", c.Channel, g.Tags, g.SHA256, c.Tags, c.SHA256)
				}
			}
		})
	}
}

// TestProcessRefusesWhatItCannotSimulate checks that mistakes end the program
// at once and are named.
func TestProcessRefusesWhatItCannotSimulate(t *testing.T) {
	path, err := tsrun()
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"--fault", "gremlins"}, "slow-reply=DURATION"},
		{[]string{"--efficiency", "101 %"}, "efficiency"},
		{[]string{"--replay", "/no/such/file.txt"}, "/no/such/file.txt"},
		{[]string{"--replay", os.Args[0], "--channel", "one"}, "INPUT=CHANNEL"},
		{[]string{"--listen", "192.0.2.1"}, "192.0.2.1"},
	} {
		cmd := exec.Command(path, append([]string{"sim", "idq", "--scpi-port", "0", "--dlt-port", "0"}, test.args...)...)
		out, err := cmd.CombinedOutput()
		if err == nil || !bytes.Contains(out, []byte(test.want)) {
			t.Errorf("%v: %v, %s", test.args, err, out)
		}
	}
}
