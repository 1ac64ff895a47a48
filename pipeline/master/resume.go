package master

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/journal"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/instrument"
)

// Resume finishes a run whose master was killed, or that ended before all files were
// here: it takes what the nodes hold, proves it, executes the stages and writes the
// manifest anew. Of the options Recipe and Runs are not used: the directory has them.
//
// A run that has ended whole is returned as it is, with Outcome.Finished set. The error
// says why nothing was changed.
func Resume(ctx context.Context, path string, o Options) (*Outcome, error) {
	if !run.IsRun(path) {
		return nil, run.NoRun(path)
	}
	m, r, err := run.ReadRun(path)
	if err != nil {
		return nil, err
	}
	if _, err := os.Lstat(filepath.Join(path, run.JournalFile)); errors.Is(err, fs.ErrNotExist) {
		if !m.Ended.IsZero() {
			return &Outcome{Manifest: m, Directory: path, Finished: true}, nil
		}
		return nil, &sdk.Failure{Code: "no-journal", Message: path + " has no " + run.JournalFile + ", so nobody knows how far the run was",
			Hint: "it was made by an earlier release, or never began; its whole files are in " + run.RawDir}
	}
	if err := moveTo(&r.Network, o.Listen); err != nil {
		return nil, err
	}
	o.Recipe = &recipe.Resolved{Recipe: r}
	if err := o.secure(); err != nil {
		return nil, err
	}
	c := newConductor(o)
	if err := c.open(path, m); err != nil {
		return nil, err
	}
	defer c.dir.Close()
	defer c.runLog.wait()
	if err := c.awaitOwnSlaves(ctx); err != nil {
		return nil, err
	}
	if err := c.listen(ctx); err != nil {
		return nil, err
	}
	defer c.stopListening()
	return c.conduct(ctx)
}

// moveTo has the master of a run listen at another address than before; "" changes nothing.
// What the recipe says of TLS is about the new one.
func moveTo(n *recipe.Network, host string) error {
	if host == "" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		if err := recipe.CheckHost(host); err != nil || strings.Contains(host, ":") {
			return &sdk.Failure{Code: "listen", Message: fmt.Sprintf("listen at %q: it is no address and no name of a PC", host),
				Hint: "give --listen an address or the name of this PC, without a port: the ports are those of the run"}
		}
	}
	n.Master = host
	if n.TLS == "off" && !n.Insecure && !recipe.IsLoopback(host) {
		return &sdk.Failure{Code: "listen", Message: fmt.Sprintf("other PCs reach the master at %s, so its connections need TLS, and the run's recipe has network.tls: off", host),
			Hint: "listen at an address of the loopback"}
	}
	return nil
}

// open opens the directory of a run and recalls what its journal says.
func (c *conductor) open(path string, m *run.Manifest) (err error) {
	id, ok := wire.ParseID(m.Run)
	if !ok {
		return fmt.Errorf("%s: the manifest's run %.40q is not 32 hexadecimal digits", path, m.Run)
	}
	c.run = id
	c.book = newBook(c, m.Started)
	c.book.manifest.Recipe, c.book.manifest.Tsrun, c.book.manifest.Local = m.Recipe, m.Tsrun, m.Local
	for name, n := range c.book.manifest.Nodes {
		if was := m.Nodes[name]; was != nil {
			n.Joined, n.Armed = was.Joined, was.Armed
		}
	}
	c.past = &past{nodes: map[string]stands{}, joined: map[string]joined{}, seen: map[string]uint64{}}
	c.journal, err = journal.Open(filepath.Join(path, run.JournalFile), func(record []byte) error { return c.recall(c.past, record) })
	switch {
	case errors.Is(err, journal.ErrLocked):
		return &sdk.Failure{Code: "run-alive", Message: "the run in " + path + " goes on: its master, or another tsrun resume, is at work",
			Hint: "wait until that has ended; tsrun resume is for a run whose master was killed"}
	case err != nil:
		return err
	case c.past.ports == nil:
		return errors.Join(&sdk.Failure{Code: "no-journal", Message: filepath.Join(path, run.JournalFile) + " has no whole record",
			Hint: "the whole files of the run are in " + run.RawDir}, c.journal.Close())
	}
	if ports := &c.recipe.Network.Ports; m.Local == nil { // no other PC knows the ports of a local part
		ports.Trigger, ports.Status, ports.Files = c.past.ports.Trigger, c.past.ports.Status, c.past.ports.Files
	}
	if c.dir, err = run.Open(path, c.journal); err != nil {
		return errors.Join(err, c.journal.Close())
	}
	c.runLog.writeTo(c.dir.Log(), c.unlogged)
	c.saver.dir, c.saver.failed = c.dir, c.unsaved
	c.unsynced = true // the stages look at everything
	if _, err := os.Lstat(filepath.Join(path, stage.SyncFile)); err == nil {
		c.book.manifest.Sync = stage.SyncFile
	}
	c.log.Info("run is resumed", "run", c.run.String(), "phase", string(c.past.phase), "version", c.options.Version)
	return nil
}

