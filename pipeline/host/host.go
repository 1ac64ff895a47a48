// Package host finds, starts, leases and stops plugins: each driver and each
// sink is a process of its own.
//
//	Find ────────────────────▶ Component             starts nothing
//	New ─▶ Host ─ StartDriver ─▶ Driver ─ Arm, Start, Stop, Close
//	            ─ StartSink ───▶ Sink ─── Begin, Finish, Close
//	            ─ Close                              stops them all
//
// Control goes over go-plugin's gRPC (the protocol of sdk/pluginpb); tags go
// over ZeroMQ between the plugins and the distribution core, whose endpoints
// the caller hands to Arm and Begin.
//
// A plugin cannot harm the host by dying, hanging, or talking nonsense: every
// call has a deadline, a process that stops beating is killed, and what goes
// wrong comes back as an [sdk.Failure] with the plugin's last words. A host
// that dies takes its plugins with it: they notice the end of their lease, and
// the kernel tells them as well.
package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// maxRuntime is the longest runtime directory, so that the sockets in it
// ("plugin-dir" and "plugin", each with ten digits) fit a unix address.
const maxRuntime = 107 - 39

// Options configure a Host.
type Options struct {
	Dirs    []string     // where to look for plugins, first match wins
	Runtime string       // directory for sockets and scratch, made private (0700); at most 68 bytes
	Confine bool         // take from each plugin the rights that it does not need
	Log     *slog.Logger // what plugins log comes out here too; nil: nowhere
}

// Host runs plugins.
type Host struct {
	dirs    []string
	runtime string
	confine bool
	log     *slog.Logger

	mu      sync.Mutex
	running map[*process]struct{}
	closed  bool

	startTimeout time.Duration // from exec to handshake
	hungAfter    time.Duration // without a beat
}

// New returns a host without plugins. The runtime directory is created if
// needed; it is the caller's to remove.
func New(o Options) (*Host, error) {
	dir, err := filepath.Abs(o.Runtime)
	if err != nil {
		return nil, fmt.Errorf("use runtime directory: %w", err)
	}
	if strings.ContainsFunc(dir, unspeakable) { // a plugin tells its address in one line of fields between |
		return nil, fmt.Errorf("use runtime directory %q: a plugin cannot tell a path with |, with a line break or with what is no text; set TMPDIR to another one", dir)
	}
	if len(dir) > maxRuntime {
		return nil, fmt.Errorf("use runtime directory %s: its path has %d bytes, sockets in it need at most %d; set TMPDIR to a shorter one",
			dir, len(dir), maxRuntime)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("use runtime directory: %w", err)
	}
	// Whoever can reach the sockets in it can drive the controllers.
	if err := os.Chmod(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make runtime directory private: %w", err)
	}
	log := o.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &Host{dirs: o.Dirs, runtime: dir, confine: o.Confine, log: log, running: map[*process]struct{}{},
		startTimeout: 30 * time.Second, hungAfter: 10 * time.Second}, nil
}

// unspeakable says what a plugin's first line cannot carry in a path.
func unspeakable(r rune) bool { return r == '|' || r == utf8.RuneError || unicode.IsControl(r) }

// Close stops every plugin that still runs, all at once, and waits for them;
// it takes as long as the slowest, at most about fifteen seconds.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	var rest []*process
	for p := range h.running {
		rest = append(rest, p)
	}
	h.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	errs := make([]error, len(rest))
	var stopping sync.WaitGroup
	for i, p := range rest {
		stopping.Go(func() { errs[i] = p.close(ctx) })
	}
	stopping.Wait()
	return errors.Join(errs...)
}

// enter registers a process that is about to be started.
func (h *Host) enter(p *process) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return errors.New("start plugin: the host is closed")
	}
	h.running[p] = struct{}{}
	return nil
}

func (h *Host) leave(p *process) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.running, p)
}

const (
	describeWithin = 20 * time.Second
	openTimeout    = 50 * time.Second // Configure, Arm and Begin, when the caller sets no deadline; less than a master waits
	closeTimeout   = 5 * time.Second  // for a driver to make its device safe
	killTimeout    = 4 * time.Second  // for a plugin to exit by itself after that
)
