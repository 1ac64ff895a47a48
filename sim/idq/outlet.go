package idq

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

const (
	sendTimeout = 30 * time.Second // of one message to a peer that does not read
	endTimeout  = 200 * time.Millisecond
)

// payload returns tags as they travel: 8 bytes each, little-endian, or 16 with
// the index behind each.
func payload(values, indices []uint64, withIndex bool) []byte {
	if !withIndex {
		return tag.AsBytes(values)
	}
	pairs := make([]uint64, 0, 2*len(values))
	for i, v := range values {
		pairs = append(pairs, v, at(indices, i))
	}
	return tag.AsBytes(pairs)
}

// at returns an index; without a reference there are none and all are 0.
func at(indices []uint64, i int) uint64 {
	if i < len(indices) {
		return indices[i]
	}
	return 0
}

// streamOutlet is a ZeroMQ PAIR socket that listens: one message per part, to
// one peer at a time. Everything waits until there is a peer; a message that a
// peer did not take whole goes to the next one.
type streamOutlet struct {
	listener *zmtp.Listener
	log      *slog.Logger

	conn    *zmtp.Conn // nil: no peer
	gone    chan struct{}
	detach  func() bool
	readers sync.WaitGroup
}

func (o *streamOutlet) write(ctx context.Context, values, indices []uint64, withIndex bool) error {
	message := payload(values, indices, withIndex)
	for {
		conn, err := o.peer(ctx, ctx)
		if err != nil {
			return fmt.Errorf("deliver %d timestamps: nobody took them: %w", len(values), err)
		}
		if err = conn.Send(sendTimeout, message); err == nil {
			return nil
		}
		o.log.Warn("stream peer lost", "peer", conn.RemoteAddr().String(), "error", err)
		o.drop()
	}
}

// peer returns the peer, and waits for one when there is none as long as ctx
// lasts. The peer is left when life ends.
func (o *streamOutlet) peer(ctx, life context.Context) (*zmtp.Conn, error) {
	if o.conn != nil {
		select {
		case <-o.gone:
			o.drop()
		default:
			return o.conn, nil
		}
	}
	conn, err := o.listener.Accept(ctx)
	if err != nil {
		return nil, err
	}
	gone := make(chan struct{})
	o.conn, o.gone = conn, gone
	o.detach = context.AfterFunc(life, func() { conn.Close() })
	o.readers.Go(func() {
		defer close(gone)
		// A client has nothing to say, but its PINGs want answers, and what it
		// says unread would cut off our last message when we close.
		buf := make([]byte, maxRequest)
		for {
			if _, _, err := conn.ReadFrame(buf); err != nil {
				return
			}
		}
	})
	return conn, nil
}

func (o *streamOutlet) drop() {
	if o.conn == nil {
		return
	}
	o.detach()
	o.conn.Close()
	<-o.gone
	o.conn = nil
}

// end sends the empty message that ends a stream. A client that nothing was
// ever sent to may be connected without having been asked in.
func (o *streamOutlet) end(ctx context.Context) error {
	soon, cancel := context.WithTimeout(ctx, endTimeout)
	defer cancel()
	conn, err := o.peer(soon, ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil // no peer
	}
	if err == nil {
		err = conn.Send(sendTimeout, []byte{})
	}
	return err
}

func (o *streamOutlet) close() error {
	err := o.listener.Close()
	o.drop()
	o.readers.Wait()
	return err
}

// fileOutlet writes what start-save asked for.
type fileOutlet struct {
	file  *os.File
	w     *bufio.Writer
	ascii bool
}

func newFileOutlet(f *os.File, ascii bool) *fileOutlet {
	return &fileOutlet{file: f, w: bufio.NewWriterSize(f, 1<<20), ascii: ascii}
}

func (o *fileOutlet) write(_ context.Context, values, indices []uint64, withIndex bool) error {
	if !o.ascii {
		o.w.Write(payload(values, indices, withIndex)) // Flush returns the error
		return o.w.Flush()
	}
	var line []byte
	for i, v := range values {
		line = strconv.AppendUint(line[:0], v, 10)
		if withIndex {
			line = strconv.AppendUint(append(line, ';'), at(indices, i), 10)
		}
		o.w.Write(append(line, '\n'))
	}
	return o.w.Flush()
}

func (o *fileOutlet) end(context.Context) error { return nil }

func (o *fileOutlet) close() error { return o.file.Close() }

// discard is the outlet of an acquisition that somebody left open long ago.
type discard struct{}

func (discard) write(context.Context, []uint64, []uint64, bool) error { return nil }
func (discard) end(context.Context) error                             { return nil }
func (discard) close() error                                          { return nil }

