package slave

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/datagram"
	"tsrun/pipeline/event"
	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk/realtime"
	"tsrun/sdk/tag"
)

// errAborted ends a session whose run was thrown away.
var errAborted = errors.New("the master aborted the run")

type sessionAddresses struct {
	status, trigger, files string
	datagrams              string // the PC without a port, for which a name with several addresses does not do
}

// session is this node's part in one run.
type session struct {
	options Options
	recipe  *recipe.Recipe
	node    *recipe.Node
	id      tag.RunID // of the run
	token   [16]byte
	welcome *wire.Welcome
	dir     string        // where this run's files wait
	ledger  *ledger       // in it
	runtime *host.Runtime // for sockets; nil until it is made
	address sessionAddresses

	log       *slog.Logger
	reporter  *reporter
	orders    *inbox
	access    *datagram.Access // to the master's time; nil: clocks are not compared
	clock     clockwork
	fast      atomic.Pointer[wire.FastSubscriber] // nil: no order comes as a datagram; read by what hears the others meanwhile
	polls     *realtime.Grant                     // whether the kernel polls for them; nil: not asked
	sender    *transfer.Sender
	fired     bool            // there may be tags
	watched   bool            // its controllers were at work before, and nothing was kept of that
	instant   time.Time       // of the start; of several shots that of the last
	first     int64           // instant of the first shot, by the master's clock, Unix time in ns
	shared    *int64          // by what all controllers that were timed are fired earlier alike, in ns; nil: each by its own
	user      user            // of this PC
	ignored   sync.Once       // a message of the trigger port was ignored, and that was told
	files     []transfer.File // given to the sender; owned by its equipment until the recording is over
	offeredTo string          // the master that is offered them now
	kept      kept            // the same
	sent      chan error      // one value, when the sender ends: nil when the master has proven every file
}

func newSession(o Options, w *wire.Welcome, r *recipe.Recipe, a sessionAddresses) (*session, error) {
	s := &session{options: o, recipe: r, node: &r.Nodes[0], welcome: w, address: a, access: w.Clock, orders: newInbox(), sent: make(chan error, 1)}
	id, ok := wire.ParseID(w.Run)
	if !ok {
		return nil, fmt.Errorf("read the master's welcome: run %.40q is not 32 hexadecimal digits", w.Run)
	}
	if s.token, ok = wire.ParseID(w.Token); !ok {
		return nil, errors.New("read the master's welcome: the token is not 32 hexadecimal digits")
	}
	s.id = id
	s.reporter = newReporter(o.Node, w.Token, wire.NewStatusClient(a.status, o.Security), s.orders)
	s.reporter.master = plain(w.Master)
	if o.Orphaned != nil {
		s.reporter.orphaned = o.Orphaned
	}
	if o.watchdog != nil {
		s.reporter.alive = o.watchdog.alive
	}
	s.log = slog.New(fanout{o.Log.Handler(), slog.NewJSONHandler(s.reporter, nil)})
	s.dir = filepath.Join(o.Data, w.Run+"-"+o.Node)
	s.user.stop = make(chan struct{})
	return s, nil
}

// run goes through the phases of a node. When it returns, its plugins are stopped
// and every goroutine that it started has ended.
func (s *session) run(ctx context.Context) error {
	var eq *equipment
	return s.within(ctx, func(ctx context.Context, cancel context.CancelCauseFunc, group *errgroup.Group, background context.Context) (err error) {
		if eq, err = s.prepare(ctx, group, background); err == nil {
			eq, err = s.record(ctx, cancel, eq)
		}
		if err == nil && eq.broken() {
			eq, err = s.recordAgain(ctx, cancel, eq)
		}
		return err
	}, func() { eq.close(); _ = s.endClockRecord(); s.runtime.Remove() }) // of a run that did not record: it goes
}

// within does the work of a session beside what reports of it and hears orders, and
// then delivers; end is called before that ends.
func (s *session) within(ctx context.Context, work func(context.Context, context.CancelCauseFunc, *errgroup.Group, context.Context) error, end func()) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	group, background := errgroup.WithContext(background)
	defer func() {
		stopBackground()
		group.Wait()
		s.reporter.reportLast()
		if closed := s.ledger.close(); closed != nil {
			err = errors.Join(err, closed)
		}
		s.discardUnused(err)
		if err = s.withPlace(err); s.user.hasAsked() && !errors.Is(err, errStopped) {
			err = errors.Join(err, errStopped) // kept and sent, or over anyway; and then this process ends too
		}
	}()
	group.Go(func() error { return s.reporter.Run(background) })
	group.Go(func() error { return s.receiveOrders(background) })
	group.Go(func() error { s.applyInterrupts(background, cancel); return nil })
	group.Go(func() error { s.watchMaster(background); return nil })

	defer end()
	err = work(ctx, cancel, group, background)
	return s.deliver(ctx, err, func() { s.startSender(group, background) })
}

// prepare makes room for files, opens every controller and starts every sink
// of this node.
func (s *session) prepare(ctx context.Context, group *errgroup.Group, background context.Context) (*equipment, error) {
	if err := s.makeDirectories(); err != nil {
		return nil, err
	}
	s.startSender(group, background)
	s.watchClock(group, background)
	s.startFast(group, background)
	if err := s.startClock(group, background); err != nil {
		return nil, err
	}
	if err := s.reachFiles(ctx); err != nil {
		return nil, err
	}
	eq, err := newEquipment(s)
	if err != nil {
		return eq, err
	}
	if err := eq.checkConfigs(ctx); err != nil {
		return eq, err
	}
	if err := eq.open(ctx); err != nil {
		return eq, err
	}
	return eq, s.awaitClock(ctx)
}

// follow waits for the end of a recording that has begun.
func (s *session) follow(ctx context.Context, cancel context.CancelCauseFunc, eq *equipment) error {
	var watching sync.WaitGroup // each ends with the recording, which markRecorded says
	watching.Go(func() { s.stopWhenTold(ctx, cancel, eq) })
	watching.Go(func() { s.watchDisk(eq) })
	watching.Go(func() { eq.watchSinks() })
	err := eq.showProgress(func() error { return eq.finish(ctx) })
	eq.markRecorded()
	watching.Wait()
	if h := s.heard(eq); h != nil && s.recipe.Trigger.OnReceipt() {
		s.reporter.queueNews(wire.News{Heard: h}) // with the copies that came meanwhile
	}
	if err == nil && !s.lastShot(eq) {
		s.ledger.keep(entry{Counts: eq.progress()})
		return nil
	}
	s.user.setStage(over)
	if !s.calledOff(err) {
		s.sendClockRecord(eq)
	}
	s.keepEnd(ctx, eq)
	return err
}

// keepEnd keeps how far the channels came. A recording that ends because this process
// does is not called over.
func (s *session) keepEnd(ctx context.Context, eq *equipment) {
	s.ledger.keep(entry{Counts: eq.progress()})
	if eq.broken() {
		return // it may go on
	}
	if cause := context.Cause(ctx); cause == nil || errors.Is(cause, errAborted) || errors.Is(cause, errStopped) {
		s.ledger.keep(entry{Recorded: true})
	}
}

func (s *session) observe(e event.Event) {
	if s.options.Observer != nil {
		s.options.Observer.Observe(e)
	}
}
