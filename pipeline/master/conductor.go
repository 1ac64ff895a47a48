package master

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/datagram"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/journal"
	"tsrun/pipeline/live"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/watch"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/tag"
)

const (
	beaconEvery = 100 * time.Millisecond
	watchEvery  = 250 * time.Millisecond
	// deafAfter is how long a node that is ready may hear nothing from the
	// trigger port before the user is told: 30 beacons.
	deafAfter = 3 * time.Second
	// dismissTimeout bounds the wait for slaves to hear that the run is over.
	dismissTimeout = 3 * time.Second
	// endTimeout bounds the wait for a slave that was told to end: it ends its plugins, of which
	// one that hangs is given some seconds to make its device safe.
	endTimeout = 15 * time.Second
)

// conductor is the goroutine that owns the run. Others send it inputs.
type conductor struct {
	options  Options
	id       string // of this process: a run that is resumed has another
	recipe   *recipe.Recipe
	run      tag.RunID
	log      *slog.Logger // writes to runLog
	runLog   runLog
	dir      *run.Directory
	saver    saver
	book     *book
	journal  *journal.Journal
	madeRuns bool  // the directory of run directories was made for this one
	quiet    bool  // it flushes nothing
	unkept   bool  // it failed, and the user knows
	past     *past // of a run that is resumed; nil: it is not

	status   *wire.StatusServer
	trigger  *wire.Publisher
	fast     *wire.FastPublisher // nil: no order goes as a datagram
	slowed   atomic.Bool         // one failed, and the user knows
	receiver *transfer.Receiver
	clock    *clock.Responder // nil: no node asks for this PC's time
	services *clock.Services  // that keep this PC's clock; nil likewise

	turn     sync.Mutex    // of the slave whose message is decoded and answered
	requests chan request  // from slaves; unbuffered: the asker waits for its answer
	inputs   chan any      // state events from other goroutines
	stopped  chan struct{} // closed when nobody reads requests any more
	over     func()        // closes it

	state     state
	members   map[string]*member
	order     *wire.Order // the newest, repeated in every answer
	deadline  *time.Timer
	due       time.Time // when that ends; zero: there is none
	attention wire.Attention
	analysis  analysis
	disks     disks
	watcher   *watch.Watcher  // nil: nothing is watched
	recorded  bool            // what was watched was to be recorded
	left      bool            // and by another run
	syncer    *syncer         // nil: no segment of an align stage is here yet
	lives     []*live.Stream  // the live sinks
	unsynced  bool            // there could be none
	started   map[string]bool // nodes of which it was told when they began
	children  []*child
	key       string // that this master's own slaves show
	strangers strangers
	steps     steps
	instant   time.Time // of the start, as it was given; zero: it was not, or by a master before
	turned    strangers // slaves that were refused, by name
}

// member is what the conductor knows of a slave beside its place in the state.
type member struct {
	owner    string // identity that its first process showed; empty: none
	instance string
	token    [16]byte
	welcome  *wire.Welcome
	heard    time.Time
	farther  time.Time // when its recording last came farther
	rival    string    // instance of another process that wants its place, last seen since asked
	asked    time.Time
	silent   time.Duration // how long it was away when it was last taken back
	news     uint64        // the last one taken
	seen     uint64        // the last one that the node hears was taken
	spare    float64       // how often passing news may be acknowledged at once
	noted    time.Time     // when that was last reckoned
	glimpse  uint64        // the newest one that was looked at
	refused  *sdk.Failure  // why nothing more is taken of what it tells; nil: it is
	unsent   *sdk.Failure  // what kept files of it from being sent, as it has told last; of a run that is resumed
	clock    clockDifference
	access   *datagram.Access // to this PC's time; nil: it has the same clock, or none is compared
	compares bool             // its clock with this PC's: it has told a reading
	trip     time.Duration    // the round trip to it, as it says; 0: not known
	doubts   map[string]bool  // of its clock, that the user was told of
	deaf     time.Time        // when it first was ready without having heard the trigger port
}

func newConductor(o Options) *conductor {
	c := &conductor{
		options: o, id: rand.Text(), recipe: o.Recipe.Recipe,
		requests: make(chan request), inputs: make(chan any), stopped: make(chan struct{}),
		members: map[string]*member{}, steps: steps{}, started: map[string]bool{}, key: rand.Text(),
		disks: disks{nodes: map[string]*fact.Disk{}, warned: map[string]bool{}},
	}
	c.deadline = time.NewTimer(time.Hour)
	c.deadline.Stop() // until there is one
	c.over = sync.OnceFunc(func() { close(c.stopped) })
	c.log = slog.New(slog.NewJSONHandler(&c.runLog, nil))
	rand.Read(c.run[:]) // never fails
	return c
}

