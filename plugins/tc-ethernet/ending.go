package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sim/idq"
)

// drainLimit is how long a stream may stand still after its acquisition was
// closed before it is cut.
const drainLimit = 5 * time.Second

// undoLimit bounds making the device safe: the host gives a plugin 3 s.
const undoLimit = 2500 * time.Millisecond

// finish stops the device, closes the streams and accounts for every tag that
// is missing. What was received has been sent by then.
func (w *watch) finish(orders context.Context) error {
	err := w.stopRecords(orders) // has no effect when they have stopped by themselves
	for _, l := range w.lanes {
		w.closeChannel(orders, l)
		if err == nil { // else it would be asked in vain, and each time waited for
			err = w.tc.do(orders, fmt.Sprintf("RAW%d:SEND OFF", l.channel.Input))
			w.countErrors(orders, l)
		}
		w.markEnd(l)
	}
	if err == nil {
		w.restore(orders)
	}
	if len(w.failures) > 0 {
		return combine(w.failures) // these say why; err only says that it got worse
	}
	return err
}

// combine makes one failure of many, with the code and the hint of the first
// that has them, which is the nearest to the cause.
func combine(failures []error) error {
	var all *sdk.Failure
	texts := make([]string, len(failures))
	for i, err := range failures {
		texts[i] = err.Error()
		var f *sdk.Failure
		if errors.As(err, &f) {
			texts[i] = f.Message
			if all == nil {
				all = &sdk.Failure{Code: f.Code, Hint: f.Hint, Field: f.Field}
			}
		}
	}
	if all == nil {
		return errors.Join(failures...)
	}
	all.Message = strings.Join(texts, "; ")
	return all
}

// closeChannel closes the acquisition of a channel and waits for the end of its stream.
func (w *watch) closeChannel(orders context.Context, l *watched) {
	if w.downSince.IsZero() {
		last, known, err := w.closeOwn(orders, l.id)
		switch {
		case err != nil:
			w.log.Warn("close the acquisition of a channel", "channel", l.channel.Name, "error", err)
			w.downSince = time.Now() // the others need not wait for it too
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

// giveUp disarms within undoLimit, even when ctx has ended.
func (d *driver) giveUp(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoLimit)
	defer cancel()
	return d.disarm(ctx)
}

// disarm stops the device and closes what Arm has opened. It does nothing when
// nothing is armed.
func (d *driver) disarm(ctx context.Context) error {
	if d.armed == nil {
		return nil
	}
	var err error
	if d.recording {
		err = d.stopRecords(ctx)
	}
	for _, l := range d.armed.lanes {
		l.conn.Close()
		_, _, stopping := d.closeOwn(ctx, l.id)
		err = errors.Join(err, stopping, d.tc.do(ctx, fmt.Sprintf("RAW%d:SEND OFF", l.channel.Input)))
	}
	if err == nil {
		d.restore(ctx)
	}
	d.armed = nil
	return err
}

// stopRecords stops the records.
func (d *driver) stopRecords(ctx context.Context) error {
	err := d.tc.do(ctx, "REC:STOP")
	if err == nil {
		d.recording = false
	}
	return err
}

// closeOwn closes an acquisition of the service that this driver has opened.
func (d *driver) closeOwn(ctx context.Context, id string) (last status, known bool, err error) {
	last, known, err = d.dlt.stop(ctx, id)
	var refusal *serviceError
	if err == nil || errors.As(err, &refusal) {
		delete(d.opened, id)
	}
	return last, known, err
}

// maxReported bounds the texts of the service kept for one channel.
const (
	maxReported  = 16
	maxErrorText = 200 // bytes of each
)

// report is what the manifest keeps of an acquisition.
type report struct {
	Address    string          `json:"address"`   // host:port of the Time Controller
	DLT        string          `json:"dlt"`       // host:port of the DataLinkTarget service
	Records    int             `json:"records"`   // asked for; 0: until stopped
	Period     quantity.Time   `json:"period"`    // of the records
	Width      quantity.Time   `json:"width"`     // of a record
	DeadTime   quantity.Time   `json:"dead_time"` // between two records, in which no tag is taken
	Stopped    bool            `json:"stopped"`   // before its end
	Stage      string          `json:"stage"`     // of the records, in the end
	Channels   []channelReport `json:"channels"`
	Settings   []settingReport `json:"settings"`             // of the device, in the order in which they were made
	Simulation *idq.Truth      `json:"simulation,omitempty"` // SIMULATED: what really happened
}

// settingReport is one setting of the device: as it was found, as it was while
// tags were recorded, and as it was left, each in the device's own words. What a
// device does not tell is empty.
type settingReport struct {
	Setting string `json:"setting"`
	Before  string `json:"before"`
	During  string `json:"during"`
	After   string `json:"after"`
}

// channelReport is the part about one channel.
type channelReport struct {
	Channel       string   `json:"channel"`
	Input         int      `json:"input"`
	Records       int      `json:"records"`        // counted by the service
	Counted       uint64   `json:"counted"`        // tags counted by the service
	Tags          uint64   `json:"tags"`           // sent on
	Messages      uint64   `json:"messages"`       // of the service
	Ambiguous     uint64   `json:"ambiguous"`      // messages of which no record could be told
	AmbiguousTags uint64   `json:"ambiguous_tags"` // in them; lost
	OutOfOrder    uint64   `json:"out_of_order"`   // tags that came after later ones of another record; lost
	Beyond        uint64   `json:"beyond"`         // tags far behind the end of their record; lost
	Sorted        uint64   `json:"sorted"`         // messages whose tags had to be put in order
	ClockJumps    uint64   `json:"clock_jumps"`    // times at which records began to end at other times: the controller's clock jumped
	DeviceErrors  int64    `json:"device_errors"`  // RAWn:ERRORS?
	ServiceErrors []string `json:"service_errors,omitempty"`
}

func (w *watch) makeReport() *report {
	r := &report{
		Address:  w.endpoint.scpi,
		DLT:      w.endpoint.dlt,
		Records:  w.plan.records,
		Period:   quantity.Time(w.period),
		Width:    quantity.Time(w.width),
		DeadTime: quantity.Time(w.period - w.width),
		Stopped:  !w.stoppedAt.IsZero(),
		Stage:    w.stage,
	}
	for _, a := range w.applied {
		r.Settings = append(r.Settings, settingReport{Setting: a.header, Before: a.before, During: a.during, After: a.after})
	}
	for _, l := range w.lanes {
		c := l.report
		c.Records, c.Counted = l.last.records, l.last.tags
		c.DeviceErrors, c.ServiceErrors = l.rawErrors, l.serviceErrors
		r.Channels = append(r.Channels, c)
	}
	return r
}
