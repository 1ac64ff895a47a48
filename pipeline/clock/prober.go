package clock

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"sync"
	"time"
	"tsrun/pipeline/datagram"
	"tsrun/sdk/instrument"
)

const (
	// probeEvery is the mean time between two probes.
	probeEvery = 50 * time.Millisecond
	// maxOpen bounds how many probes may wait for their answers: those of the
	// last few seconds.
	maxOpen = 128
	// windowSize and windowTime bound what a reading is worked out from.
	windowSize = 256
	windowTime = 20 * time.Second
	// stepLimit is by how much a clock must change at once to have been set; services
	// that turn a clock change it by less between two probes.
	stepLimit = time.Millisecond
)

// Prober asks another PC for its time, all the time, and keeps the last answers.
type Prober struct {
	socket  *socket
	session uint64
	key     datagram.Key

	record *Recorder // nil: nobody keeps the probes

	mu    sync.Mutex
	seq   uint64
	open  map[uint64]*probed
	shift time.Duration // the PC's clock minus the time since began, at the last probe
	exchanges
}

// exchanges are the last probes that were answered.
type exchanges struct {
	window []Exchange
	kernel []bool // of window: all four times are the kernels'
	steps  int
}

// probed is a probe under way, or one whose T3 has not come yet.
type probed struct {
	Exchange
	sent, came bool // T1 and T4, T2 are the kernels'
	answered   bool
}

var began = time.Now() // what the PC's clock is compared with to see that it was set

// Dial opens the socket of a prober. master is the name or address of the PC that answers.
func Dial(master string, a datagram.Access) (*Prober, error) {
	if err := a.Check(); err != nil {
		return nil, fmt.Errorf("ask %s for its time: %w", master, err)
	}
	where := net.JoinHostPort(master, strconv.Itoa(a.Port))
	at, err := net.ResolveUDPAddr("udp", where)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its time: %w", where, err)
	}
	conn, err := net.DialUDP("udp", nil, at)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its time: %w", where, err)
	}
	return &Prober{socket: newSocket(conn), session: a.Session, key: datagram.Key(a.Key), open: map[uint64]*probed{}}, nil
}

// Run asks until ctx ends, and closes the socket.
func (p *Prober) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.socket.conn.Close() })
	defer stop()
	defer p.socket.conn.Close()
	var hearing sync.WaitGroup
	hearing.Go(func() { p.hear(ctx) })
	defer hearing.Wait()
	for {
		p.probe()
		// An even pace could keep step with something else on the PC or the network.
		if !instrument.Pause(ctx, probeEvery/2+rand.N(probeEvery)) {
			return nil
		}
	}
}

// probe sends one probe.
func (p *Prober) probe() {
	p.mu.Lock()
	p.watchClock()
	p.seq++
	seq := p.seq
	q := &probed{}
	p.open[seq] = q
	delete(p.open, seq-maxOpen)
	p.mu.Unlock()
	var b [packetSize]byte
	packet{kind: kindProbe, session: p.session, seq: seq}.encode(b[:], &p.key)
	left, err := p.socket.send(b[:], nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil { // no way to the master now; the next probe tries again
		delete(p.open, seq)
		return
	}
	q.T1, q.sent = left.ns, left.kernel
}

// shiftAt is by how much the PC's clock is ahead of the time since began: it changes
// when the clock is set.
func shiftAt(t time.Time) time.Duration { return time.Duration(t.UnixNano() - int64(t.Sub(began))) }

// watchClock forgets what was measured before this PC's clock was set.
func (p *Prober) watchClock() {
	shift := shiftAt(time.Now())
	if turned := shift - p.shift; p.seq > 0 && (turned > stepLimit || turned < -stepLimit) {
		p.restart()
	}
	p.shift = shift
}

// restart forgets all probes: a clock was set.
func (p *Prober) restart() {
	p.exchanges.restart()
	clear(p.open)
}

func (x *exchanges) restart() {
	x.steps++
	x.window, x.kernel = nil, nil
}

// hear takes answers until the socket is closed.
func (p *Prober) hear(ctx context.Context) {
	for {
		b, at, _, err := p.socket.receive()
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return
		case err != nil: // nobody listens there now
			if !instrument.Pause(ctx, time.Millisecond) {
				return
			}
			continue
		}
		if answer, err := decode(b, kindAnswer, &p.key); err == nil && answer.session == p.session {
			p.take(answer, at)
		}
	}
}

// take takes an answer: T2 and T4 of its probe, and T3 of the one before.
func (p *Prober) take(answer packet, at stamp) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if q := p.open[answer.seq]; q != nil && !q.answered {
		q.T2, q.T4 = answer.t2, at.ns
		q.came = at.kernel && answer.flags&flagKernelT2 != 0
		q.answered = true
	}
	q := p.open[answer.before]
	if q == nil || !q.answered || q.T1 == 0 {
		return
	}
	delete(p.open, answer.before)
	q.T3 = answer.t3
	if q.possible() {
		kernel := q.sent && q.came && answer.flags&flagKernelT3 != 0
		p.record.exchange(q.Exchange, kernel)
		if p.keep(q.Exchange, kernel) {
			clear(p.open)
		}
	}
}

// keep adds an exchange to the window. set: the other PC's clock was, and what came
// before is forgotten.
func (x *exchanges) keep(e Exchange, kernel bool) (set bool) {
	if n := len(x.window); n > 0 {
		last := x.window[n-1]
		// Both bound the same θ; where they exclude each other, the other PC's clock was set.
		apart := max((e.T1-e.T2)-(last.T4-last.T3), (last.T1-last.T2)-(e.T4-e.T3))
		if apart > int64(stepLimit)+int64(maxDrift*float64(e.T4-last.T1)) {
			x.restart()
			set = true
		}
	}
	x.window, x.kernel = append(x.window, e), append(x.kernel, kernel)
	drop := max(0, len(x.window)-windowSize)
	for drop < len(x.window)-LeastExchanges && x.window[drop].T1 < e.T1-int64(windowTime) {
		drop++
	}
	x.window, x.kernel = x.window[drop:], x.kernel[drop:]
	return set
}

// Reading works out how far this PC's clock is ahead of the other's now. ok: enough
// answers have come.
func (p *Prober) Reading() (r Reading, ok bool) {
	p.mu.Lock()
	x := exchanges{slices.Clone(p.window), slices.Clone(p.kernel), p.steps}
	p.mu.Unlock()
	return x.reading(time.Now())
}

// reading works out a reading. Where the kernels stamped enough of the exchanges, the
// others are left out: a kernel begins to stamp some packets after it was asked to.
func (x *exchanges) reading(now time.Time) (r Reading, ok bool) {
	window := x.window
	var stamped []Exchange
	for i, e := range window {
		if x.kernel[i] {
			stamped = append(stamped, e)
		}
	}
	kernel := len(stamped) >= LeastExchanges
	if kernel {
		window = stamped
	}
	if r, ok = read(window, now.UnixNano()); ok {
		r.KernelStamps, r.Steps = kernel, x.steps
	}
	return r, ok
}
