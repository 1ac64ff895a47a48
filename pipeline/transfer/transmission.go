package transfer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"
)

// transmission is the state of Run: what is to be sent of which file. Run asks
// about files, streams send chunks of them.
type transmission struct {
	SenderOptions
	nudge   func() // has Run look at the files again
	streams []*stream
	running sync.WaitGroup

	failed []error // of the first files that could not be sent
	more   int     // files beyond those

	mu      sync.Mutex
	changed *sync.Cond  // there may be chunks to send, or credit for them
	open    []*outgoing // oldest first
	chunk   int         // bytes
	moved   time.Time
	refusal error // why the last connection could not be made, or broke
	bytes   int64 // sent
	again   int64 // of those, sent before
	meter   meter
}

// outgoing is one file on its way out. While chunks of it are to do or fly it is
// the streams', and Run's otherwise.
type outgoing struct {
	file   File
	source *os.File
	todo   []Range
	flying int   // chunks that are being read or sent, or for which no credit has come
	sent   spans // bytes that were sent at least once
	failed error // the file cannot be read

	due       time.Time // when it is asked about, where nothing of it flies
	poll      time.Duration
	left      int64 // bytes that were missing when todo was last set
	tried     bool  // chunks were sent since
	unchanged int   // times in a row that sending made them no fewer
	looked    int64 // of the newest answer
	differs   int   // of the newest answer
	dense     bool  // packing makes it no shorter
}

func newTransmission(o SenderOptions, nudge func()) *transmission {
	t := &transmission{SenderOptions: o, nudge: nudge, chunk: min(o.Chunk, firstChunk), moved: time.Now(), meter: meter{auto: o.Compress}}
	t.changed = sync.NewCond(&t.mu)
	return t
}

// start starts the streams, and returns what ends them.
func (t *transmission) start(ctx context.Context) (end func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(ctx, func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.changed.Broadcast()
	})
	for range t.Streams {
		st := &stream{t: t}
		t.streams = append(t.streams, st)
		t.running.Go(func() { st.run(ctx) })
	}
	return func() {
		cancel()
		t.mu.Lock()
		t.changed.Broadcast()
		t.mu.Unlock()
		t.running.Wait()
		stop()
	}
}

// close ends the streams and closes what is open.
func (t *transmission) close(end func()) {
	end()
	for _, o := range t.open {
		o.close()
	}
	if t.bytes > 0 {
		s := t.meter.summary(t.Streams)
		t.Log.Info("files sent", "bytes", t.bytes, "again", t.again, "connections", t.Streams,
			"packed", s.Packed, "as", s.PackedTo, "link_bytes_per_s", s.LinkPerS, "packing_bytes_per_s", s.PackPerS)
	}
}

func (o *outgoing) close() {
	if o.source != nil {
		o.source.Close()
	}
}

// places returns how many files may join those under way.
func (t *transmission) places() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return maxOpen - len(t.open)
}

// enter puts files behind those under way.
func (t *transmission) enter(files []File) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) == 0 {
		t.moved = time.Now() // waiting for files is no standstill
	}
	for _, f := range files {
		t.open = append(t.open, &outgoing{file: f, poll: firstPoll})
	}
}

// idle returns the files of which nothing is to do and nothing flies, and when
// the next of them is to be asked about.
func (t *transmission) idle() (files []*outgoing) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	for _, o := range t.open {
		if o.flying == 0 && (len(o.todo) == 0 || o.failed != nil) && !now.Before(o.due) {
			files = append(files, o)
		}
	}
	return files
}

// next returns how many files are under way, and when something is to be looked at.
func (t *transmission) next() (underWay int, due time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	due = time.Now().Add(watchEvery)
	for _, o := range t.open {
		if o.flying == 0 && len(o.todo) == 0 && o.due.Before(due) {
			due = o.due
		}
	}
	return len(t.open), due
}

// askAboutFiles asks about every file with nothing left to send, and forgets those that
// are over.
func (t *transmission) askAboutFiles(ctx context.Context) error {
	for _, o := range t.idle() {
		over := o.failed != nil && t.giveUpFile(o, o.failed)
		if !over {
			asked := time.Now()
			a, err := t.Ask(ctx, o.file)
			if err != nil {
				return fmt.Errorf("ask about %s: %w", o.file.Name, err)
			}
			t.shift(time.Since(asked)) // waiting for the master's disk is no standstill
			if over, err = t.applyAnswer(ctx, o, a); err != nil {
				return err
			}
		}
		if over {
			t.forget(o)
		}
	}
	return nil
}

// shift lets time pass that counts as no standstill.
func (t *transmission) shift(by time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved = t.moved.Add(by)
}

func (t *transmission) move() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved = time.Now()
}