// names returns the names of the recipe's nodes, in its order.
func (c *conductor) names() (names []string) {
	for _, n := range c.recipe.Nodes {
		names = append(names, n.Name)
	}
	return names
}

// masterAddress returns what to give a slave as --master: the port only where it
// is not the usual one.
func (c *conductor) masterAddress() string {
	n := c.recipe.Network
	port := n.Ports.Status
	if c.status != nil {
		port = portOf(c.status.Addr())
	}
	if port == wire.StatusPort {
		return asReached(n.Master)
	}
	return address(asReached(n.Master), port)
}

func (c *conductor) rules() rules {
	trigger := c.recipe.Network.Ports.Trigger
	if c.trigger != nil {
		trigger = portOf(c.trigger.Addr())
	}
	master := c.masterAddress()
	if c.recipe.Network.Exposed() {
		master += " --tls off"
	}
	return rules{
		lead:          c.recipe.Trigger.Lead.Duration(),
		watch:         c.options.Record != nil,
		leaves:        c.options.Leave,
		onReceipt:     c.recipe.Trigger.OnReceipt(),
		duration:      c.recipe.Acquire.Duration.Duration(),
		shots:         c.recipe.Acquire.Shots(),
		join:          c.recipe.Network.Join.Duration(),
		patience:      c.recipe.Faults.Patience.Duration(),
		master:        master,
		trigger:       trigger,
		abortOnLoss:   c.recipe.Faults.LostTags == "abort",
		abortOnAbsent: c.recipe.Faults.LostNode == "abort",
		waits:         c.recipe.Faults.LostNode == "wait",
		restarts:      c.recipe.Faults.LostNode == "restart",
	}
}

// loop conducts until the run is over. The end of ctx gives the run up.
func (c *conductor) loop(ctx context.Context) {
	defer c.deadline.Stop()
	watch := time.NewTicker(watchEvery)
	defer watch.Stop()
	var effects []any
	c.state, effects = c.begin()
	c.observe(event.StateChanged{State: string(c.state.phase)})
	c.perform(ctx, effects)
	for _, n := range c.recipe.Nodes {
		if n.Host != "local" && c.past == nil {
			c.observe(event.Waiting{For: n.Name, Hint: "start it there with: " + slaveCommand(n.Name, c.state.rules.master)})
		}
	}
	cancelled := ctx.Done()
	for !c.state.phase.over() {
		select {
		case r := <-c.requests:
			r.answer <- c.answer(ctx, r)
		case e := <-c.inputs:
			c.applyInput(ctx, e)
		case p := <-c.receiver.Progress():
			c.showTransfer(p)
			c.applyEvent(ctx, evProgress{})
		case err := <-c.analysis.done:
			c.analysis.done, c.analysis.failed = nil, err != nil
			c.book.analysed(err)
			c.applyEvent(ctx, evAnalysed{})
		case <-c.deadline.C:
			c.applyDeadline(ctx)
		case <-watch.C:
			c.findSilentNodes(ctx, time.Now()) // the tick may be old
			c.quieten()
		case <-c.options.Record:
			c.applyEvent(ctx, evRecord{})
		case <-c.options.Interrupts:
			c.applyEvent(ctx, evInterrupted{})
		case <-cancelled:
			cancelled = nil
			for !c.state.phase.over() { // nobody waits for the files: as the last one
				c.applyEvent(ctx, evInterrupted{})
			}
		}
	}
	c.analysis.end()
}

// applyInput applies what another goroutine has seen.
func (c *conductor) applyInput(ctx context.Context, seen any) {
	switch e := seen.(type) {
	case diskSeen:
		c.applyDisk(ctx, e.disk)
	case clock.Step: // of this PC
		c.hearStep(ctx, "", e)
	case slaveEnded:
		c.replaceSlave(ctx, e)
	case receiverConfined:
		c.book.manifest.Nodes[e.node].Receiver = &fact.Confinement{Confined: e.outcome.Confined, Unconfined: e.outcome.Why}
	default:
		c.applyEvent(ctx, e)
	}
}

// analysis is the execution of the stages, which goes on beside the loop.
type analysis struct {
	cancel context.CancelFunc
	done   chan error // one value
	failed bool       // results could not be written: tsrun resume executes the stages again
}

// end gives up an analysis that still goes on, and waits for it.
func (a *analysis) end() {
	if a.cancel == nil {
		return
	}
	a.cancel()
	if a.done != nil {
		<-a.done
	}
}

