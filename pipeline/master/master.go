// Package master runs one recipe: it lets the nodes in, decides the instant,
// watches how they stand, receives their files, has the stages executed and
// writes down what happened.
//
//	Run ── preflight ─ listen ─ spawn local slaves ─ loop ─ release ─ seal
//	                                                  │
//	  status requests ──▶ serve ──┐                   │  next(state, event) → (state, effects)
//	  silence, deadlines ─────────┼──▶ events ──▶ conductor ──▶ orders, deadlines, analysis
//	  files verified ─────────────┤                   │
//	  Ctrl-C, local slaves' ends ─┘                   └──▶ book: what the manifest will say
//
// The conductor is one goroutine; nothing else changes the state of a run.
package master

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/event"
	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/watch"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/zmtp"
)

// Options say what to run and where.
type Options struct {
	Recipe     *recipe.Resolved
	Runs       string    // directory of run directories
	PluginDirs []string  // where this PC's plugins are looked for
	Lock       host.Lock // the programs that plugins may be, on every PC; nil: any
	Program    string    // tsrun itself, started once for each local node
	Listen     string    // where Resume listens; "": where the run did
	Version    string
	Observer   event.Observer
	Local      *run.LocalPart // the recipe is the part of one node alone; nil: it is not
	At         time.Time      // when a local part is to begin; zero: at once
	// Interrupts ends the run early, keeping what was recorded; a second one
	// gives the run up.
	Interrupts <-chan struct{}
	// Record, unless it is nil, has the bench watched until something comes from it: the
	// controllers are at work, and nothing of what they see is kept. Then the recipe is
	// recorded, without a device being opened again.
	Record <-chan struct{}
	// Leave has what is watched end when something comes from Record, as if the user had
	// ended it: what is recorded then is begun anew by who has called.
	Leave bool
	// WatchClock tells of each time that this PC's clock is set; nil: clock.Watch does.
	WatchClock func(ctx context.Context, tell func(clock.Step))
	// Report writes what a person reads of a run into its directory, before that is
	// sealed; nil: nothing is written.
	Report func(m *run.Manifest, dir string) error
	// Secure fills in what is below, where the recipe wants TLS.
	Secure   func(*Options) error
	Security *zmtp.Security // what this master shows and checks
	Keys     string         // directory of keys, for the slaves that it starts
	Revoked  []byte         // list of revoked certificates, for all slaves
}

// secure fetches keys where the recipe wants TLS.
func (o *Options) secure() error {
	switch {
	case !o.Recipe.Recipe.Network.Secured():
		return nil
	case o.Secure == nil:
		return errors.New("the recipe wants TLS, and there are no keys")
	}
	return o.Secure(o)
}

// Outcome is how a run ended.
type Outcome struct {
	Manifest  *run.Manifest
	Directory string
	Finished  bool // it had ended before, and nothing was done
	Watched   bool // and nothing else: there is no directory, and nothing was kept
	Left      bool // it was watched until it was to be recorded, see Options.Leave
}

// Refusal is the end of a run in which a node could not take part, so that
// nothing was recorded. The observer has been told.
type Refusal struct{ cause sdk.Failure }

func (r *Refusal) Error() string { return r.cause.Error() }
func (r *Refusal) Unwrap() error { return &r.cause }

// Run executes the recipe. An error means that nothing was recorded: it was
// refused before anything started, or by a node, and says what to do. What was
// recorded, in whatever condition, is an Outcome.
//
// The error of a run that a node refused is a [Refusal].
func Run(ctx context.Context, o Options) (*Outcome, error) {
	if err := o.secure(); err != nil {
		return nil, err
	}
	_, made := os.Stat(o.Runs)
	if err := preflight(o); err != nil {
		return nil, err
	}
	c := newConductor(o)
	c.madeRuns = errors.Is(made, fs.ErrNotExist)
	if err := c.listen(ctx); err != nil {
		return nil, err
	}
	defer c.stopListening()
	if err := c.awaitBegin(ctx); err != nil {
		return nil, err
	}
	if err := c.openDirectory(ctx); err != nil {
		return nil, err
	}
	defer c.dir.Close()
	defer c.runLog.wait()
	if o.Record != nil {
		var err error
		if c.watcher, err = watch.New(c.recipe, o.Observer); err != nil {
			return nil, err
		}
	}
	return c.conduct(ctx)
}