func (t *transmission) forget(o *outgoing) {
	o.close()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.moved = time.Now()
	t.open = slices.DeleteFunc(t.open, func(p *outgoing) bool { return p == o })
}

// applyAnswer sets what of a file is to be sent by the master's answer, and reports
// whether the file is over.
func (t *transmission) applyAnswer(ctx context.Context, o *outgoing, a Answer) (over bool, err error) {
	switch {
	case a.Verified:
		t.Arrived(o.file)
		return true, nil
	case a.Refused != "":
		return t.giveUpFile(o, fmt.Errorf("the master refused it: %s", a.Refused)), nil
	case len(a.Missing) > maxRanges:
		return t.giveUpFile(o, fmt.Errorf("the master misses %d ranges, at most %d can be right", len(a.Missing), maxRanges)), nil
	}
	left := int64(0)
	for _, r := range a.Missing {
		if err := r.check(o.file.Size); err != nil {
			return t.giveUpFile(o, fmt.Errorf("the master misses what is not there: %w", err)), nil
		}
		left += r.Length
	}
	if a.Differs > o.differs {
		o.differs = a.Differs
		if why := t.checkSource(ctx, o); why != nil {
			return t.withdraw(ctx, o, why)
		}
	}
	t.plan(o, a, left)
	if o.unchanged > maxUnchanged {
		return t.giveUpFile(o, fmt.Errorf("sent %d times, and %d bytes still do not arrive undamaged", maxUnchanged, left)), nil
	}
	return false, nil
}

// plan plans what is sent of a file, and when it is asked about next.
func (t *transmission) plan(o *outgoing, a Answer, left int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.Looked > o.looked {
		t.moved = time.Now()
	}
	o.looked = max(o.looked, a.Looked)
	t.meter.unpacks = a.Unpacks
	if left == 0 { // it is being looked at
		o.due = time.Now().Add(o.poll)
		o.poll = min(o.poll+o.poll/4, lastPoll)
		return
	}
	o.due, o.poll, o.todo = time.Time{}, firstPoll, a.Missing
	switch {
	case left < o.left:
		o.unchanged = 0
	case o.tried:
		o.unchanged++
	}
	o.left, o.tried = left, false
	t.changed.Broadcast()
}

// checkSource looks whether a file is still what it was when it was closed, and
// returns what is wrong with it.
func (t *transmission) checkSource(ctx context.Context, o *outgoing) error {
	t.Log.Warn("the master has another SHA-256 of a file than was announced; the source is read once more", "file", o.file.Name, "path", o.file.Path)
	if err := o.openSource(); err != nil {
		return err
	}
	h := sha256.New()
	b := buffers.Get().(*[lookBuffer]byte)
	defer buffers.Put(b)
	err := eachPiece(ctx, o.source, span{0, o.file.Size}, b[:], func(piece []byte) {
		h.Write(piece)
		t.move()
	})
	if err != nil {
		return err
	}
	if sum := Digest(h.Sum(nil)); sum != o.file.SHA256 {
		return fmt.Errorf("%s is not what was recorded any more: its SHA-256 is %s, and was %s when it was closed; check the disk and the memory of this PC; the file stays where it is",
			o.file.Path, sum, o.file.SHA256)
	}
	return nil
}

// withdraw tells the master that a file will not be sent, and gives it up.
func (t *transmission) withdraw(ctx context.Context, o *outgoing, why error) (over bool, err error) {
	if ctx.Err() != nil {
		return false, nil
	}
	f := o.file
	f.Withdrawn = why.Error()
	if _, err := t.Ask(ctx, f); err != nil {
		return false, fmt.Errorf("withdraw %s: %w", f.Name, err)
	}
	return t.giveUpFile(o, why), nil
}

// giveUpFile records why a file cannot be sent, and reports that it is over.
func (t *transmission) giveUpFile(o *outgoing, err error) bool {
	err = fmt.Errorf("send %s: %w", o.file.Name, err)
	t.Log.Error("file not sent", "file", o.file.Name, "error", err)
	if len(t.failed) < maxTold {
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

// watch drops connections over which nothing arrives, and returns an error when
// nothing has moved for too long.
func (t *transmission) watch() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.open) == 0 {
		return nil
	}
	connected := false
	for _, st := range t.streams {
		if st.conn == nil {
			continue
		}
		connected = true
		if len(st.flight) > 0 && time.Since(st.credited) > stillness {
			st.lose(st.conn, errors.New("nothing that was sent arrives"))
		}
	}
	since := time.Since(t.moved)
	if since <= t.Patience {
		return nil
	}
	err := fmt.Errorf("send %s: nothing has moved for %v", t.open[0].file.Name, since.Round(time.Second))
	if !connected && t.refusal != nil {
		err = fmt.Errorf("%w: %w; check that a firewall lets %s through", err, t.refusal, t.Addr)
	}
	return err
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
