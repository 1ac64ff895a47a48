// Package slave is the part of tsrun that runs on every PC with controllers,
// the master's own included: it joins a master under a name, opens the
// controllers the recipe gives it, fires them when told, keeps their tags and
// sends the files.
//
//	Run ── join ──▶ session ── prepare ─ arm ─ fire ─ record ─ send ──▶ back to join
//	                  ├── reporter   heartbeat, progress and news to the master (REQ)
//	                  ├── listener   orders from the master (SUB), the reporter's answers repeat the last
//	                  ├── equipment  drivers and sinks in their processes, the distribution core between
//	                  └── transfer   closed files to the master (PAIR)
//
// A session is one goroutine that goes through the phases of package wire in
// order; the others feed it.
package slave

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strconv"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/zmtp"
)

// Options say who this slave is and whom it serves.
type Options struct {
	Node       string   // the name it joins under
	Master     string   // host:port of the master's status port
	Once       bool     // end after one run
	Data       string   // where recorded files wait until the master has them
	PluginDirs []string // where plugins are looked for
	Version    string
	Log        *slog.Logger
	Observer   event.Observer // takes what a person here may want to see; nil: none
	// Interrupts ends the recording of this node early, keeping and sending what
	// was recorded, and then the slave; a second one gives that up.
	Interrupts <-chan struct{}
	// WatchClock tells of each time that this PC's clock is set; nil: clock.Watch does.
	WatchClock func(ctx context.Context, tell func(clock.Step))
	Key        string         // shown to the master that has started this process
	Security   *zmtp.Security // what the master's certificate must be; nil: without TLS
	// KeepRevocations keeps the list of revoked certificates that the master hands out; may be nil.
	KeepRevocations func(list []byte) error
	// Orphaned says whether the master that has started this process has ended; nil: nobody knows.
	Orphaned func() bool

	watchdog *watchdog // nil: of the service manager that has started this process
}

const (
	joinPause = 250 * time.Millisecond // between two attempts to join
	// tryTimeout is how long a master may be silent before the user is told, and
	// then twice as long each time, up to lastTry: a long cable makes it silent too.
	// remindEvery is the time between two such messages.
	tryTimeout  = 2 * time.Second
	lastTry     = 32 * time.Second
	remindEvery = 30 * time.Second
	// failedPause is between a run that ended badly and the next: one that ends
	// so at once is not tried at full speed.
	failedPause = time.Second
	// onceWait bounds how long a slave that is meant for one run waits for its master.
	// One that its master has started waits as long as that lives: it ends with it, and a
	// master that is held up says nothing meanwhile.
	onceWait = 30 * time.Second
)

// errAllCollected ends a slave that is meant for one run, where the master collects and has
// all of this node, or there is nothing.
var errAllCollected = errors.New("the master wants nothing of this node")

// Run waits for the master, takes part in its run, and waits again, until ctx
// ends or, with Once, one run is over. A refusal by the master is final.
func Run(ctx context.Context, o Options) error {
	host, _, err := net.SplitHostPort(o.Master)
	if err != nil {
		return &sdk.Failure{Code: "master-address", Message: fmt.Sprintf("master %q: %v", o.Master, err),
			Hint: "write it as HOST:PORT, the port being the recipe's network.ports.status"}
	}
	if o.watchdog == nil {
		o.watchdog = ofThisProcess()
	}
	if err := o.watchdog.tell("READY=1"); err != nil {
		o.Log.Warn("service manager not told", "error", err)
	}
	defer func() { _ = o.watchdog.tell("STOPPING=1") }() // it notices the end all the same
	j := joiner{options: o, host: host, instance: randomHex(8)}
	j.tellLeft()
	j.identify()
	defer j.forget()
	for {
		welcome, err := j.join(ctx)
		if errors.Is(err, errAllCollected) {
			return nil
		}
		if err != nil {
			return err
		}
		err = j.serve(ctx, welcome)
		if ctx.Err() != nil || o.Once || errors.Is(err, errStopped) {
			return err
		}
		if err == nil {
			continue
		}
		o.Log.Error("run ended badly", "node", o.Node, "run", welcome.Run, "error", err)
		j.observe(event.Problem{Node: o.Node, Message: err.Error()})
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(failedPause):
		}
	}
}

// joiner asks the master for a place in its run.
type joiner struct {
	options  Options
	host     string
	instance string
	reached  string         // the address at which the master answered
	identity *wire.Identity // nil: something else shows whose process this is
}

