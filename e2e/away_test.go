package e2e

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
)

// cable passes connections to a port on until it is cut, and again when it is whole.
// While it is cut nothing passes and nobody is told.
type cable struct {
	mu    sync.Mutex
	whole *sync.Cond
	cut   bool
	conns []net.Conn
}

// lay opens a port that leads to another one.
func lay(t *testing.T, from, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", from)
	if err != nil {
		t.Fatal(err)
	}
	r := &cable{}
	r.whole = sync.NewCond(&r.mu)
	var passing sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		r.set(false)
		r.mu.Lock()
		for _, c := range r.conns {
			c.Close()
		}
		r.mu.Unlock()
		passing.Wait()
	})
	passing.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				in.Close()
				continue
			}
			r.mu.Lock()
			r.conns = append(r.conns, in, out)
			r.mu.Unlock()
			passing.Go(func() { r.pass(in, out) })
			passing.Go(func() { r.pass(out, in) })
		}
	})
	return r
}

// pass carries one direction of a connection; its end is carried too.
func (r *cable) pass(from, to net.Conn) {
	defer to.Close()
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		r.mu.Lock()
		for r.cut {
			r.whole.Wait()
		}
		r.mu.Unlock()
		if _, failed := to.Write(buf[:n]); err != nil || failed != nil {
			return
		}
	}
}

func (r *cable) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	r.whole.Broadcast()
}

// field is a master and its remote node bob, which reaches it over cables only: at
// an address of the loopback, on the same ports.
type field struct {
	t         *testing.T
	master    *tsrun
	work, far string
	address   string // that slaves are told
	cables    []*cable
	files     *cable // one of them
	slave     *tsrun
}

// newField starts a master of a recipe in which nobody is in a hurry, and cables to it.
func newField(t *testing.T, octet int, args ...string) *field {
	t.Helper()
	f, args := layField(t, octet, args...)
	f.master = start(t, f.work, nil, args...)
	f.slave = f.join("bob")
	return f
}

// layField is newField before anything is started; the master's command line is returned.
func layField(t *testing.T, octet int, args ...string) (f *field, line []string) {
	t.Helper()
	f = &field{t: t, work: t.TempDir(), far: t.TempDir()}
	own := need.Address(t) // a remote node's master is not told to be on the loopback
	ports := map[string]int{}
	args = append([]string{hurried(t, "pace: 100 ms", "pace: 100 ms", "acquire: {duration: 4 s, segment: 500 ms}"), "--json",
		"--set", "nodes.bob.host=remote", "--set", "network.master=" + own, "--set", "network.insecure=true", "--set", "network.join=5 min",
		"--set", fmt.Sprintf("network.ports.clock=%d", ownPort(t, own))}, args...)
	for _, name := range []string{"trigger", "status", "files"} {
		ports[name] = ownPort(t, own)
		args = append(args, "--set", fmt.Sprintf("network.ports.%s=%d", name, ports[name]))
	}
	host := fmt.Sprintf("127.0.77.%d", octet)
	for name, port := range ports {
		c := lay(t, fmt.Sprintf("%s:%d", host, port), fmt.Sprintf("%s:%d", own, port))
		f.cables = append(f.cables, c)
		if name == "files" {
			f.files = c
		}
	}
	f.address = fmt.Sprintf("%s:%d", host, ports["status"])
	return f, args
}

func (f *field) join(node string) *tsrun {
	return start(f.t, f.far, nil, "--mode", "slave", "--node", node, "--master", f.address)
}

func (f *field) cut(cut bool) {
	for _, c := range f.cables {
		c.set(cut)
	}
}

// hears waits until the master has said something so often.
func (f *field) hears(says string, times int) {
	f.t.Helper()
	eventually(f.t, 90*time.Second, says, func() bool {
		select {
		case err := <-f.master.ended:
			f.master.ended <- err
			f.t.Fatalf("the master has ended: %v\n%s%s\n%s", err, f.master.stdout.String(), f.master.stderr.String(), f.slave.stderr.String())
		default:
		}
		return strings.Count(f.master.stdout.String(), says) >= times
	})
}

const (
	isAway = `"event":"away"`
	isBack = `"event":"back"`
	joined = `"event":"joined"`
)

func inState(state string) string { return `"state":"` + state + `"` }

// good wants all of the run, and the slave to wait for the next one.
func (f *field) good() {
	f.t.Helper()
	if code := f.master.wait(120 * time.Second); code != 0 {
		f.t.Errorf("exit code %d\n%s\n%s", code, f.master.stdout.String(), f.slave.stderr.String())
	}
	whole(f.t, f.work)
	select {
	case err := <-f.slave.ended:
		f.t.Errorf("the slave has ended: %v\n%s", err, f.slave.stderr.String())
	default:
	}
}

