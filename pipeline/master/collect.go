package master

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// Collecting says what [Collect] is to fetch.
type Collecting struct {
	Nodes []string          // that are waited for; none: those on other PCs, or all where there are none
	Marks map[string]string // of the recipe, see recipe.Marks
}

// collector takes what nodes have recorded by themselves.
type collector struct {
	options  Options
	marks    map[string]string
	receiver *transfer.Receiver
	status   *wire.StatusServer
	plans    map[string]transfer.Plan
	proving  sync.WaitGroup

	strangers strangers // that were refused

	mu      sync.Mutex
	waits   map[string]bool // nodes that have not said that they have no more
	guests  map[string]*guest
	taken   []string // directories that were made
	active  time.Time
	stopped chan struct{}
	over    func()
}

// guest is a node whose slave delivers.
type guest struct {
	instance string
	owner    string // whose process it is, as it has shown; "": it has shown nothing
	token    [16]byte
	welcome  *wire.Welcome
	heard    time.Time
	done     bool
	records  map[string]*arrival // by run
}

// arrival is a recording on its way.
type arrival struct {
	run, name, staging string
	token              [16]byte
	proving            bool
	answer             wire.RecordingAnswer
}

// Collect waits for the slaves of a recipe's nodes, each for as long as network.join,
// and takes what these nodes have recorded by themselves with this recipe: each record
// into a run directory of its own, when it was proven, and those of several nodes that
// overlap in time into one of all. It returns the directories, also beside an error,
// which names the nodes that did not come.
func Collect(ctx context.Context, o Options, what Collecting) ([]string, error) {
	if err := o.secure(); err != nil {
		return nil, err
	}
	c := &collector{options: o, marks: what.Marks, waits: map[string]bool{}, guests: map[string]*guest{}, stopped: make(chan struct{}), active: time.Now()}
	c.over = sync.OnceFunc(func() { close(c.stopped) })
	if err := c.expect(what.Nodes); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Runs, 0o777); err != nil {
		return nil, &sdk.Failure{Code: "run-directory", Message: fmt.Sprintf("make the directory of run directories, %s: %v", o.Runs, err), Hint: "choose another place with --runs"}
	}
	if err := c.listen(ctx); err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	o.Observer.Observe(event.StateChanged{State: string(joining)})
	running.Go(func() { _ = c.receiver.Run(background) }) // nil when it ends
	for _, name := range slices.Sorted(maps.Keys(c.waits)) {
		o.Observer.Observe(event.Waiting{For: name, Hint: "start its slave there, with the --data of its recordings: " + slaveCommand(name, c.address())})
	}
	err := c.wait(ctx)
	stop()
	_ = c.status.Close() // waits for the answers under way
	c.proving.Wait()
	c.receiver.Close()
	running.Wait()
	made, err := c.combine(err)
	end := done
	if err != nil {
		end = aborted
	}
	o.Observer.Observe(event.StateChanged{State: string(end)})
	o.Observer.Observe(event.Finished{})
	return made, err
}

// expect notes the nodes that are waited for.
func (c *collector) expect(names []string) error {
	var known, remote []string
	for _, n := range c.options.Recipe.Recipe.Nodes {
		if known = append(known, n.Name); n.Host == "remote" {
			remote = append(remote, n.Name)
		}
	}
	for _, name := range names {
		if !slices.Contains(known, name) {
			return &sdk.Failure{Code: "unknown-node", Message: fmt.Sprintf("the recipe has no node %q", name), Hint: "give --node one of: " + strings.Join(known, ", ")}
		}
	}
	for _, list := range [][]string{names, remote, known} {
		if len(list) > 0 {
			for _, name := range list {
				c.waits[name] = true
			}
			break
		}
	}
	book := newBook(newConductor(c.options), time.Now())
	c.plans = map[string]transfer.Plan{}
	for name, plan := range book.plans {
		files := moreFiles
		for _, place := range plan.Places {
			files += place.Files
		}
		c.plans[name] = transfer.Plan{Bytes: plan.Bytes, Places: []transfer.Place{{Folder: run.RawDir + "/" + name, Files: files}}}
	}
	return nil
}

