package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
)

const (
	// inactivityLimit is how long the service may say nothing new after a
	// record is over before a channel is given up.
	inactivityLimit = 10 * time.Second

	// After a stop the record that was cut short may or may not be counted. A
	// channel is done when it has counted as many as any other and then been
	// quiet, or been quiet for longer with nothing counted.
	quietAfterRecord = time.Second
	quietAfterStop   = 2 * time.Second

	stageEvery  = 500 * time.Millisecond
	errorsEvery = time.Second

	shortestPoll = 20 * time.Millisecond
	longestPoll  = time.Second
)

// starter fires at the instant: sdk.Start.
type starter interface {
	Fire(ctx context.Context, fire func() error) error
}

// Acquire starts the records and sends their tags until they are over.
func (d *driver) Acquire(ctx context.Context, start *sdk.Start, out *sdk.Stream) error {
	return d.acquire(ctx, start, out)
}

func (d *driver) acquire(ctx context.Context, start starter, out output) error {
	if d.armed == nil {
		return errors.New("acquire: the controller is not armed")
	}
	orders := context.WithoutCancel(ctx) // for what has to be done after the end of ctx as well
	began, err := d.fire(ctx, start)
	if err != nil {
		undo := d.giveUp(ctx)
		if ctx.Err() != nil && errors.Is(err, context.Cause(ctx)) {
			return undo // stopped before it began
		}
		return errors.Join(err, undo)
	}
	w := d.watch(began, out)
	for _, l := range w.lanes {
		go func() {
			l.run(orders)
			w.wake <- struct{}{}
		}()
	}
	w.run(ctx, orders)
	err = w.finish(orders)
	d.report = w.makeReport()
	d.armed = nil
	return err
}

// watch looks after an acquisition while it goes on: it asks the service and
// the device how far they are, tells the lanes, and decides when it is over.
type watch struct {
	*driver
	*armed
	began span
	out   output
	lanes []*watched
	wake  chan struct{} // a lane has ended

	stage     string
	stageAt   time.Time // when the stage was asked for last
	errorsAt  time.Time // when the device's errors were asked for last
	stoppedAt time.Time // when a stop was ordered; zero: not yet
	doneAt    time.Time // when the last channel was done
	downSince time.Time // since when the service does not answer; zero: it does
	failures  []error
}

// watched is a lane and what has been heard about it.
type watched struct {
	*lane
	last          status
	heard         bool      // last is a status
	asked         time.Time // when for the last time
	changed       time.Time
	received      uint64 // at that time
	rawErrors     int64
	dltErrors     int
	serviceErrors []string
	over          bool
	failed        error
}

func (d *driver) watch(began span, out output) *watch {
	w := &watch{driver: d, armed: d.armed, began: began, out: out,
		wake: make(chan struct{}, len(d.armed.lanes)), stage: playing, stageAt: began.returned, errorsAt: began.returned}
	for _, l := range d.armed.lanes {
		l.begin(w.plan, began, out)
		l.ask = func(ctx context.Context) (status, error) { return d.dlt.status(ctx, l.id) }
		w.lanes = append(w.lanes, &watched{lane: l, changed: began.returned})
	}
	return w
}

// run returns when every channel is done or given up.
func (w *watch) run(ctx, orders context.Context) {
	tick := time.NewTicker(w.poll())
	defer tick.Stop()
	stop := ctx.Done()
	for !w.over() {
		select {
		case <-stop:
			stop = nil
			w.stop(orders)
		case <-w.wake:
		case <-tick.C:
		}
		w.look(orders)
	}
}

// poll is how often the service is asked: several times a record, because
// between two records there must be a status.
func (w *watch) poll() time.Duration {
	return min(max(picoseconds(w.period)/5, shortestPoll), longestPoll)
}

// stop ends the records; the running one is cut short.
func (w *watch) stop(orders context.Context) {
	w.stoppedAt = time.Now()
	for _, l := range w.lanes {
		l.stopped.Store(int64(w.stoppedAt.Sub(w.began.called)))
	}
	if err := w.tc.do(orders, "REC:STOP"); err != nil {
		w.failures = append(w.failures, err)
	}
	w.stageAt = time.Time{}
}