// part is what the device hands to the DataLinkTargetService at once: a
// record, or a piece of one.
type part struct {
	channel int
	values  []uint64
	indices []uint64 // empty: no reference, all zero
	ends    bool     // the last of its record: raises acquisitions_count
	gone    *undelivered
}

// undelivered counts tags of a recording that were handed over and never taken.
type undelivered struct{ atomic.Uint64 }

// strikesData reports whether a fault will change the tags of record k, which
// must then be handed over in one piece.
func (f faults) strikesData(k uint64) bool {
	for _, on := range []onRecord{f.stuck, f.crash, f.split, f.empty, f.repeat, f.swap} {
		if on.strikes(k) {
			return true
		}
	}
	return f.highRate || f.rawErrors > 0 && k == 0
}

// finish hands over record k, which is complete.
func (r *recording) finish(k uint64, begin int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f := r.device.faults
	if f.crash.strikes(k) {
		r.device.hub.crash()
	}
	released := r.held
	r.held = nil
	for _, w := range r.raws {
		if !r.device.send[w.Channel].Load() {
			w.rest(begin + r.period)
			w.values, w.indices = nil, nil
			continue
		}
		w.on = true
		w.rest(begin + r.width)
		r.spoil(w, k)
		r.hand(w, k, begin, true)
	}
	for _, p := range released {
		r.device.hub.deliver(p)
	}
}

// spoil applies the faults that cost tags. The number of errors the device
// counts is that of the tags it lost.
func (r *recording) spoil(w *raw, k uint64) {
	f := r.device.faults
	if f.highRate {
		fits := int(float64(r.width) * 1e-12 * fullQuarter)
		if over := len(w.values) - fits; over > 0 {
			w.lose(over)
			r.device.lost[w.Channel].Add(uint64(over))
		}
	}
	if f.empty.strikes(k) || f.crash.strikes(k) {
		w.lose(len(w.values))
	}
	if f.rawErrors > 0 && k == 0 {
		r.device.lost[w.Channel].Store(f.rawErrors)
		w.lose(int(min(f.rawErrors, uint64(len(w.values)))))
	}
}

// lose leaves out the first n tags of the running record.
func (w *raw) lose(n int) {
	w.LostToFault += uint64(n)
	w.values = w.values[n:]
	if len(w.indices) > 0 {
		w.indices = w.indices[n:]
	}
}

// hand gives the tags collected so far to the channel's open acquisition, and
// enters them into the ledger; without one they are dropped.
func (r *recording) hand(w *raw, k uint64, begin int64, ends bool) {
	p := part{channel: w.Channel, values: w.values, indices: w.indices, ends: ends, gone: w.gone}
	w.values, w.indices = make([]uint64, 0, len(p.values)), nil
	if !r.device.hub.claimed(w.Channel) {
		w.Unclaimed += uint64(len(p.values))
		return
	}
	entered := p.values
	if r.clock.Step.By < 0 && w.ref == nil { // the ledger is in the order of time
		entered = slices.Sorted(slices.Values(p.values))
	}
	w.enter(begin, entered)
	f := r.device.faults
	switch {
	case f.swap.strikes(k):
		r.held = append(r.held, p)
	case f.split.strikes(k):
		a, b := p.halves()
		r.device.hub.deliver(a)
		r.device.hub.deliver(b)
	case f.repeat.strikes(k):
		again := p
		again.ends, again.gone = false, &undelivered{}
		r.device.hub.deliver(again)
		r.device.hub.deliver(p)
	default:
		r.device.hub.deliver(p)
	}
}

// release hands over what still waits for a next record that will not come.
func (r *recording) release() {
	for _, p := range r.held {
		r.device.hub.deliver(p)
	}
	r.held = nil
}

// halves cuts a part in two; only the second ends the record.
func (p part) halves() (a, b part) {
	a, b = p, p
	n := len(p.values) / 2
	a.values, b.values = p.values[:n], p.values[n:]
	if len(p.indices) > 0 {
		a.indices, b.indices = p.indices[:n], p.indices[n:]
	}
	a.ends = false
	return a, b
}

// enter adds tags of a record that began at begin to the ledger.
func (l *ledger) enter(begin int64, values []uint64) {
	if len(values) == 0 {
		return
	}
	if l.Tags == 0 {
		l.First = uint64(begin) + values[0]
	}
	l.Tags += uint64(len(values))
	l.Last = uint64(begin) + values[len(values)-1]
	const batch = 4096
	buf := make([]byte, 0, 8*batch)
	for i, v := range values {
		buf = binary.LittleEndian.AppendUint64(buf, uint64(begin)+v)
		if len(buf) == cap(buf) || i == len(values)-1 {
			l.sum.Write(buf)
			buf = buf[:0]
		}
	}
}