// port is where slaves look for a master: a recipe of local nodes may leave it open.
func (c *collector) port() int {
	if port := c.options.Recipe.Recipe.Network.Ports.Status; port != 0 {
		return port
	}
	return wire.StatusPort
}

func (c *collector) address() string {
	if host := c.options.Recipe.Recipe.Network.Master; c.port() == wire.StatusPort {
		return asReached(host)
	}
	return address(asReached(c.options.Recipe.Recipe.Network.Master), c.port())
}

func (c *collector) listen(ctx context.Context) (err error) {
	n := c.options.Recipe.Recipe.Network
	guard := wire.Guard{Refused: c.turnAway, Admits: c.admits}
	if n.Secured() {
		guard.Security = c.options.Security
	}
	if c.receiver, err = transfer.NewReceiver(address(n.Master, n.Ports.Files), guard, slog.New(slog.DiscardHandler)); err != nil {
		return listenFailure("files", err)
	}
	c.receiver.KeepFree(int64(c.options.Recipe.Recipe.Faults.DiskBelow))
	if c.status, err = wire.ListenStatus(ctx, address(n.Master, c.port()), guard, c.serve); err != nil {
		c.receiver.Close()
		return listenFailure("status", err)
	}
	return nil
}

// turnAway tells the user of a PC that could not connect: it may be one that is waited for.
func (c *collector) turnAway(peer net.Addr, why error) {
	if w, ok := c.strangers.turnedAway(peer, why); ok {
		c.options.Observer.Observe(w)
	}
}

// admits returns the node whose session has a token, where the peer may be that node.
func (c *collector) admits(peer wire.Peer, token string) (string, bool) {
	c.mu.Lock()
	for name, g := range c.guests {
		if hex.EncodeToString(g.token[:]) == token && peer.MayBe(name) {
			c.mu.Unlock()
			return name, true
		}
	}
	c.mu.Unlock()
	return admittedTo(c.receiver, peer, token)
}

// wait returns when every node has said that it has no more, or has not come.
func (c *collector) wait(ctx context.Context) error {
	patience := c.options.Recipe.Recipe.Network.Join.Duration()
	look := time.NewTicker(min(patience, time.Second))
	defer look.Stop()
	for {
		select {
		case <-c.stopped:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-c.options.Interrupts:
			return &sdk.Failure{Code: "aborted", Message: "stopped by the user", Hint: "what was not collected stays at its node; what came of it is used the next time"}
		case p := <-c.receiver.Progress():
			c.stillActive()
			c.show(p)
		case <-look.C:
			if names := c.absent(patience); names != nil {
				return &sdk.Failure{Code: "node-absent", Message: fmt.Sprintf("nothing more was heard for %v of: %s", patience, strings.Join(names, ", ")),
					Hint: "start the slave there with its --node and the --data of its recordings, and collect again; network.join is how long it is waited for"}
			}
		}
	}
}

func (c *collector) stillActive() {
	c.mu.Lock()
	c.active = time.Now()
	c.mu.Unlock()
}

func (c *collector) show(p transfer.Progress) {
	switch {
	case p.Refused != "":
		c.options.Observer.Observe(event.Problem{Node: p.Node, Code: "file-refused", Message: p.File + ": " + p.Refused, Hint: "the node keeps its copy"})
	case p.Verified:
		c.options.Observer.Observe(event.FileVerified{Node: p.Node, File: p.File, Size: p.Size})
	default:
		c.options.Observer.Observe(event.Transfer{Node: p.Node, File: p.File, Phase: p.Phase, Done: p.Done, Size: p.Size})
	}
}

