package idq

import (
	"context"
	"math"
	"sync"
	"time"

	"tsrun/sdk/instrument"
	"tsrun/sim/sky"
)

const (
	tick    = 50 * time.Millisecond   // how often a recording looks at the sky
	stride  = int64(100_000_000_000)  // ps: looked at in one go, which bounds memory
	endless = uint64(math.MaxUint64)  // records, for REC:NUMber INF
	horizon = int64(1)<<62 - int64(1) // ps: a recording ends before its clock gets there
)

// recording is one acquisition, from REC:PLAY or REC:TRIG:ARM to the end of
// its last record or REC:STOP:
//
//	armed ── edge ──▶ record 0 ── dead time ──▶ record 1 … ──▶ over
//
// Its goroutine owns the lanes. It takes no lock of the device, so the device
// may wait for it with its own held.
type recording struct {
	device     *device
	clock      sky.Clock
	width      int64  // ps of a record
	period     int64  // ps from record to record
	records    uint64 // how many; or endless
	resolution int64  // ps
	edge       edgeSource
	delay      int64 // ps from the edge to the first record

	stopping context.Context // ends by halt
	stop     context.CancelFunc
	arming   context.Context // ends by disarm, and with stopping
	unarm    context.CancelFunc
	settled  chan struct{} // closed when it is known whether it begins
	over     chan struct{} // closed when everything was handed to the hub

	mu     sync.Mutex // guards what follows, which others may read
	begun  bool
	edgeAt sky.Instant // when its trigger comes, once begun
	start  sky.Instant // true instant of the first record, once begun
	stopAt sky.Instant // set before stopping ends
	giveUp sky.Instant // set before arming ends by disarm: edges from then on do not count
	known  Truth
	raws   []*raw
	plots  []*histogram
	held   []part // fault: waits for the next record
}

// edgeSource says what starts a recording.
type edgeSource struct {
	name  string      // for Truth: "command", "generator", "start line", "input"
	at    sky.Instant // command: the instant it begins at
	armed sky.Instant // the others: edges before it do not count
	line  *startLine  // generator and start line: where they come
	wire  wire        // input: what they are; nil: nothing
}

// raw is a RAW block during a recording.
type raw struct {
	*lane
	*ledger
	links   wiring
	on      bool     // RAWn:SEND was ON when a record ended
	values  []uint64 // of the running record, not yet handed over
	indices []uint64
	gone    *undelivered
}

// run records until the last record, halt, or the end of ctx.
func (r *recording) run(ctx context.Context) {
	begun := r.wait(ctx)
	close(r.settled)
	if begun {
		r.open()
		r.play(ctx)
	}
	close(r.over)
	if begun && r.device.config.Acquired != nil {
		r.device.config.Acquired(r.truth())
	}
	if begun && ctx.Err() == nil {
		r.device.recordAgain()
	}
}

// halt stops the recording at an instant, once, and waits until it is over.
func (r *recording) halt(at sky.Instant) {
	r.mu.Lock()
	if r.stopping.Err() == nil {
		r.stopAt = at
		r.stop()
	}
	r.mu.Unlock()
	<-r.over
}

// disarm gives up waiting at an instant; what was triggered before goes on.
func (r *recording) disarm(at sky.Instant) {
	r.mu.Lock()
	if r.begun {
		late := !at.Before(r.edgeAt)
		r.mu.Unlock()
		if !late {
			r.halt(at)
		}
		return
	}
	r.giveUp = at
	r.unarm()
	r.mu.Unlock()
	<-r.settled
	r.mu.Lock()
	begun := r.begun
	r.mu.Unlock()
	if !begun {
		<-r.over
	}
}

