package host

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// child is a plugin's process; it implements go-plugin's Runner, whose own
// does not start children on a lasting thread, kill their groups, or survive a
// grandchild that keeps the pipes open.
type child struct {
	cmd    *exec.Cmd
	before func()   // done by the thread that starts the process; nil: nothing
	out    *os.File // read end of the child's standard output
	err    *os.File // and of its standard error
	first  firstBytes
	words  *lastWords
	talk   *talk
	read   chan struct{}  // closed when everything on standard error was read
	prints sync.WaitGroup // of who reads standard output behind the handshake
	exited chan struct{}  // closed when the process has been waited for

	mu     sync.Mutex
	pid    int              // 0 until it runs
	killed bool             // by us, before it ended by itself
	gone   bool             // ended; its number may soon be another's
	state  *os.ProcessState // valid when exited is closed
}

// drainAfterExit is how long the pipes of a dead plugin are read on; a
// grandchild may hold them open for ever.
const drainAfterExit = 500 * time.Millisecond

func newChild(cmd *exec.Cmd, log *slog.Logger) *child {
	t := &talk{log: log}
	return &child{cmd: cmd, talk: t, words: &lastWords{talk: t}, read: make(chan struct{}), exited: make(chan struct{})}
}

// Start implements go-plugin's Runner.
func (c *child) Start(context.Context) error {
	outRead, outWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	errRead, errWrite, err := os.Pipe()
	if err != nil {
		outRead.Close()
		outWrite.Close()
		return err
	}
	c.out, c.err = outRead, errRead
	c.cmd.Stdin = nil // a plugin does not read the host's terminal
	c.cmd.Stdout, c.cmd.Stderr = outWrite, errWrite
	err = spawnOn(c.cmd, c.before)
	outWrite.Close()
	errWrite.Close()
	if err != nil {
		outRead.Close()
		errRead.Close()
		return err
	}
	c.mu.Lock()
	c.pid = c.cmd.Process.Pid
	if c.killed { // meanwhile
		KillGroup(c.pid)
	}
	c.mu.Unlock()
	go func() {
		defer close(c.read)
		c.words.listen(errRead)
	}()
	go c.reap(c.pid)
	return nil
}

// reap waits for the process, takes what is left of its group with it, and
// ends the reading of its pipes.
func (c *child) reap(pid int) {
	awaitExit(pid)
	c.mu.Lock()
	c.gone = true
	KillGroup(pid) // while the zombie still holds the number
	c.mu.Unlock()
	if strays := endMarked(c.cmd.Env[0]); len(strays) > 0 {
		c.talk.log.Warn("processes that a plugin had started and left behind were ended", "pids", strays)
	}
	_ = c.cmd.Wait() // the state says it all
	c.state = c.cmd.ProcessState
	limit := time.Now().Add(drainAfterExit)
	_ = c.out.SetReadDeadline(limit)
	_ = c.err.SetReadDeadline(limit)
	<-c.read
	c.err.Close()
	close(c.exited)
}

// Wait implements go-plugin's Runner; go-plugin calls it when it has read all
// of standard output.
func (c *child) Wait(context.Context) error {
	<-c.exited
	c.prints.Wait()
	c.out.Close()
	return nil
}

// Kill implements go-plugin's Runner: the whole process group goes.
func (c *child) Kill(context.Context) error {
	c.kill()
	return nil
}

// kill ends the whole process group, also when it is only about to start.
func (c *child) kill() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.killed = true
	if c.pid != 0 {
		KillGroup(c.pid)
	}
}

// id returns the process id, 0 when it was never started.
func (c *child) id() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pid
}

// wasKilled tells, when exited is closed, whether the process ended because we
// killed it. What was exiting already keeps its own status.
func (c *child) wasKilled() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	status, ok := c.state.Sys().(syscall.WaitStatus)
	return c.killed && ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// faulted tells, when exited is closed, whether the process ended because it touched memory
// that it must not; a program in Go says so and exits by itself.
func (c *child) faulted() bool {
	status, ok := c.state.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() && (status.Signal() == syscall.SIGSEGV || status.Signal() == syscall.SIGBUS) {
		return true
	}
	cause, _ := c.words.last()
	return cause == "fatal error: fault"
}

// Stdout implements go-plugin's Runner: the first line alone, which is kept to explain a
// handshake that is none. What comes later is read here. go-plugin stops reading at a line that
// it finds too long, and who prints would wait for it ever after.
func (c *child) Stdout() io.ReadCloser {
	return &handshakeLine{child: c, in: bufio.NewReaderSize(c.out, longestLog)}
}

// handshakeLine reads the first line of standard output, of so many bytes at most, and has the rest
// read and logged.
type handshakeLine struct {
	child *child
	in    *bufio.Reader
	read  int
	over  bool
}

func (f *handshakeLine) Read(p []byte) (n int, err error) {
	if f.over {
		return 0, io.EOF
	}
	for n < len(p) && !f.over && err == nil && (n == 0 || f.in.Buffered() > 0) {
		if p[n], err = f.in.ReadByte(); err == nil {
			n++
			f.read++
			f.over = p[n-1] == '\n' || f.read == longestLog
		}
	}
	_, _ = f.child.first.Write(p[:n])
	if f.over {
		f.child.prints.Go(func() { readLines(f.in, f.child.logPrinted) })
	}
	return n, err
}

// Close implements io.Closer.
func (f *handshakeLine) Close() error { return f.child.out.Close() }

func (c *child) logPrinted(line string) {
	logPrinted(c.talk, "standard output", line)
}

// Stderr implements go-plugin's Runner. We read standard error ourselves.
func (c *child) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name implements go-plugin's Runner.
func (c *child) Name() string { return c.cmd.Path }

// ID implements go-plugin's Runner.
func (c *child) ID() string {
	if pid := c.id(); pid != 0 {
		return strconv.Itoa(pid)
	}
	return ""
}

// Diagnose implements go-plugin's Runner; explain does this work.
func (c *child) Diagnose(context.Context) string { return "" }

// PluginToHost implements go-plugin's Runner: both live on one machine.
func (c *child) PluginToHost(network, addr string) (string, string, error) {
	return network, addr, nil
}

// HostToPlugin implements go-plugin's Runner.
func (c *child) HostToPlugin(network, addr string) (string, string, error) {
	return network, addr, nil
}

// firstBytes keeps the beginning of what is written to it.
type firstBytes struct {
	mu   sync.Mutex
	text []byte
}

func (f *firstBytes) Write(p []byte) (int, error) {
	const enough = 1024
	f.mu.Lock()
	defer f.mu.Unlock()
	if room := enough - len(f.text); room > 0 {
		f.text = append(f.text, p[:min(room, len(p))]...)
	}
	return len(p), nil
}

// line returns the first line that is not empty.
func (f *firstBytes) line() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	line, _, _ := bytes.Cut(bytes.TrimSpace(f.text), []byte("\n"))
	return strings.ToValidUTF8(string(line), "?")
}