// absent names the nodes that are still waited for when nothing has happened for too long.
func (c *collector) absent(patience time.Duration) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, g := range c.guests {
		for _, a := range g.records {
			if a.proving {
				c.active = time.Now()
			}
		}
	}
	if time.Since(c.active) < patience {
		return nil
	}
	return slices.Sorted(maps.Keys(c.waits))
}

// serve answers one message of the status port.
func (c *collector) serve(peer wire.Peer, body []byte) []byte {
	if len(body) > wire.MaxStranger {
		_, token := wire.Shown(body[:wire.MaxStranger])
		if _, ok := c.admits(peer, token); !ok {
			return encode(unknown())
		}
	}
	r, err := wire.DecodeRequest(body)
	if err != nil {
		return encode(refuse("malformed", fmt.Sprintf("read status request: %v", err), ""))
	}
	switch {
	case r.Join != nil:
		reply := c.letIn(peer, r)
		if f := reply.Refused; f != nil && c.strangers.isNew(cut(r.Node), f.Code) {
			c.options.Observer.Observe(slaveRefused(request{peer: peer, body: r}, f))
		}
		return encode(reply)
	case r.Recording != nil:
		return encode(c.recording(peer, r))
	case len(r.File) > 0:
		return encode(answerFile(c.receiver, peer, r))
	}
	return encode(unknown())
}

// letIn lets a slave in that has something to be collected.
func (c *collector) letIn(peer wire.Peer, r wire.Request) wire.Reply {
	name, j := r.Node, r.Join
	if f := wire.OtherProtocol(j, c.options.Version); f != nil {
		return wire.Reply{Refused: f}
	}
	known := slices.ContainsFunc(c.options.Recipe.Recipe.Nodes, func(n recipe.Node) bool { return n.Name == name })
	switch {
	case !known:
		return refuse("unknown-node", fmt.Sprintf("join: the recipe has no node %q", cut(name)), "check --node there")
	case !peer.MayBe(name):
		return refuse("certificate", fmt.Sprintf("join: the certificate shown is that of %s, and node %s shows its own", wire.WhoseCertificate(cut(peer.Name)), name), "check --node there")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	g := c.guests[name]
	switch {
	case g != nil && peer.Name == "" && g.instance != j.Instance && (g.owner == "" || g.owner != wire.OwnerOf(name, j)):
		return wire.Reply{Wait: "recordings are being collected, of another process under this name"}
	case g != nil && g.done, j.Local <= 0:
		c.finished(name)
		return wire.Reply{Wait: "recordings are being collected, and this node has none that is wanted; it is let in by the next run", Unwanted: true}
	case g != nil && g.instance == j.Instance: // its first answer was lost
		return wire.Reply{Welcome: g.welcome}
	}
	g = &guest{instance: j.Instance, owner: wire.OwnerOf(name, j), records: map[string]*arrival{}}
	rand.Read(g.token[:]) // never fails
	token := hex.EncodeToString(g.token[:])
	ask := &wire.Collect{Recipe: c.options.Recipe.Recipe.Name, Seals: map[string]string{}}
	for section, mark := range c.marks {
		ask.Seals[section] = wire.Seal(mark, section, name, j.Instance, token)
	}
	g.welcome = &wire.Welcome{Token: token, Collect: ask, FilesPort: portOf(c.receiver.Addr()), Revoked: c.options.Revoked}
	if len(c.guests) == 0 {
		c.options.Observer.Observe(event.StateChanged{State: string(transferring)})
	}
	c.guests[name], c.active = g, time.Now()
	c.options.Observer.Observe(event.NodeJoined{Node: name, Host: "remote", Hostname: cut(j.Host), Address: peer.Address, PID: j.PID})
	return wire.Reply{Welcome: g.welcome}
}

// finished notes that a node has no more. The caller holds c.mu.
func (c *collector) finished(name string) {
	if delete(c.waits, name); len(c.waits) == 0 {
		c.over()
	}
}