// conduct is the run between its directory being made and being sealed.
func (c *conductor) conduct(ctx context.Context) (*Outcome, error) {
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	group, background := errgroup.WithContext(background)
	group.Go(func() error { return c.receiver.Run(background) })
	group.Go(func() error { return c.beacons(background) })
	group.Go(func() error { return c.hearHellos(background) })
	group.Go(func() error { return c.watchDisk(background) })
	if c.past == nil {
		group.Go(func() error {
			c.watchClock()(background, func(s clock.Step) { c.queueEvent(s) })
			return nil
		})
	}
	if c.clock != nil {
		group.Go(func() error { return c.clock.Run(background) })
	}
	if c.watcher != nil {
		group.Go(func() error { c.watcher.Run(background); return nil })
	}
	if c.services != nil {
		group.Go(func() error { return c.services.Run(background) })
	}

	c.tellInsecure()
	err := c.spawnSlaves(background)
	if c.past != nil && c.past.started() {
		files := c.book.unproven()
		group.Go(func() error { c.proveKept(background, files); return nil })
	}
	if err == nil {
		c.loop(ctx)
	}
	c.dismissSlaves()
	c.confirmFiles()
	if c.syncer != nil {
		c.syncer.end()
		for _, f := range c.syncer.stages {
			stage.NoticeJumps(c.book.manifest, f.Stage, f.Target, f.allJumps())
		}
	}
	c.closeLives()
	stop()
	err = errors.Join(err, group.Wait())
	c.receiver.Settle() // no more chunks come, and nothing more is proven behind what the manifest says
	for _, f := range c.book.unproven() {
		c.markProven(f)
	}
	return c.finish(err)
}

// finish seals the directory and tells the observer.
func (c *conductor) finish(err error) (*Outcome, error) {
	c.saver.wait()
	c.runLog.wait()
	if c.state.phase != done {
		c.enterCuts()
	}
	if c.onlyWatched() {
		return c.discard(err)
	}
	c.lookAtOwnClock(true)
	c.book.close(c.state, c.steps, time.Now())
	err = errors.Join(err, c.seal())
	if err != nil {
		return nil, err
	}
	c.runOnEnd()
	c.observe(event.Finished{Directory: c.dir.Path(), Manifest: c.book.manifest})
	if c.state.phase == failed {
		return nil, &Refusal{cause: c.state.troubles[len(c.state.troubles)-1].failure}
	}
	return &Outcome{Manifest: c.book.manifest, Directory: c.dir.Path()}, nil
}

// seal writes the last manifest. The journal stays as long as something may still come.
func (c *conductor) seal() error {
	if c.journal != nil {
		if err := c.journal.Close(); err != nil {
			c.log.Warn("journal not written", "error", err)
		}
	}
	run.Conclude(c.book.manifest)
	if c.options.Report != nil {
		if err := c.options.Report(c.book.manifest, c.dir.Path()); err != nil {
			c.log.Warn("no report of the run", "error", err)
		}
	}
	if err := c.dir.Seal(c.book.manifest); err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	if !c.lacking() {
		if err := c.dir.RemoveJournal(); err != nil {
			c.log.Warn("journal not removed", "error", err)
		}
	}
	return nil
}

// lacking reports whether nodes may still hold something of this run, or its stages could
// not write what they found.
func (c *conductor) lacking() bool {
	if c.state.fire == 0 {
		return false
	}
	if c.analysis.failed {
		return true
	}
	for _, n := range c.state.nodes {
		if n.gone || n.phase != wire.Done {
			return true
		}
	}
	return slices.ContainsFunc(c.book.manifest.Segments, func(s run.Segment) bool { return !s.Verified })
}

