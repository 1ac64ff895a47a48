package transfer

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"slices"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/tag"
	"tsrun/sdk/zmtp"
)

// transmission is the state of Run.
type transmission struct {
	SenderOptions
	open   []*outgoing
	failed []error // of the first files that could not be sent
	more   int     // files beyond those

	conn    *zmtp.Conn
	lost    chan bool // closed when the peer of conn has gone
	release func() bool
	dialed  time.Time
	refusal error  // why the last connection could not be made, or broke
	session uint64 // counts connections

	number uint64 // of the newest chunk, over all connections
	taken  uint64 // newest chunk the receiver has dealt with
	moved  time.Time
	buf    []byte
	head   [headSize]byte
}

// outgoing is one file on its way out.
type outgoing struct {
	file      File
	source    *os.File
	todo      []Range
	sent      uint64 // number of its newest chunk; 0: none yet
	session   uint64 // in which that went
	left      int64  // bytes that were missing when todo was last set
	unchanged int    // times in a row that sending made them no fewer
}

// askAboutFiles asks about every file with nothing left to send, and forgets those that
// are over.
func (t *transmission) askAboutFiles(ctx context.Context) error {
	t.dropIfClosed()
	still := t.open[:0]
	for _, o := range t.open {
		over := false
		if len(o.todo) == 0 {
			asked := time.Now()
			a, err := t.Ask(ctx, o.file)
			if err != nil {
				return fmt.Errorf("ask about %s: %w", o.file.Name, err)
			}
			t.moved = t.moved.Add(time.Since(asked)) // waiting for the master's disk is no standstill
			over = t.applyAnswer(o, a)
		}
		if !over {
			still = append(still, o)
			continue
		}
		t.moved = time.Now()
		if o.source != nil {
			o.source.Close()
		}
	}
	clear(t.open[len(still):])
	t.open = still
	return nil
}

// applyAnswer sets what of a file is to be sent by the master's answer, and reports
// whether the file is over.
func (t *transmission) applyAnswer(o *outgoing, a Answer) (over bool) {
	switch {
	case a.Verified:
		t.Arrived(o.file)
		return true
	case a.Refused != "":
		return t.giveUpFile(o, fmt.Errorf("the master refused it: %s", a.Refused))
	case len(a.Missing) > maxRanges:
		return t.giveUpFile(o, fmt.Errorf("the master misses %d ranges, at most %d can be right", len(a.Missing), maxRanges))
	}
	left := int64(0)
	for _, r := range a.Missing {
		if err := r.check(o.file.Size); err != nil {
			return t.giveUpFile(o, fmt.Errorf("the master misses what is not there: %w", err))
		}
		left += r.Length
	}
	if a.Taken > t.taken || left == 0 {
		t.taken, t.moved = max(t.taken, a.Taken), time.Now()
	}
	t.number = max(t.number, a.Taken) // another Sender of the session came before
	// What is missing may still be on its way, unless the newest chunk was
	// dealt with or its connection is no more.
	if left > 0 && (o.sent <= a.Taken || o.session != t.session || t.conn == nil) {
		o.todo = a.Missing
		if o.unchanged++; o.sent == 0 || left < o.left {
			o.unchanged = 0
		}
		o.left = left
		if o.unchanged > maxUnchanged {
			return t.giveUpFile(o, fmt.Errorf("sent %d times, and %d bytes still do not arrive undamaged", maxUnchanged, left))
		}
	}
	return false
}

// giveUpFile records why a file cannot be sent, and reports that it is over.
func (t *transmission) giveUpFile(o *outgoing, err error) bool {
	err = fmt.Errorf("send %s: %w", o.file.Name, err)
	t.Log.Error("file not sent", "file", o.file.Name, "error", err)
	if o.todo = nil; len(t.failed) < maxTold {
		t.failed = append(t.failed, err)
	} else {
		t.more++
	}
	return true
}

// joinFailures returns what kept files from being sent, in one line; nil for nothing.
func (t *transmission) joinFailures(last ...error) (err error) {
	all := slices.Clone(t.failed)
	if t.more > 0 {
		all = append(all, fmt.Errorf("%d more files could not be sent", t.more))
	}
	for _, next := range append(all, last...) {
		if err == nil {
			err = next
		} else {
			err = fmt.Errorf("%w; %w", err, next)
		}
	}
	return err
}

