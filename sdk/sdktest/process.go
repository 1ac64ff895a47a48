package sdktest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
)

const (
	handshakeWithin = 30 * time.Second // a host waits for 10 s, and this PC may be busy
	beatWithin      = 3 * time.Second
	goneWithin      = 3 * time.Second // after its host has gone
	callWithin      = 20 * time.Second
)

// process is the plugin as a process, from its start to its end.
type process struct {
	cmd      *exec.Cmd
	dir      string // private, of its sockets and scratch files
	out, err *os.File
	words    *lastWords
	fields   []string // of the handshake
	protocol int
	conn     *grpc.ClientConn
	endLease context.CancelFunc
	exited   chan struct{}
	atEnd    []func() // what goes with it
}

// command is the plugin with the variables that every host lets through.
func command(ctx context.Context, path string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = []string{}
	for _, name := range []string{"PATH", "HOME", "USER", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "PYTHONPATH", "GOCOVERDIR"} {
		if value, set := os.LookupEnv(name); set {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	return cmd
}

// describe asks a program what it offers, without a host.
func describe(ctx context.Context, path string) (d sdk.Description, err error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeWithin)
	defer cancel()
	cmd := command(ctx, path, "--describe")
	var complaints bytes.Buffer
	cmd.Stderr, cmd.WaitDelay = &complaints, time.Second
	text, err := cmd.Output()
	if err != nil {
		return d, fmt.Errorf("run %s --describe: %w: %.500s", path, err, complaints.String())
	}
	if err := json.Unmarshal(text, &d); err != nil {
		return d, fmt.Errorf("read what %s --describe prints: %w", path, err)
	}
	return d, nil
}

// begin starts the process and reads its handshake. Whatever becomes of it, end
// takes it away.
func (s *Suite) begin(ctx context.Context) (*process, error) {
	dir, err := os.MkdirTemp("", "tk") // short: sockets in it need a short path
	if err != nil {
		return nil, err
	}
	p := &process{dir: dir, words: &lastWords{}, exited: make(chan struct{}), endLease: func() {}}
	p.cmd = command(context.WithoutCancel(ctx), s.Path)
	var spoken []string
	for v := sdk.OldestProtocol; v <= sdk.ProtocolVersion; v++ {
		spoken = append(spoken, strconv.Itoa(v))
	}
	p.cmd.Env = append(p.cmd.Env, sdk.CookieKey+"="+sdk.CookieValue,
		"PLUGIN_PROTOCOL_VERSIONS="+strings.Join(spoken, ","), "PLUGIN_UNIX_SOCKET_DIR="+dir)
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "scratch"), 0o700), apart(p.cmd), p.launch()); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	if err := p.shakeHands(ctx); err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// launch starts the process with pipes of our own: a host that is killed leaves
// them broken.
func (p *process) launch() error {
	out, outWrite, err := os.Pipe()
	if err != nil {
		return err
	}
	complaints, errWrite, err := os.Pipe()
	if err != nil {
		return errors.Join(err, out.Close(), outWrite.Close())
	}
	p.out, p.err, p.cmd.Stdout, p.cmd.Stderr = out, complaints, outWrite, errWrite
	err = p.cmd.Start()
	outWrite.Close()
	errWrite.Close()
	if err != nil {
		return errors.Join(err, out.Close(), complaints.Close())
	}
	go func() {
		_ = p.cmd.Wait() // the state says it all
		close(p.exited)
	}()
	go p.words.listen(complaints)
	return nil
}

