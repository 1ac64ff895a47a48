package slave

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk/tag"
)

// errAborted ends a session whose run was thrown away.
var errAborted = errors.New("the master aborted the run")

type sessionAddresses struct{ status, trigger, files string }

// session is this node's part in one run.
type session struct {
	options Options
	recipe  *recipe.Recipe
	node    *recipe.Node
	id      tag.RunID // of the run
	token   [16]byte
	dir     string   // where this run's files wait
	runtime string   // private directory of sockets
	alive   *os.File // locked while that is in use
	address sessionAddresses

	log      *slog.Logger
	reporter *reporter
	orders   *inbox
	sender   *transfer.Sender
	fired    bool       // there may be tags
	user     user       // of this PC
	queued   []string   // paths of files given to the sender; owned by its bench until the recording is over
	sent     chan error // one value, when the sender ends: nil when the master has proven every file
}

func newSession(o Options, w *wire.Welcome, r *recipe.Recipe, a sessionAddresses) (*session, error) {
	s := &session{options: o, recipe: r, node: &r.Nodes[0], address: a, orders: newInbox(), sent: make(chan error, 1)}
	id, ok := wire.ParseID(w.Run)
	if !ok {
		return nil, fmt.Errorf("read the master's welcome: run %.40q is not 32 hexadecimal digits", w.Run)
	}
	if s.token, ok = wire.ParseID(w.Token); !ok {
		return nil, errors.New("read the master's welcome: the token is not 32 hexadecimal digits")
	}
	s.id = id
	s.reporter = newReporter(o.Node, w.Token, wire.NewStatusClient(a.status), s.orders)
	s.log = slog.New(fanout{o.Log.Handler(), slog.NewJSONHandler(s.reporter, nil)})
	s.dir = filepath.Join(o.Data, w.Run+"-"+o.Node)
	s.user.stop = make(chan struct{})
	return s, nil
}

// take goes through the phases. Whatever ends it, plugins are stopped and every
// goroutine it started has ended when it returns.
func (s *session) take(ctx context.Context) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	background, stopBackground := context.WithCancel(context.WithoutCancel(ctx))
	group, background := errgroup.WithContext(background)
	defer func() {
		stopBackground()
		group.Wait()
		s.reporter.last()
	}()
	group.Go(func() error { return s.reporter.Run(background) })
	group.Go(func() error { return s.listen(background) })
	group.Go(func() error { s.heedUser(background, cancel); return nil })

	defer s.removeRuntime()
	b, err := s.prepare(ctx, group, background)
	defer b.close()
	if err == nil {
		err = s.record(ctx, cancel, b)
	}
	err = s.depart(ctx, err)
	if s.user.hasAsked() { // kept and sent; and then this process ends too
		return errors.Join(err, errStopped)
	}
	return err
}

// listen passes the orders the master publishes to the inbox.
func (s *session) listen(ctx context.Context) error {
	sub, err := wire.DialTrigger(ctx, s.address.trigger)
	if err != nil {
		return nil // the reporter's answers repeat every order; without a beacon the master will not arm
	}
	defer sub.Close()
	for {
		select {
		case <-ctx.Done():
			return nil
		case r, open := <-sub.Orders():
			if !open {
				return nil
			}
			if r.Order.Run != s.id {
				continue
			}
			s.reporter.heardBeacon()
			s.orders.put(r.Order)
		}
	}
}

// prepare makes room for files, opens every controller and starts every sink
// of this node.
func (s *session) prepare(ctx context.Context, group *errgroup.Group, background context.Context) (*bench, error) {
	if err := s.makeDirectories(); err != nil {
		return nil, err
	}
	s.startSender(group, background)
	if err := s.reachFiles(ctx); err != nil {
		return nil, err
	}
	b, err := newBench(s)
	if err != nil {
		return b, err
	}
	if err := b.check(ctx); err != nil {
		return b, err
	}
	return b, b.open(ctx)
}