// look asks everyone and judges each channel.
func (w *watch) look(orders context.Context) {
	for _, l := range w.lanes {
		if !l.over {
			w.askService(orders, l)
		}
	}
	w.askDevice(orders)
	for _, l := range w.lanes {
		if !l.over {
			w.judge(l)
		}
	}
}

// askService asks the service after one channel and tells its lane.
func (w *watch) askService(orders context.Context, l *watched) {
	if !w.downSince.IsZero() && l != w.firstActive() {
		return // one channel is enough to find out that it is back
	}
	asked, waiting := time.Now(), l.waiting.Load()
	st, err := w.dlt.status(orders, l.id)
	if err != nil {
		if w.downSince.IsZero() {
			w.downSince = asked
			w.log.Warn("the DataLinkTarget service tells nothing", "error", err)
		}
		if time.Since(w.downSince) > w.patience {
			for _, each := range w.lanes {
				w.fail(each, "service-lost", fmt.Sprintf("the DataLinkTarget service has told nothing for %v: %v", w.patience, err),
					"restart it; what it had not handed over is lost")
			}
		}
		return
	}
	answered := time.Now()
	w.downSince = time.Time{}
	calm := w.isCalm(l, asked) && waiting && l.waiting.Load()
	if received := l.lane.received.Load(); !l.heard || st.records != l.last.records || st.tags != l.last.tags || received != l.received || l.busy.Load() {
		l.changed, l.received = time.Now(), received
	}
	l.last, l.heard = st, true
	l.records.Store(int64(st.records))
	w.noteErrors(l, st)
	l.tell(news{
		counted: counted{
			snapshot: snapshot{st.records, st.tags},
			asked:    asked.Sub(w.began.called),
			calm:     calm,
			answered: answered.Sub(w.began.called),
		},
		until: w.complete(st.records),
	})
}

// isCalm tells whether a status that has just come was asked for in time and
// answered at once, so that nothing held this PC up since the one before it.
func (w *watch) isCalm(l *watched, asked time.Time) bool {
	between := asked.Sub(l.asked)
	l.asked = asked
	period := picoseconds(w.period)
	return w.stoppedAt.IsZero() && between < period/2 && time.Since(asked) < period/10
}

func (w *watch) firstActive() *watched {
	for _, l := range w.lanes {
		if !l.over {
			return l
		}
	}
	return nil
}

// complete returns up to where, in ps, records counted by the service are
// known. The last one may have been cut short by a stop.
func (w *watch) complete(records int) uint64 {
	if !w.stoppedAt.IsZero() {
		records--
	}
	if w.plan.records > 0 && records >= w.plan.records {
		return w.duration
	}
	return uint64(max(records, 0)) * w.period
}

// noteErrors makes losses of the errors that the service has found since the
// last status.
func (w *watch) noteErrors(l *watched, st status) {
	if n := len(st.errors) - l.dltErrors; n > 0 {
		w.out.Lost(l.channel.Stream, uint64(n), fmt.Sprintf("the DataLinkTarget service reports %d errors, the last: %s; at least as many tags are missing",
			n, instrument.Quote(st.errors[len(st.errors)-1])))
		l.dltErrors = len(st.errors)
		l.serviceErrors = nil
		for _, text := range st.errors[:min(len(st.errors), maxReported)] {
			l.serviceErrors = append(l.serviceErrors, instrument.Clip(text, maxErrorText))
		}
	}
}

// askDevice asks now and then for the stage of the records and for the errors
// the device has counted.
func (w *watch) askDevice(orders context.Context) {
	if now := time.Now(); now.Sub(w.stageAt) >= stageEvery || w.stage == playing && w.channelsOver() {
		w.stageAt = now
		if stage, err := w.driver.stage(orders); err != nil {
			w.log.Warn("ask for the stage of the records", "error", err)
		} else {
			w.stage = stage
		}
	}
	if now := time.Now(); now.Sub(w.errorsAt) >= errorsEvery {
		w.errorsAt = now
		for _, l := range w.lanes {
			w.countErrors(orders, l)
		}
	}
}