// wait waits for the edge and reports whether it came.
func (r *recording) wait(ctx context.Context) bool {
	edge, start := r.edge.at, r.edge.at
	if r.edge.name != byCommand {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(r.arming, cancel)()
		var came bool
		if edge, came = r.edge.wait(ctx, r.device); !came {
			return false
		}
		start = edge.Add(r.delay)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.giveUp != (sky.Instant{}) && !edge.Before(r.giveUp) {
		return false
	}
	r.edgeAt, r.start, r.begun = edge, start, true
	r.known.began(start)
	return true
}

// wait waits for the edge and reports whether it came before ctx ended.
func (e edgeSource) wait(ctx context.Context, d *device) (edge sky.Instant, came bool) {
	if e.line != nil {
		edge, err := e.line.wait(ctx, e.armed, e.name == byStartLine)
		return edge, err == nil
	}
	events := signal(silence{})
	if e.wire != nil {
		events = e.wire.open(d.scene(e.armed, sky.Clock{}), 0)
	}
	for !came && instrument.Pause(ctx, tick) {
		events.Until(sky.Now().Sub(e.armed), func(at int64) {
			if !came && at >= 0 {
				edge, came = e.armed.Add(at), true
			}
		})
	}
	return edge, came
}

// open looks at the sky from the start instant on.
func (r *recording) open() {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.device.scene(r.start, r.clock)
	s.period, s.records = r.period, r.records
	for _, w := range r.raws {
		w.lane = newLane(w.links, r.resolution, s)
	}
	for _, p := range r.plots {
		p.lane = newLane(p.links, r.resolution, s)
	}
}

// play goes through the records.
func (r *recording) play(ctx context.Context) {
	for k := uint64(0); k < r.records; k++ {
		if k > uint64(horizon/r.period) {
			break
		}
		begin := int64(k) * r.period
		if r.device.faults.stuck.strikes(k) {
			r.stick(ctx, k, begin)
			break
		}
		if whole := r.record(ctx, k, begin); !whole {
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release()
}

// record goes through record k and reports whether it was not stopped.
func (r *recording) record(ctx context.Context, k uint64, begin int64) (whole bool) {
	end := begin + r.width
	for looked := begin; ; {
		now, stopped := r.now(ctx)
		if stopped && now < begin {
			r.note(func(t *Truth) { t.Stopped = true })
			return false
		}
		limit := min(now, end)
		for looked < limit && ctx.Err() == nil {
			looked = min(limit, looked+stride)
			r.look(k, begin, looked)
		}
		if now >= end || stopped {
			r.finish(k, begin)
			r.note(func(t *Truth) { t.Records++; t.Stopped = stopped && now < end })
			return now >= end
		}
		r.sleep(ctx, end)
	}
}

// now returns how far the controller's clock is, and whether the recording was
// stopped there.
func (r *recording) now(ctx context.Context) (ps int64, stopped bool) {
	at := sky.Now()
	select {
	case <-r.stopping.Done():
		r.mu.Lock()
		at, stopped = r.stopAt, true
		r.mu.Unlock()
	case <-ctx.Done():
		stopped = true
	default:
	}
	return r.clock.Elapsed(at.Sub(r.start)), stopped
}

// sleep waits until the clock shows end, at most one tick.
func (r *recording) sleep(ctx context.Context, end int64) {
	timer := time.NewTimer(max(r.start.Add(r.clock.Inverse(end)).Wait(tick), time.Microsecond))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-r.stopping.Done():
	case <-ctx.Done():
	}
}

// look takes in what the record that began at begin holds before limit.
func (r *recording) look(k uint64, begin, limit int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.raws {
		if !r.device.send[w.Channel].Load() {
			continue // looked at later, if it is switched on within the record
		}
		w.collect(begin, limit, w.add)
		if len(w.values) >= r.device.config.Buffer && !r.device.faults.strikesData(k) {
			r.hand(w, k, begin, false)
		}
	}
	for _, p := range r.plots {
		p.look(begin, limit)
	}
}

func (w *raw) add(value, index uint64) {
	w.values = append(w.values, value)
	if w.ref != nil {
		w.indices = append(w.indices, index)
	}
}

// stick is the fault of a record that never ends.
func (r *recording) stick(ctx context.Context, k uint64, begin int64) {
	select {
	case <-r.stopping.Done():
	case <-ctx.Done():
	}
	now, _ := r.now(ctx)
	for looked := begin; looked < min(now, begin+r.width); {
		looked = min(now, begin+r.width, looked+stride)
		r.look(k, begin, looked)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.raws {
		w.lose(len(w.values))
	}
	r.known.Stopped = true
}

func (r *recording) note(f func(t *Truth)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.known)
}

// stage returns what REC:STAGe? says.
func (r *recording) stage() string {
	select {
	case <-r.over:
		return idle
	default:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch now := sky.Now(); {
	case r.edge.name == byCommand:
		return playing
	case !r.begun || now.Before(r.edgeAt): // an edge to come is known beforehand, but not to the device
		return armed
	case now.Before(r.start):
		return waiting
	}
	return playing
}

// startOr returns the true start, or another instant when there is none yet.
func (r *recording) startOr(other sky.Instant) sky.Instant {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.begun {
		return r.start
	}
	return other
}

// truth returns what is known so far.
func (r *recording) truth() Truth {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.known
	t.Channels = []ChannelTruth{}
	for _, w := range r.raws {
		if w.on {
			w.InDeadTime, w.BeforeStart = w.dead, w.early
			w.Undelivered = w.gone.Load()
			t.Channels = append(t.Channels, w.truth())
		}
	}
	return t
}