// record carries out the master's orders from ready to the last closed file.
func (s *session) record(ctx context.Context, cancel context.CancelCauseFunc, b *bench) error {
	s.reporter.enter(wire.Ready)
	order, err := s.await(ctx, wire.Arm)
	if err != nil {
		return err
	}
	if err := b.arm(ctx); err != nil {
		return err
	}
	s.reporter.setProgress(b.progress)
	s.reporter.carriedOut(order.Seq)
	s.reporter.enter(wire.Armed)
	s.observe(event.Armed{Node: s.node.Name})

	if order, err = s.await(ctx, wire.Fire); err != nil {
		return err
	}
	if err := b.fire(ctx, time.Unix(0, order.Instant)); err != nil {
		return err
	}
	s.fired = true
	s.user.enter(underWay)
	s.reporter.carriedOut(order.Seq)
	s.reporter.enter(wire.Running)
	s.observe(event.Fired{InstantNs: order.Instant, Method: s.recipe.Trigger.Method})

	watched := make(chan struct{})
	go func() { // ends with the recording: await returns when b.recorded is closed
		defer close(watched)
		s.stopWhenTold(ctx, cancel, b)
	}()
	err = b.showProgress(func() error { return b.finish(ctx) })
	b.markRecorded()
	<-watched
	s.user.enter(over)
	return err
}

// stopWhenTold ends the recording early when the master says so.
func (s *session) stopWhenTold(ctx context.Context, cancel context.CancelCauseFunc, b *bench) {
	stopped := s.user.stop
	var stopping sync.WaitGroup // a device may take its time, and an Abort is heard meanwhile
	defer stopping.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-b.recorded:
			return
		case <-stopped:
			stopped = nil
			s.reporter.tell(wire.News{Stopped: true})
			stopping.Go(func() { b.stop(ctx) })
		case <-s.orders.shut:
			cancel(s.orders.closedBy())
			return
		case o := <-s.orders.ch:
			switch o.Kind {
			case wire.Stop:
				stopping.Go(func() {
					b.stop(ctx)
					s.reporter.carriedOut(o.Seq)
				})
			case wire.Abort, wire.Release:
				s.reporter.carriedOut(o.Seq)
				cancel(errAborted)
				return
			}
		}
	}
}

// await waits for one kind of order; any order that ends the run ends the wait.
func (s *session) await(ctx context.Context, kind wire.OrderKind) (wire.Order, error) {
	for {
		select {
		case <-ctx.Done():
			return wire.Order{}, context.Cause(ctx)
		case <-s.orders.shut:
			return wire.Order{}, s.orders.closedBy()
		case <-time.After(heartbeat):
			if s.reporter.silence() > masterPatience {
				return wire.Order{}, fmt.Errorf("the master has not answered for %v", masterPatience)
			}
		case o := <-s.orders.ch:
			switch o.Kind {
			case kind:
				if kind == wire.Release {
					s.reporter.carriedOut(o.Seq)
				}
				return o, nil
			case wire.Abort, wire.Release, wire.Stop:
				s.reporter.carriedOut(o.Seq)
				return wire.Order{}, errAborted
			}
		}
	}
}

// depart sends what is left, waits until the master has everything and is
// released. A session that failed says so and still sends its whole files.
func (s *session) depart(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); errors.Is(cause, errStopped) {
		err = cause
	}
	if errors.Is(err, errStopped) || err != nil && !errors.Is(err, errAborted) && ctx.Err() == nil {
		s.log.Error("node failed", "error", err)
		s.reporter.fail(err)
	}
	if !s.fired { // nothing to send, nothing to keep
		defer os.RemoveAll(s.dir)
	}
	if errors.Is(err, errAborted) || ctx.Err() != nil {
		return err
	}
	if !s.fired { // the master gives the run up
		_, released := s.await(ctx, wire.Release)
		return errors.Join(err, released)
	}
	s.reporter.enter(wire.Transferring)
	s.observe(event.StateChanged{State: string(wire.Transferring)})
	s.sender.Finish()
	unsent, gone := s.awaitSent(ctx)
	if gone != nil {
		if errors.Is(gone, errStopped) {
			s.reporter.fail(gone) // or the master would only find the node silent
		}
		return errors.Join(err, gone)
	}
	if unsent != nil {
		s.reporter.fail(unsent)
	}
	s.reporter.enter(wire.Done)
	if _, released := s.await(ctx, wire.Release); released != nil {
		return errors.Join(err, released)
	}
	if unsent == nil {
		s.removeSource()
	}
	s.observe(event.StateChanged{State: string(wire.Done)})
	return errors.Join(err, unsent)
}

func (s *session) observe(e event.Event) {
	if s.options.Observer != nil {
		s.options.Observer.Observe(e)
	}
}