// listen opens the ports that slaves dial.
func (c *conductor) listen(ctx context.Context) (err error) {
	defer func() {
		if err != nil {
			c.stopListening()
		}
	}()
	n := c.recipe.Network
	guard := wire.Guard{Refused: c.turnAway, Admits: c.admits}
	if n.Secured() {
		guard.Security = c.options.Security
	}
	// First: it knows the tokens, which the others ask for.
	if c.receiver, err = transfer.NewReceiver(address(n.Master, n.Ports.Files), guard, c.log); err != nil {
		return listenFailure("files", err)
	}
	if c.trigger, err = wire.ListenTrigger(ctx, address(n.Master, n.Ports.Trigger), guard); err != nil {
		return listenFailure("trigger", err)
	}
	c.listenFast()
	c.receiver.KeepFree(int64(c.recipe.Faults.DiskBelow) / 2) // recording ends at the whole, files still come
	if c.past == nil && c.comparesClocks() {
		if c.clock, err = clock.Listen(address(n.Master, n.Ports.Clock)); err != nil {
			return listenFailure("clock", err)
		}
	}
	if c.clock != nil || c.keepsOwnClock() {
		s := c.recipe.Clock
		c.services = clock.NewServices(clock.Options{Source: s.Source, Domain: s.Domain, Socket: s.Socket})
	}
	c.readmit()
	if err = c.listenLive(); err != nil {
		return err
	}
	// Last: whoever asks there may be sent to the others.
	if c.status, err = wire.ListenStatus(ctx, address(n.Master, n.Ports.Status), guard, c.serve); err != nil {
		return listenFailure("status", err)
	}
	return nil
}

func (c *conductor) stopListening() {
	c.over() // first: the status port waits for the answers under way
	if c.status != nil {
		c.status.Close()
	}
	if c.trigger != nil {
		c.trigger.Close()
	}
	if c.receiver != nil {
		c.receiver.Close()
	}
	if c.clock != nil {
		c.clock.Close()
	}
	if c.fast != nil {
		c.fast.Close()
	}
	c.closeLives()
}

// openDirectory makes the run directory and keeps the recipe in it.
func (c *conductor) openDirectory(ctx context.Context) (err error) {
	now := time.Now()
	if c.dir, err = run.Create(c.options.Runs, c.recipe.Name, now); err != nil {
		return err
	}
	if c.journal, err = c.dir.NewJournal(); err != nil {
		return err
	}
	for _, name := range c.names() { // now: the disk makes nobody wait later
		if _, err := c.dir.Raw(name); err != nil {
			return err
		}
	}
	c.keep(entry{Ports: &ports{portOf(c.trigger.Addr()), portOf(c.status.Addr()), portOf(c.receiver.Addr())}})
	c.runLog.writeTo(c.dir.Log(), c.unlogged)
	c.saver.dir, c.saver.failed = c.dir, c.unsaved
	if err := c.saver.plan(c.recipe); err != nil {
		return err
	}
	c.book = newBook(c, now)
	c.book.manifest.Local = c.options.Local
	var sources []run.RecipeSource
	for _, f := range c.options.Recipe.Files {
		sources = append(sources, run.RecipeSource{Path: f.Path, Bytes: f.Bytes})
	}
	record, err := c.dir.KeepRecipe(sources, c.recipe, c.options.Recipe.YAML(), c.options.Recipe.Overrides)
	if err != nil {
		return err
	}
	record.Git = run.Provenance(ctx, c.options.Recipe.Files[0].Path)
	c.book.manifest.Recipe = record
	if err := c.dir.WriteManifest(c.book.manifest); err != nil {
		return err
	}
	c.observe(event.Begun{Run: c.run.String(), Name: c.recipe.Name, Directory: c.dir.Path(), Recipe: c.options.Recipe.Files[0].Path, Commit: record.Git.Commit})
	c.log.Info("run begins", "run", c.run.String(), "recipe", c.recipe.Name, "version", c.options.Version)
	return nil
}