// TestStoppedProcesses: whoever stands still for a while is waited for, and nothing
// that was or is recorded is lost.
func TestStoppedProcesses(t *testing.T) {
	t.Parallel()
	stopped := func(p *tsrun, until func()) {
		_ = p.cmd.Process.Signal(syscall.SIGSTOP)
		until()
		_ = p.cmd.Process.Signal(syscall.SIGCONT)
	}
	for name, play := range map[string]func(f *field){
		"the slave, before it is ready": func(f *field) {
			f.hears(joined, 1)
			f.hears(`"node":"bob","host"`, 1)
			stopped(f.slave, func() { f.hears(isAway, 1) })
		},
		"the slave, in the recording": func(f *field) {
			f.hears(inState("running"), 1)
			stopped(f.slave, func() { f.hears(isAway, 1) })
			f.hears(isBack, 1)
		},
		"the slave, while files travel": func(f *field) {
			f.hears(inState("armed"), 1)
			f.files.set(true)
			f.hears(inState("transferring"), 1)
			stopped(f.slave, func() { f.hears(isAway, 1) })
			f.files.set(false)
		},
		"the master, in the recording": func(f *field) {
			f.hears(inState("running"), 1)
			stopped(f.master, func() { time.Sleep(11 * time.Second) }) // longer than anybody waits for a plugin
		},
		"the master, while files travel": func(f *field) {
			f.hears(inState("armed"), 1)
			f.files.set(true)
			f.hears(inState("transferring"), 1)
			stopped(f.master, func() { time.Sleep(6 * time.Second); f.files.set(false) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newField(t, 1)
			play(f)
			f.good()
		})
	}
}

// TestCutLink: a cable that is cut loses nothing, and a node that does not come back
// is given up when the recipe says so, with its files where it says.
func TestCutLink(t *testing.T) {
	t.Parallel()
	t.Run("for a while", func(t *testing.T) {
		t.Parallel()
		f := newField(t, 2)
		f.hears(inState("running"), 1)
		f.cut(true)
		f.hears(isAway, 1)
		eventually(t, 30*time.Second, "the slave says so too", func() bool { return strings.Contains(f.slave.stderr.String(), "the master is away") })
		f.cut(false)
		f.good()
		if n := strings.Count(f.master.stdout.String(), isBack); n == 0 {
			t.Error("nobody says that bob is back")
		}
	})
	t.Run("for good", func(t *testing.T) {
		t.Parallel()
		f := newField(t, 3, "--set", "faults.patience=8 s")
		f.hears(inState("running"), 1)
		f.cut(true)
		if code := f.master.wait(120 * time.Second); code != 3 {
			t.Errorf("exit code %d\n%s", code, f.master.stdout.String())
		}
		_, m := latest(t, f.work)
		contains(t, reasons(m), "INCOMPLETE bob", "nothing heard for ")
		eventually(t, 90*time.Second, "the slave says where its files are", func() bool {
			return strings.Contains(f.slave.stderr.String(), "the master has not answered for 8s") && strings.Contains(f.slave.stderr.String(), "the recorded files are in runs/")
		})
	})
	t.Run("and the user does not wait", func(t *testing.T) {
		t.Parallel()
		f := newField(t, 4)
		f.hears(inState("running"), 1)
		f.cut(true)
		f.hears(isAway, 1)
		eventually(t, 60*time.Second, "all of alice is here", func() bool { return strings.Count(f.master.stdout.String(), `"event":"verified","version":1`) >= 8 })
		for f.master.cmd.Process.Signal(syscall.SIGINT) == nil && !strings.Contains(f.master.stdout.String(), inState("analysing")) {
			time.Sleep(300 * time.Millisecond)
		}
		if code := f.master.wait(60 * time.Second); code == 0 {
			t.Errorf("exit code %d\n%s", code, f.master.stdout.String())
		}
		_, m := latest(t, f.work)
		contains(t, reasons(m), "INCOMPLETE bob", "the user did not wait for it any longer")
	})
}

// TestSlaveIsStartedAnew before the run begins: it has its place again.
func TestSlaveIsStartedAnew(t *testing.T) {
	t.Parallel()
	f := newField(t, 5, "--set", "nodes.alice.host=remote")
	f.hears(joined, 1)
	_ = f.slave.cmd.Process.Kill()
	<-f.slave.ended
	f.slave = f.join("bob")
	f.hears(joined, 2)
	alice := f.join("alice")
	f.good()
	_ = alice.cmd.Process.Signal(syscall.SIGTERM)
}