// sendChunks sends what is to do of every file, and reports whether that was any.
func (t *transmission) sendChunks(ctx context.Context) (sent bool) {
	still := t.open[:0]
	for _, o := range t.open {
		over := false
		for len(o.todo) > 0 && !over && ctx.Err() == nil && t.connect(ctx) {
			if err := t.sendChunk(o); err != nil {
				over = t.giveUpFile(o, err)
			}
			sent = true
		}
		if !over {
			still = append(still, o)
		} else if o.source != nil {
			o.source.Close()
		}
	}
	clear(t.open[len(still):])
	t.open = still
	return sent
}

// sendChunk sends the next chunk of o. Only the file can make it fail: a broken
// connection leaves the chunk to do.
func (t *transmission) sendChunk(o *outgoing) error {
	if err := o.openSource(); err != nil {
		return err
	}
	next := &o.todo[0]
	b := t.buf[:min(int64(len(t.buf)), next.Length)]
	if n, err := o.source.ReadAt(b, next.Offset); n < len(b) {
		return fmt.Errorf("read %d bytes at %d: %w", len(b), next.Offset, err)
	}
	t.number++
	h := head{token: t.Token, file: o.file.ID, number: t.number, offset: uint64(next.Offset), length: uint32(len(b)), sum: crc32.Checksum(b, tag.Castagnoli)}
	h.encode(t.head[:])
	if err := t.conn.Send(sendTimeout, t.head[:], b); err != nil {
		t.dropConnection(err)
		return nil
	}
	o.sent, o.session, t.moved = t.number, t.session, time.Now()
	next.Offset += int64(len(b))
	if next.Length -= int64(len(b)); next.Length == 0 {
		o.todo = o.todo[1:]
	}
	return nil
}

// openSource opens the file, and checks that it has the size it was queued with.
func (o *outgoing) openSource() error {
	if o.source != nil {
		return nil
	}
	f, err := os.Open(o.file.Path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && info.Size() != o.file.Size {
		err = fmt.Errorf("%s has %d bytes now and had %d when it was closed", o.file.Path, info.Size(), o.file.Size)
	}
	if err != nil {
		f.Close()
		return err
	}
	o.source = f
	return nil
}

// connect makes a connection unless there is one, and reports whether there is.
func (t *transmission) connect(ctx context.Context) bool {
	t.dropIfClosed()
	if t.conn != nil {
		return true
	}
	if time.Since(t.dialed) < redialPause {
		return false
	}
	t.dialed = time.Now()
	conn, err := zmtp.Dial(ctx, "tcp", t.Addr, zmq4.Push)
	if err != nil {
		t.refusal = err
		return false
	}
	t.session++
	t.conn, t.lost = conn, make(chan bool)
	t.release = context.AfterFunc(ctx, func() { conn.Close() }) // ends a Send
	go watch(conn, t.lost)
	return true
}

// watch returns when the peer leaves: a PULL socket sends nothing before.
func watch(conn *zmtp.Conn, lost chan<- bool) {
	defer close(lost)
	var none [1]byte
	for {
		if _, _, err := conn.ReadFrame(none[:]); err != nil {
			return
		}
	}
}

// dropIfClosed drops the connection if its peer has left.
func (t *transmission) dropIfClosed() {
	if t.conn == nil {
		return
	}
	select {
	case <-t.lost:
		t.dropConnection(errors.New("the master closed the connection"))
	default:
	}
}

// dropConnection gives a connection up. The chunk that was under way may have been too
// long for a slow cable: the next ones are shorter.
func (t *transmission) dropConnection(why error) {
	t.buf = t.buf[:max(len(t.buf)/2, min(len(t.buf), leastChunk))]
	t.Log.Warn("file connection lost; what is missing is sent again", "master", t.Addr, "error", why)
	t.refusal = why
	t.hangUp()
}

func (t *transmission) hangUp() {
	t.release()
	t.conn.Close()
	<-t.lost
	t.conn = nil
}

func (t *transmission) close() {
	if t.conn != nil {
		t.hangUp()
	}
	for _, o := range t.open {
		if o.source != nil {
			o.source.Close()
		}
	}
}

// standstill returns the error that nothing moves, with the reason where it is known.
func (t *transmission) standstill(since time.Duration) error {
	err := fmt.Errorf("send %s: nothing has moved for %v", t.open[0].file.Name, since.Round(time.Second))
	if t.conn == nil && t.refusal != nil {
		err = fmt.Errorf("%w: %w; check that a firewall lets %s through", err, t.refusal, t.Addr)
	}
	return err
}