// applyEvent computes the state after an event, shows what changed, and performs the effects.
func (c *conductor) applyEvent(ctx context.Context, happened any) {
	c.passInstant(ctx, happened)
	c.beginRecord(happened)
	before := c.state
	var effects []any
	c.state, effects = next(c.state, happened)
	c.keepState(before)
	for _, t := range c.state.troubles[len(before.troubles):] {
		c.log.Error("trouble", "kind", string(t.kind), "about", t.node, "code", t.failure.Code, "message", t.failure.Message, "hint", t.failure.Hint)
		c.observe(event.Problem{Node: t.node, Code: t.failure.Code, Message: t.failure.Message, Hint: t.failure.Hint})
	}
	for _, p := range c.state.phase.since(before.phase) {
		c.log.Info("phase", "phase", string(p))
		c.observe(event.StateChanged{State: string(p)})
		if p == running && c.state.shot == 1 {
			c.saver.beside(c.dir.PointLatest) // a start that was refused leaves the link alone
		}
		if slices.Contains(savedAt, p) {
			c.save()
		}
	}
	c.showAway(before)
	c.endWatch()
	c.perform(ctx, effects)
}

// savedAt are the phases at whose beginning the manifest is written, so that
// a master that is killed leaves one that says how far it came. None is between
// arming and the instant: a flush to disk may take as long as the lead.
var savedAt = []phase{arming, draining, transferring}

func (c *conductor) save() {
	c.book.counted()
	c.saver.save(c.book.manifest.Clone())
}

// unsaved reports that a manifest could not be written.
func (c *conductor) unsaved(err error) {
	c.log.Error("manifest not written", "error", err)
	c.observe(event.Warning{Message: fmt.Sprintf("manifest not written: %v", err), Hint: "it is tried again at the end"})
}

func (c *conductor) perform(ctx context.Context, effects []any) {
	for _, effect := range effects {
		switch e := effect.(type) {
		case doOrder:
			c.publishOrder(e)
		case doDeadline:
			c.setDeadline(e.after)
		case doAnalyse:
			c.analyse(ctx)
		case doWarn:
			c.observe(event.Warning{Message: e.message, Hint: e.hint})
		}
	}
}

// publishOrder publishes an order; the answers to the slaves' reports repeat it.
func (c *conductor) publishOrder(e doOrder) {
	now := time.Now()
	order := wire.Order{Kind: e.kind, Seq: e.seq, Run: c.run, Sent: now.UnixNano()}
	if e.kind == wire.Fire {
		c.instant = c.instantFrom(now, e.lead)
		order.Instant = c.instant.UnixNano()
		c.book.instant(order.Instant, c.instant.Sub(now))
		c.lookAtOwnClock(false)
		fired := event.Fired{InstantNs: order.Instant, Method: c.recipe.Trigger.Method}
		if c.recipe.Acquire.Shots() > 1 {
			fired.Shot, fired.Of = c.state.shot, c.recipe.Acquire.Shots()
		}
		c.observe(fired)
	}
	c.shareEarly(&order)
	c.keep(entry{Order: &order})
	c.order = &order
	c.publish(order)
}

// analyse executes the stages in a goroutine: the loop still answers slaves and
// Ctrl-C. Until they are done, the manifest belongs to them.
func (c *conductor) analyse(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	c.confirmFiles()
	c.enterCuts()
	c.save() // what is proven stays so, whatever becomes of the stages
	c.analysis = analysis{cancel: cancel, done: done}
	syncer, lives := c.syncer, c.lives
	go func() {
		if syncer != nil {
			syncer.finish(ctx)
		}
		for _, l := range lives {
			l.End()
		}
		err := stage.Analyse(ctx, c.dir.Path(), c.recipe, c.book.manifest, c.options.Observer)
		if err == nil {
			c.giveResults(ctx)
		}
		c.settleJournal(ctx)
		done <- err
	}()
}

// startSyncer starts to follow the clocks when the first segment is here: by then
// the nodes have reported when they started.
func (c *conductor) startSyncer() {
	if aligns, err := followed(c.recipe); c.unsynced || err == nil && len(aligns) == 0 {
		return
	}
	c.book.counted()
	var err error
	if c.syncer, err = newSyncer(c.dir, c.recipe, c.book.manifest, c.options.Observer, c.lives); err != nil {
		c.unsynced = true
		c.log.Warn("clocks are not followed while the run goes on", "error", err)
		c.observe(event.Warning{Message: fmt.Sprintf("clocks are not followed while the run goes on: %v", err), Hint: "the align stages find them at the end"})
		return
	}
	c.book.manifest.Sync = stage.SyncFile
}

// queueEvent gives an event to the loop, unless the loop is over.
func (c *conductor) queueEvent(event any) {
	select {
	case c.inputs <- event:
	case <-c.stopped:
	}
}

func (c *conductor) observe(e event.Event) { c.options.Observer.Observe(e) }