func (j *joiner) join(ctx context.Context) (*wire.Welcome, error) {
	if j.options.Once && j.options.Key == "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, onceWait,
			fmt.Errorf("master %s let nobody in for %v", j.options.Master, onceWait))
		defer cancel()
	}
	ctx, stop := j.untilInterrupted(ctx)
	defer stop()
	status := wire.NewStatusClient(j.options.Master, j.options.Security)
	defer status.Close()
	hostname, _ := os.Hostname()
	request := wire.Request{Node: j.options.Node, Join: &wire.Join{
		Protocol: wire.Protocol, Instance: j.instance, Version: j.options.Version, Host: hostname, PID: os.Getpid(), Key: j.options.Key,
		Held: j.offers(), Local: len(run.WaitingIn(j.options.Data, j.options.Node)),
	}}
	if j.identity != nil {
		j.identity.Sign(j.options.Node, request.Join)
	}
	var waiting waiting
	for patience := tryTimeout; ; {
		j.options.watchdog.alive()
		try, cancel := context.WithTimeoutCause(ctx, patience, errors.New("trying again"))
		reply, err := ask(try, status, request)
		cancel()
		switch {
		case err != nil && ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case err != nil:
			reply.Wait = "no answer"
			patience = min(2*patience, lastTry)
		case reply.Refused != nil:
			return nil, reply.Refused
		case reply.Welcome != nil:
			j.reached = status.Reached()
			return reply.Welcome, nil
		case reply.Unwanted && j.options.Once:
			j.observe(event.Warning{Node: j.options.Node, Message: reply.Wait})
			return nil, errAllCollected
		default:
			patience = tryTimeout
		}
		if waiting.worthSaying(reply.Wait, time.Now()) {
			j.options.Log.Info("waiting for the master", "node", j.options.Node, "master", j.options.Master, "why", reply.Wait, "error", err)
			j.observe(event.Waiting{Node: j.options.Node, For: "the master", Why: because(reply.Wait, err), Hint: j.hint(err)})
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(joinPause):
		}
	}
}

// because returns why a slave waits, with the error where there was no answer.
func because(wait string, err error) string {
	if err == nil {
		return wait
	}
	return fmt.Sprintf("%s: %v", wait, err)
}

// hint says what to do about a master that does not answer; "": nothing is known.
func (j *joiner) hint(err error) string {
	switch {
	case errors.Is(err, zmtp.ErrPeerPlain):
		return "the master speaks without TLS: start this slave with --tls off where its recipe says network.insecure, or run it without that"
	case errors.Is(err, zmtp.ErrPeerSecure):
		return "pair the two PCs (tsrun pair, first on the master's), and start this slave without --tls off"
	case errors.Is(err, wire.ErrUnanswered):
		return fmt.Sprintf("this is tsrun %s: type tsrun version on the master's PC, and install the same release on both; --master is the recipe's network.ports.status", j.options.Version)
	}
	return ""
}

// untilInterrupted returns a context that ends when the user interrupts.
func (j *joiner) untilInterrupted(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	go func() { // ends with ctx
		select {
		case <-ctx.Done():
		case <-j.options.Interrupts:
			cancel(errStopped)
		}
	}()
	return ctx, func() { cancel(nil) }
}

func (j *joiner) observe(e event.Event) {
	if j.options.Observer != nil {
		j.options.Observer.Observe(e)
	}
}

// waiting remembers what the user was told about why nothing happens.
type waiting struct {
	said string
	at   time.Time
}

// worthSaying reports whether a reason is new, or was told a while ago.
func (w *waiting) worthSaying(why string, now time.Time) bool {
	if why == w.said && now.Sub(w.at) < remindEvery {
		return false
	}
	w.said, w.at = why, now
	return true
}

// serve takes part in one run.
func (j *joiner) serve(ctx context.Context, w *wire.Welcome) error {
	if keep := j.options.KeepRevocations; keep != nil {
		if err := keep(w.Revoked); err != nil {
			j.options.Log.Warn("list of revoked certificates not kept", "error", err)
		}
	}
	if w.Collect != nil {
		return j.options.watchdog.during(func() error { return j.handOver(ctx, w) })
	}
	if w.Deliver {
		return j.redeliver(ctx, w)
	}
	var r recipe.Recipe
	if err := json.Unmarshal(w.Recipe, &r); err != nil {
		return fmt.Errorf("read the recipe sent by the master: %w", err)
	}
	if err := r.CheckPart(j.options.Node); err != nil {
		return fmt.Errorf("read the recipe sent by the master: %w", err)
	}
	j.observe(event.NodeJoined{Node: j.options.Node, Host: r.Nodes[0].Host, Address: j.options.Master, PID: os.Getpid()})
	s, err := newSession(j.options, w, &r, j.addresses(w))
	if err != nil {
		return err
	}
	return s.run(ctx)
}

// addresses returns where the master of a welcome is reached.
func (j *joiner) addresses(w *wire.Welcome) sessionAddresses {
	return sessionAddresses{
		status:  j.options.Master,
		trigger: net.JoinHostPort(j.host, strconv.Itoa(w.TriggerPort)),
		files:   net.JoinHostPort(j.host, strconv.Itoa(w.FilesPort)),

		datagrams: cmp.Or(j.reached, j.host),
	}
}

// ask puts one question to the master.
func ask(ctx context.Context, status *wire.StatusClient, request wire.Request) (wire.Reply, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return wire.Reply{}, fmt.Errorf("encode request: %w", err)
	}
	answer, err := status.Call(ctx, body)
	if err != nil {
		return wire.Reply{}, err
	}
	var reply wire.Reply
	if err := json.Unmarshal(answer, &reply); err != nil {
		return wire.Reply{}, fmt.Errorf("decode the master's answer: %w", err)
	}
	reply.Wait = plain(reply.Wait)
	if f := reply.Refused; f != nil {
		f.Code, f.Message, f.Field, f.Hint = plain(f.Code), plain(f.Message), plain(f.Field), plain(f.Hint)
	}
	return reply, nil
}

// maxWords is how much of a master's words is shown, in bytes.
const maxWords = 2000

// plain returns what a user is shown of a master's words: whoever listens at its
// address may have said them.
func plain(words string) string { return text.Printable(words[:min(len(words), maxWords)]) }

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	return hex.EncodeToString(b)
}