// shakeHands reads the first line of standard output.
func (p *process) shakeHands(ctx context.Context) error {
	lines := make(chan string, 1)
	go func() {
		in := bufio.NewReader(io.LimitReader(p.out, 1<<20))
		line, _ := in.ReadString('\n')
		lines <- line
		_, _ = io.Copy(io.Discard, p.out)
	}()
	var line string
	select {
	case line = <-lines:
	case <-time.After(handshakeWithin):
		return p.because("no handshake within %v", handshakeWithin)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	fields := strings.Split(strings.TrimSuffix(line, "\n"), "|")
	if line == "" {
		return p.because("it ended before the handshake")
	}
	if len(fields) < 5 || fields[0] != "1" || fields[2] != "unix" || fields[4] != "grpc" || !strings.HasSuffix(line, "\n") {
		return fmt.Errorf("the first line on standard output is %.200q, want 1|VERSION|unix|PATH|grpc|: print nothing before the handshake", line)
	}
	version, err := strconv.Atoi(fields[1])
	if err != nil || version < sdk.OldestProtocol || version > sdk.ProtocolVersion {
		return fmt.Errorf("it speaks plugin protocol %.20s, want %d to %d", fields[1], sdk.OldestProtocol, sdk.ProtocolVersion)
	}
	p.fields, p.protocol = fields, version
	return nil
}

// connect makes the connection for calls.
func (p *process) connect() (err error) {
	p.conn, err = grpc.NewClient("unix:"+p.fields[3], grpc.WithTransportCredentials(insecure.NewCredentials()))
	return err
}

// lease takes the lease and returns when so many beats have come.
func (p *process) lease(ctx context.Context, heard int) error {
	held, end := context.WithCancel(context.WithoutCancel(ctx))
	p.endLease = end
	beats, err := pluginpb.NewPluginClient(p.conn).Lease(held, &pluginpb.LeaseRequest{})
	if err != nil {
		return p.because("lease: %w", err)
	}
	for range heard {
		late := time.AfterFunc(beatWithin, end)
		_, err = beats.Recv()
		if !late.Stop() {
			return p.because("lease: no beat within %v, one a second is due", beatWithin)
		}
		if err != nil {
			return p.because("lease: %w", err)
		}
	}
	go func() {
		for err == nil {
			_, err = beats.Recv()
		}
	}()
	return nil
}

// open starts the process and brings it up to its lease.
func (s *Suite) open(ctx context.Context) (*process, error) {
	p, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	if err = p.connect(); err == nil {
		err = p.lease(ctx, 1)
	}
	if err != nil {
		p.end()
		return nil, err
	}
	return p, nil
}

// closed tells whether a channel that only ends has ended.
func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

func (p *process) pid() int { return p.cmd.Process.Pid }

// vanish does what the kernel does when the host is killed, but for the signal:
// the connections and the pipes break.
func (p *process) vanish() {
	p.endLease()
	if p.conn != nil {
		p.conn.Close()
	}
	p.out.Close()
	p.err.Close()
}

// left says which process is still there after the time in which all must go. Of that counts
// only what this process is awake for: a PC that stands still lets nobody go.
func (p *process) left() error {
	const look = 10 * time.Millisecond
	gone := p.exited
	for waited := time.Duration(0); waited < goneWithin; waited += look {
		select {
		case <-gone:
			if !groupLeft(p.pid()) {
				return nil
			}
			gone = nil
		case <-time.After(look):
			if gone == nil && !groupLeft(p.pid()) {
				return nil
			}
		}
	}
	if gone != nil {
		return fmt.Errorf("the process is still there %v later", goneWithin)
	}
	return fmt.Errorf("a process that the plugin has started is still there %v later", goneWithin)
}

// end takes the process away, with what it has started.
func (p *process) end() {
	killGroup(p.pid())
	<-p.exited
	killGroup(p.pid()) // what it has left; the number is not another's so soon
	p.vanish()
	for _, f := range p.atEnd {
		f()
	}
	os.RemoveAll(p.dir)
}

// shutdown asks the process to go, as a host does at the end, and waits.
func (p *process) shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, goneWithin)
	defer cancel()
	_ = p.conn.Invoke(ctx, "/plugin.GRPCController/Shutdown", &pluginpb.CloseRequest{}, &pluginpb.CloseResponse{}) // it may go before it answers
	return p.left()
}

// leave waits for the end of what the process tells, which Close brings, and then
// for its own.
func (p *process) leave(ctx context.Context, heard <-chan struct{}) error {
	select {
	case <-heard:
	case <-time.After(callWithin):
		return errors.New("the call Watch does not end after Close")
	}
	return p.shutdown(ctx)
}

// because is an error with the last words of the process.
func (p *process) because(format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	if words := p.words.last(); words != "" {
		return fmt.Errorf("%w; last words: %s", err, words)
	}
	return err
}

// faulted tells whether the process ended because it touched memory that it must not; a
// program in Go says so and exits by itself.
func (p *process) faulted(ctx context.Context) bool {
	if !waitFor(ctx, goneWithin, func() bool { return closed(p.exited) }) {
		return false
	}
	return endedByFault(p.cmd.ProcessState) || waitFor(ctx, time.Second, func() bool { return p.words.crash() == "fatal error: fault" })
}

// call makes a call, which may take callWithin.
func call[Q, A any](ctx context.Context, method func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) (A, error) {
	ctx, cancel := context.WithTimeout(ctx, callWithin)
	defer cancel()
	return method(ctx, request)
}

// refuses makes a call that must be refused with a failure that says why.
func refuses[Q, A any](ctx context.Context, what string, method func(context.Context, Q, ...grpc.CallOption) (A, error), request Q) error {
	_, err := call(ctx, method, request)
	return refused(what, err)
}

// told returns the failure that a call has answered with.
func told(err error) *pluginpb.Failure {
	s, _ := status.FromError(err)
	for _, detail := range s.Details() {
		if f, ok := detail.(*pluginpb.Failure); ok {
			return f
		}
	}
	return nil
}

// refused checks that a call was refused with a failure that says why.
func refused(what string, err error) error {
	if err == nil {
		return fmt.Errorf("%s was taken, want a refusal", what)
	}
	f := told(err)
	if f == nil {
		return fmt.Errorf("%s: the answer has no Failure in its details: %v", what, err)
	}
	if f.Message == "" {
		return fmt.Errorf("%s was refused without a message", what)
	}
	return nil
}

// lastWords keeps the end of what a process writes to standard error.
type lastWords struct {
	mu    sync.Mutex
	cause string // "panic: …", when there was one: what follows is the stack
	lines []string
}

func (w *lastWords) listen(in io.Reader) {
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		w.mu.Lock()
		if line := lines.Text(); w.cause == "" && (strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ")) {
			w.cause = line
		}
		w.lines = append(w.lines, lines.Text())
		w.lines = slices.Delete(w.lines, 0, max(0, len(w.lines)-3))
		w.mu.Unlock()
	}
	_, _ = io.Copy(io.Discard, in)
}

func (w *lastWords) last() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	lines := w.lines
	if w.cause != "" {
		lines = []string{w.cause}
	}
	return fmt.Sprintf("%.600s", strings.Join(lines, " / "))
}

// crash is what a program in Go says first when it crashes; "": nothing of the kind.
func (w *lastWords) crash() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cause
}
