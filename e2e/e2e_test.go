// Package e2e runs the real program: real processes, real sockets, real files.
// TestMain builds tsrun and its plugins once.
package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
	"tsrun/sim/idq"
)

// bin holds tsrun and plugins/.
var bin string

func TestMain(m *testing.M) { os.Exit(testMain(m)) }

func testMain(m *testing.M) int {
	need.OwnFiles() // some are of other users, who read what is made here
	dir, err := os.MkdirTemp("", "tsrun-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin = dir
	build := func(out, pkg string) error {
		cmd := exec.Command("go", "build", "-buildvcs=false", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, out), pkg) // most of it as make build has done
		cmd.Dir, cmd.Stderr, cmd.Env = "..", os.Stderr, append(os.Environ(), "CGO_ENABLED=0")
		return cmd.Run()
	}
	plugin := func(from, name string, also ...string) error {
		path := filepath.Join(dir, "plugins", name)
		if err := build(filepath.Join("plugins", name), from+name); err != nil {
			return err
		}
		for _, other := range also { // a program that is several plugins, by its name
			if err := os.Link(path, filepath.Join(dir, "plugins", other)); err != nil {
				return err
			}
		}
		for _, name := range append(also, name) {
			path := filepath.Join(dir, "plugins", name)
			description, err := exec.Command(path, "--describe").Output()
			if err != nil {
				return err
			}
			if err := os.WriteFile(path+".json", description, 0o644); err != nil {
				return err
			}
		}
		return nil
	}
	if err := errors.Join(build("tsrun", "./cmd/tsrun"), plugin("./plugins/", "tc-ethernet"), plugin("./plugins/", "tc-serial"),
		plugin("./plugins/", "sink-file"), plugin("./e2e/testdata/", "tc-hurry", "tc-bare"), plugin("./e2e/testdata/", "tc-miscounts"),
		plugin("./e2e/testdata/", "sink-counts", "sink-base", "sink-older")); err != nil {
		fmt.Fprintln(os.Stderr, "build:", err)
		return 1
	}
	return m.Run()
}

// tsrun is one running program.
type tsrun struct {
	t      *testing.T
	cmd    *exec.Cmd
	stdout lockedBuffer
	stderr lockedBuffer
	ended  chan error
}

// lockedBuffer may be read while a process writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// start runs tsrun in a working directory of the test's own; wrap, if any, is
// put before the program ("ip netns exec NS").
func start(t *testing.T, dir string, wrap []string, args ...string) *tsrun {
	t.Helper()
	return startLine(t, dir, append(append(slices.Clone(wrap), filepath.Join(bin, "tsrun")), args...))
}