// readmit lets the sessions of the run go on: their slaves show the same tokens.
func (c *conductor) readmit() {
	if c.past == nil {
		return
	}
	for name, j := range c.past.joined {
		token, err := j.token()
		if err != nil {
			c.log.Error("a session cannot go on", "about", name, "error", err)
			continue
		}
		c.admitFiles(name, token)
		c.members[name] = &member{instance: j.Instance, token: token, heard: time.Now(), news: c.past.seen[name], seen: c.past.seen[name]}
	}
}

// started reports whether tags may have been recorded.
func (p *past) started() bool { return p.fire != nil }

// resumedState is where a run stands that is resumed: every node is to say anew how
// far it is, and those that were given up may still come.
func resumedState(names []string, local func(string) bool, r rules, p *past, now time.Time) (state, []any) {
	s := state{phase: transferring, shot: max(p.fires, 1), ending: true, nodes: map[string]node{}, rules: r}
	for _, name := range names {
		s.nodes[name] = node{joined: true, phase: wire.Preparing, order: p.nodes[name].Order}
	}
	if p.order != nil {
		s.orders = p.order.Seq
	}
	for _, t := range p.troubles {
		if !t.mayBeMadeGood() {
			s.troubles = append(s.troubles, t)
		}
	}
	if !p.started() {
		s.phase = aborted
		s.troubles = append(s.troubles, trouble{canceled, "", sdk.Failure{Code: "aborted", Message: fmt.Sprintf("the master was killed while the run was %s, before anything was recorded", p.phase)}})
		for _, name := range names {
			s.change(name, func(n *node) { n.gone = local(name) }) // it has ended with its master
		}
		return s, []any{s.order(wire.Abort)}
	}
	s.fire = p.fire.Seq
	switch p.phase {
	case armed, running:
		s.phase = running
		left := time.Unix(0, p.fire.Instant).Add(r.duration).Sub(now)
		return s, []any{doDeadline{max(0, left) + drainTimeout}}
	case draining:
		s.phase = draining
		return s, []any{doDeadline{drainTimeout}}
	}
	return s, []any{doDeadline{transferTimeout}}
}

// mayBeMadeGood says of a trouble that what is here in the end decides: a node that was not
// waited for any longer may come, and send files that it could not.
func (t trouble) mayBeMadeGood() bool {
	return t.kind == canceled || t.kind == missing && slices.Contains(madeGood, t.failure.Code)
}

var madeGood = []string{"node-lost", "node-late", "slave-died", "slave-restarted", "nothing-held", wire.NotSent}

// tellPast tells the user what went wrong before a run was resumed, and counts no more.
func (c *conductor) tellPast() {
	for _, t := range c.past.troubles {
		if t.kind == missing && t.mayBeMadeGood() {
			c.observe(event.Warning{Node: t.node, Message: "before the run was resumed: " + t.failure.Message, Hint: "what is here in the end counts"})
		}
	}
}

// begin returns where the run stands when the loop begins.
func (c *conductor) begin() (state, []any) {
	if c.past == nil {
		return newState(c.names(), c.rules())
	}
	c.tellPast()
	s, effects := resumedState(c.names(), c.isLocal, c.rules(), c.past, time.Now())
	if o := c.past.order; o != nil && o.Kind == wire.Stop {
		c.order = o // for those that have not heard it; a Fire of the past is repeated to nobody
	}
	return s, effects
}

// lateToFire is how long after the instant a node that has not accepted it never will.
const lateToFire = 5 * time.Second

// neverFired reports whether a slave still waits for an instant that has passed, because
// the master was killed before the slave had it.
func (c *conductor) neverFired(r *wire.Report) bool {
	waits := r.Phase == wire.Preparing || r.Phase == wire.Ready || r.Phase == wire.Armed
	return c.past != nil && waits && c.state.shot == 1 && r.Order < c.state.fire && time.Since(time.Unix(0, c.past.fireInstant())) > lateToFire
}

func (p *past) fireInstant() int64 {
	if p.fire == nil {
		return 0
	}
	return p.fire.Instant
}

// heldHere reports whether the files of a local node wait in the run directory.
func (c *conductor) heldHere(name string) bool {
	_, err := os.Lstat(filepath.Join(c.sources(), c.run.String()+"-"+name))
	return err == nil
}

// allHere reports whether the files that a node has announced are here and proven, by
// this process.
func (c *conductor) allHere(name string) bool {
	if c.state.phase == analysing || c.state.phase.over() {
		return true // the manifest is the stages'
	}
	return c.confirm(slices.DeleteFunc(c.book.unproven(), func(a announced) bool { return a.node != name }))
}

// settled reports whether a node that says it is done has done its part in a run that was
// resumed: its files are here, or it has offered all of them to this master, and then the
// rest is missing. What was said to the master before, which was killed, counts for nothing.
func (c *conductor) settled(ctx context.Context, name string, m *member, r *wire.Report) bool {
	if c.past == nil || c.allHere(name) {
		return true
	}
	if r.Offered != c.id {
		return false
	}
	if c.state.nodes[name].phase != wire.Done {
		why := sdk.Failure{Code: wire.NotSent, Message: "files that it has announced did not come", Hint: "look at the log of its slave"}
		if m.unsent != nil {
			why = *m.unsent
		}
		c.applyEvent(ctx, evFailed{name, why})
	}
	return true
}

