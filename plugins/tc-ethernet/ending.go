package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// drainLimit is how long a stream may stand still after its acquisition was
// closed before it is cut.
const drainLimit = 5 * time.Second

// finish stops the device, closes the streams and accounts for every tag that
// is missing. What was received has been sent by then.
func (w *watch) finish(orders context.Context) error {
	err := w.tc.do(orders, "REC:STOP") // has no effect when it has stopped by itself
	for _, l := range w.lanes {
		w.closeChannel(orders, l)
		err = errors.Join(err, w.tc.do(orders, fmt.Sprintf("RAW%d:SEND OFF", l.channel.Input)))
		w.countErrors(orders, l)
		w.markEnd(l)
	}
	if len(w.failures) > 0 {
		return errors.Join(w.failures...) // these say why; err only says that it got worse
	}
	return err
}

// closeChannel closes the acquisition of a channel and waits for the end of its stream.
func (w *watch) closeChannel(orders context.Context, l *watched) {
	if w.downSince.IsZero() {
		last, known, err := w.dlt.stop(orders, l.id)
		switch {
		case err != nil:
			w.log.Warn("close the acquisition of a channel", "channel", l.channel.Name, "error", err)
		case known:
			l.last, l.heard = last, true
			l.records.Store(int64(last.records))
			w.noteErrors(l, last)
		}
		if err == nil {
			l.drain()
		}
	}
	l.conn.Close()
	<-l.done
	if l.err != nil && l.failed == nil {
		l.failed = l.err
		w.failures = append(w.failures, l.err)
	}
	received := l.lane.received.Load()
	switch {
	case l.heard && l.last.tags > received:
		n := l.last.tags - received
		w.out.Lost(l.channel.Stream, n, fmt.Sprintf("the DataLinkTarget service counts %d tags more than it handed over", n))
	case l.failed != nil:
		w.out.Lost(l.channel.Stream, 1, fmt.Sprintf("the channel was given up, at least one tag is missing: %v", l.failed))
	}
}

// drain waits until the lane has ended, or has stood still for drainLimit.
func (l *watched) drain() {
	timer := time.NewTimer(drainLimit)
	defer timer.Stop()
	for before := l.lane.received.Load(); ; {
		select {
		case <-l.done:
			return
		case <-timer.C:
		}
		now := l.lane.received.Load()
		if now == before && !l.busy.Load() {
			return
		}
		before = now
		timer.Reset(drainLimit)
	}
}

// markEnd says how long the acquisition of a channel was.
func (w *watch) markEnd(l *watched) {
	if l.failed != nil {
		return // it ended where its last tag or mark is
	}
	until := w.duration
	if w.plan.records == 0 || l.last.records < w.plan.records {
		// Cut short: the last record is as long as from its begin to the stop.
		stopped := uint64(max(w.stoppedAt.Sub(w.began.returned), 0)) * 1000
		until = min(stopped, uint64(l.last.records)*w.period)
	}
	if err := w.out.Mark(l.channel.Stream, until); err != nil {
		w.failures = append(w.failures, err)
	}
}

// disarm stops the device and closes what Arm has opened. It does nothing when
// nothing is armed.
func (d *driver) disarm(ctx context.Context) error {
	if d.armed == nil {
		return nil
	}
	err := d.tc.do(ctx, "REC:STOP")
	for _, l := range d.armed.lanes {
		l.conn.Close()
		_, _, stopping := d.dlt.stop(ctx, l.id)
		err = errors.Join(err, stopping, d.tc.do(ctx, fmt.Sprintf("RAW%d:SEND OFF", l.channel.Input)))
	}
	d.armed = nil
	return err
}