// startLine runs a command line that becomes tsrun, or another program; it has files
// open, from number 3 on.
func startLine(t *testing.T, dir string, line []string, files ...*os.File) *tsrun {
	t.Helper()
	p := &tsrun{t: t, cmd: exec.Command(line[0], line[1:]...), ended: make(chan error, 1)}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr, p.cmd.ExtraFiles = dir, &p.stdout, &p.stderr, files
	p.cmd.WaitDelay = 5 * time.Second // a grandchild may hold the pipes
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.ended <- p.cmd.Wait() }()
	t.Cleanup(func() { _ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	return p
}

// busy is how many times slower than an idle one a PC may be on which tests run.
const busy = 5

// wait returns the exit code; timeout is for an idle PC.
func (p *tsrun) wait(timeout time.Duration) int {
	p.t.Helper()
	timeout *= busy
	select {
	case <-p.ended:
		if slices.Contains(p.cmd.Args, "--json") {
			keepToSchema(p.t, p.stdout.String())
		}
	case <-time.After(timeout):
		p.t.Fatalf("tsrun has not ended after %v\nstdout:\n%s\nstderr:\n%s", timeout, p.stdout.String(), p.stderr.String())
	}
	return p.cmd.ProcessState.ExitCode()
}

// result runs tsrun to its end.
type result struct {
	code           int
	stdout, stderr string
}

// runTsrun runs a command, and a recipe again when its run says that this PC held it
// up, which shows nothing: each time with records twice as long, so that hold-ups
// twice as long do no harm.
func runTsrun(t *testing.T, dir string, args ...string) result {
	t.Helper()
	for trial := 1; ; trial++ {
		before, _ := os.Readlink(filepath.Join(dir, "runs", "latest"))
		p := start(t, dir, nil, args...)
		r := result{p.wait(90 * time.Second), p.stdout.String(), p.stderr.String()}
		if after, _ := os.Readlink(filepath.Join(dir, "runs", "latest")); after == before || trial == mostTrials || !lastHeldUp(t, dir) {
			return r
		}
		_, m := latest(t, dir)
		t.Logf("trial %d shows nothing: %s", trial, reasons(m))
		args = append(slices.Clone(args), longRecords(m, 200*time.Millisecond<<trial)...)
	}
}

// longRecords are overrides for the recipe of a run whose Time Controllers were not
// read in time: they make records of a length.
func longRecords(m *run.Manifest, length time.Duration) (args []string) {
	for name, node := range m.Nodes {
		for key, c := range node.Controllers {
			if c.Driver == "tc-ethernet" && notInTime.MatchString(reasons(m)) {
				args = append(args, "--set", fmt.Sprintf("nodes.%s.controllers.%s.config.record=%d ms", name, key, length.Milliseconds()))
			}
		}
	}
	return args
}

var (
	startedLate = regexp.MustCompile(`controller "tc" was started \d.* after its instant`)
	notInTime   = regexp.MustCompile(`this PC was held up|the DataLinkTarget service is late by a record`)
)

// heldUp reports whether a run says that this PC did not keep up with it.
func heldUp(m *run.Manifest) bool {
	return slices.ContainsFunc(m.Reasons, func(r run.Reason) bool {
		return startedLate.MatchString(r.Message) || notInTime.MatchString(r.Message)
	})
}

// freePorts are --set overrides that let the system choose the ports, so that
// tests do not meet each other or a tsrun that is at work.
var freePorts = []string{"--set", "network.ports.trigger=0", "--set", "network.ports.status=0", "--set", "network.ports.files=0"}

// lastHeldUp reports whether there is a run in dir, the last of which says that this
// PC held it up. It is made again then, [mostTrials] times in all.
func lastHeldUp(t *testing.T, dir string) bool {
	t.Helper()
	if _, err := os.Readlink(filepath.Join(dir, "runs", "latest")); err != nil {
		return false
	}
	_, m := latest(t, dir)
	return heldUp(m)
}

const mostTrials = 5

// patient are overrides of coincidence.yaml for runs that are made only once: this PC
// may hold them up for longer.
var patient = []string{"--set", "trigger.lead=3 s",
	"--set", "nodes.alice.controllers.tc.config.record=600 ms", "--set", "nodes.bob.controllers.tc.config.record=600 ms"}

// shipped is the path of a shipped recipe.
func shipped(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "recipes", name))
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// latest is the run directory of the only run in dir, with its manifest. The link to it is
// made beside a run that has just begun.
func latest(t *testing.T, dir string) (path string, m *run.Manifest) {
	t.Helper()
	eventually(t, 20*time.Second, "there is a link to the latest run", func() bool {
		var err error
		path, err = filepath.EvalSymlinks(filepath.Join(dir, "runs", "latest"))
		return err == nil
	})
	m, err := run.ReadManifest(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, m
}

// truth is what the simulator behind a controller says of itself.
func truth(t *testing.T, m *run.Manifest, node string) idq.Truth {
	t.Helper()
	var report struct {
		Simulation *idq.Truth `json:"simulation"`
	}
	if err := json.Unmarshal(m.Nodes[node].Controllers["tc"].Report, &report); err != nil {
		t.Fatal(err)
	}
	if report.Simulation == nil {
		t.Fatalf("the manifest has no ground truth of %s", node)
	}
	return *report.Simulation
}

// good fails the test unless the run ended well.
func good(t *testing.T, r result) {
	t.Helper()
	if r.code != 0 {
		t.Fatalf("exit code %d\nstderr:\n%s\nstdout:\n%s", r.code, r.stderr, r.stdout) // what it ends with says why
	}
}

// nextPort counts the ports that [ownPort] has tried.
var nextPort atomic.Uint32

// ownPort is a port of a host that no one is given by the system, so that it is free
// until a program of this test opens it.
func ownPort(t *testing.T, host string) int {
	t.Helper()
	const first, last = 10_000, 30_000 // below those that the system gives
	for range last - first {
		port := first + (os.Getpid()*100+int(nextPort.Add(1)))%(last-first)
		if l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port))); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no free port at " + host)
	return 0
}

// occupied binds a port of the loopback for the length of the test.
func occupied(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().(*net.TCPAddr).Port
}

// eventually waits until ok, for what another process does in its own time; within
// is for an idle PC.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	within *= busy
	for end := time.Now().Add(within); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", within, what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, want := range wants {
		if !strings.Contains(text, want) {
			t.Errorf("lacks %q:\n%s", want, text)
		}
	}
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