// awaitOwnSlaves waits until the slaves that the killed master had started have ended,
// so that others can deliver what they recorded.
func (c *conductor) awaitOwnSlaves(ctx context.Context) error {
	for until := time.Now().Add(ownSlavesEnd); ; {
		busy := slices.IndexFunc(c.recipe.Nodes, func(n recipe.Node) bool {
			return n.Host == "local" && journal.Locked(filepath.Join(c.sources(), c.run.String()+"-"+n.Name, run.JournalFile))
		})
		switch {
		case busy < 0:
			return nil
		case time.Now().After(until):
			return &sdk.Failure{Code: "slave-alive", Message: fmt.Sprintf("the slave of %s, which the killed master had started, has not ended within %v", c.recipe.Nodes[busy].Name, ownSlavesEnd),
				Hint: "end it, and resume again"}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// ownSlavesEnd is how long a slave may take to leave its devices safe and to end.
const ownSlavesEnd = 30 * time.Second

// proveKept has the receiver prove the files that are here already. A node that had
// done its part, and whose files are all proven, is not waited for.
func (c *conductor) proveKept(ctx context.Context, announced []announced) {
	lacking := map[string]bool{}
	for _, a := range announced {
		j := c.past.joined[a.node]
		if token, err := j.token(); err != nil || !c.proveFile(ctx, token, a) {
			lacking[a.node] = true
		}
	}
	for _, name := range c.names() {
		was := c.past.nodes[name]
		switch {
		case ctx.Err() != nil:
			return
		case was.Phase == wire.Done && !lacking[name] && !c.heldHere(name):
			c.queueEvent(evReported{node: name, phase: wire.Done, order: was.Order})
		case c.isLocal(name) && !c.heldHere(name):
			c.queueEvent(evGone{name, sdk.Failure{Code: "nothing-held", Message: "nothing of what it recorded is in " + c.sources(),
				Hint: "what was with the master before is kept"}})
		case !c.isLocal(name):
			c.observe(event.Waiting{For: name, Hint: "its slave comes by itself; if it runs no more, start it there with: " + slaveCommand(name, c.masterAddress())})
		}
	}
}

// proveFile proves one file, if it is here.
func (c *conductor) proveFile(ctx context.Context, token [16]byte, a announced) bool {
	if _, err := os.Lstat(filepath.Join(c.dir.Path(), filepath.FromSlash(a.Name))); err != nil {
		return false
	}
	for {
		answer := c.receiver.Ask(token, a.File)
		if answer.Verified || answer.Refused != "" || len(answer.Missing) > 0 {
			return answer.Verified
		}
		if !instrument.Pause(ctx, time.Millisecond) { // while it is hashed
			return false
		}
	}
}

// welcomeBack lets a slave deliver what it holds of this run. ok is false for one that
// holds nothing of it.
func (c *conductor) welcomeBack(r request, m *member) (reply wire.Reply, ok bool) {
	name, j := r.body.Node, r.body.Join
	n := c.state.nodes[name]
	if m == nil || n.gone || m.refused != nil || c.book.overspent(name) != nil || c.state.phase.over() || c.state.phase != armed && !c.state.started() {
		return reply, false
	}
	holds := func(h wire.Held) bool {
		return h.Run == c.run.String() && wire.Proven(h.Proof, m.token, wire.HeldBySlave, h.Run, name, j.Instance)
	}
	if !slices.ContainsFunc(j.Held, holds) {
		return reply, false
	}
	if m.instance != j.Instance {
		m.instance = j.Instance
		c.keepJoined(name, m, j)
		c.log.Info("node delivers what it holds", "about", name, "host", j.Host, "address", r.peer.Address, "pid", j.PID)
		c.observe(event.NodeJoined{Node: name, Host: c.book.manifest.Nodes[name].Host, Hostname: j.Host, Address: r.peer.Address, PID: j.PID})
	}
	c.acknowledge(name, m, false) // its news go on behind these
	return wire.Reply{Welcome: &wire.Welcome{
		Run: c.run.String(), Deliver: true, Record: c.state.rules.restarts && c.state.phase == running, Seen: m.news, Revoked: c.options.Revoked, TriggerPort: portOf(c.trigger.Addr()), FilesPort: portOf(c.receiver.Addr()), Master: c.id,
		Proof: wire.Prove(m.token, wire.ResumedByMaster, c.run.String(), name, j.Instance),
	}}, true
}

// keepJoined enters a slave that has joined in the book and in the journal.
func (c *conductor) keepJoined(name string, m *member, j *wire.Join) {
	c.keep(entry{Joined: &joined{name, hex.EncodeToString(m.token[:]), j.Instance, j.Host, j.PID, j.Version}})
	c.book.joined(name, j)
	if n := c.book.manifest.Nodes[name]; c.past == nil || n.Joined.IsZero() { // in a run that is resumed it was there before
		n.Joined = moment()
	}
}