// countErrors makes a loss of the errors that the device has counted since the
// last time.
func (w *watch) countErrors(orders context.Context, l *watched) {
	n, err := w.tc.count(orders, fmt.Sprintf("RAW%d:ERRORS?", l.channel.Input))
	if err != nil {
		w.log.Warn("ask for the errors of an input", "channel", l.channel.Name, "error", err)
		return
	}
	if n > l.rawErrors {
		w.out.Lost(l.channel.Stream, uint64(n-l.rawErrors), fmt.Sprintf("the Time Controller counts %d data-loss errors; "+
			"all inputs together can take %d tags per second", n-l.rawErrors, maxRate))
		l.rawErrors = n
	}
}

// judge decides whether a channel is done or to be given up.
func (w *watch) judge(l *watched) {
	select {
	case <-l.done:
		w.judgeEnded(l)
		return
	default:
	}
	if l.heard && w.isDone(l) {
		l.over = true
		return
	}
	limit := w.patience
	if w.stoppedAt.IsZero() && w.stage == playing {
		limit += picoseconds(w.period)
	}
	if quiet := time.Since(l.changed); quiet > limit && w.downSince.IsZero() {
		w.fail(l, "record-stuck", fmt.Sprintf("nothing has come for %v; the service counts %d records and %d tags, %d tags were handed over",
			quiet.Round(time.Second), l.last.records, l.last.tags, l.received),
			"the Time Controller may be disconnected or overloaded; if it stays so, restart it")
	}
}

// judgeEnded decides about a channel whose stream is at its end.
func (w *watch) judgeEnded(l *watched) {
	switch {
	case l.err != nil:
		l.over, l.failed = true, l.err // the core's failure, as it is
		w.failures = append(w.failures, l.err)
	case l.heard && w.isDone(l):
		l.over = true
	default:
		why := "the DataLinkTarget service ended the stream before the acquisition was over"
		if l.ended != nil {
			why = l.ended.Error()
		}
		w.fail(l, "service-lost", fmt.Sprintf("%s, after %d records and %d tags", why, l.last.records, l.lane.received.Load()),
			"restart the DataLinkTarget service; its log tells why it stopped")
	}
}

// isDone tells whether all records of a channel were counted and all its tags
// have come.
func (w *watch) isDone(l *watched) bool {
	if l.lane.received.Load() < l.last.tags {
		return false
	}
	if w.plan.records > 0 && l.last.records >= w.plan.records {
		return true
	}
	if w.stoppedAt.IsZero() || w.stage == playing {
		return false
	}
	most := 0
	for _, other := range w.lanes {
		if other.failed == nil {
			most = max(most, other.last.records)
		}
	}
	quiet := l.last.inactivity
	return quiet > quietAfterStop || quiet > quietAfterRecord && l.last.records > 0 && l.last.records == most
}

// fail gives a channel up. What is missing is counted when its stream is closed.
func (w *watch) fail(l *watched, code, message, hint string) {
	if l.over {
		return
	}
	l.over = true
	l.failed = &sdk.Failure{Code: code, Message: fmt.Sprintf("channel %s: %s", l.channel.Name, message), Hint: hint}
	w.failures = append(w.failures, l.failed)
}

func (w *watch) channelsOver() bool { return w.firstActive() == nil }

// over tells whether there is nothing left to wait for: the channels are done
// and the device has stopped, or does not stop though it should.
func (w *watch) over() bool {
	if !w.channelsOver() {
		return false
	}
	if w.doneAt.IsZero() {
		w.doneAt = time.Now()
	}
	if w.stage != playing || len(w.failures) > 0 {
		return true
	}
	if time.Since(w.doneAt) > w.patience {
		w.log.Warn("the records did not stop by themselves")
		return true
	}
	return false
}
