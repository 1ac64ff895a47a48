package sdk

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"sort"
	"sync"
	"time"

	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

const (
	// blockTags is how many tags fill a block that is gathered: 256 KiB. Where there are as
	// many in one call, they are not gathered: they make blocks of their own, of four times
	// that at most, because each block wakes a process after the other.
	blockTags = 32768
	// flushEvery is how long a tag waits at most for its block to fill.
	flushEvery = 20 * time.Millisecond
	// beyondEnd is how long after the end of the acquisition a tag may be, in ps:
	// clocks are off by parts in a thousand, and stops take a moment.
	beyondEnd = uint64(10_000_000_000_000)
	// corePatience is how long a block waits for the core to take it. The core
	// is patient with a sink as long as that comes farther, so this only ends a
	// wait for a core that is no more.
	corePatience = 10 * time.Minute
)

// Stream carries tags from a driver to the node's distribution core. Its
// methods may be called from several goroutines.
//
// Tags are gathered into blocks of one stream; a block leaves when it is full
// or 20 ms old. When the core is behind, Send blocks; when it stays behind for
// too long, Send fails. No tag is dropped silently.
type Stream struct {
	run      tag.RunID
	end      uint64 // ps: no tag of the acquisition is this late; 0: there is no end
	out      BlockWriter
	patience time.Duration
	lost     func(Loss) // told of each loss; may be nil

	mu    sync.Mutex
	lanes map[uint16]*lane
	order []uint16
	err   error // the first failure; every later call returns it
	cut   bool  // the core takes nothing any more

	done    chan struct{}
	flusher sync.WaitGroup
}

// BlockWriter is the connection to the core: it takes messages of two frames,
// which are the caller's again when Send returns.
type BlockWriter interface {
	Send(timeout time.Duration, frames ...[]byte) error
	Close() error
}

// Loss is a recorded loss of tags.
type Loss struct {
	Stream uint16
	Tags   uint64
	At     uint64 // ps: where in the stream
	Why    string
}

// StreamCount says what left by one stream.
type StreamCount struct {
	Stream      uint16
	Blocks      uint64
	Tags, Lost  uint64
	First, Last uint64 // ps; 0 when Tags is 0
	Until       uint64 // ps
}

// lane is one stream on its way into blocks.
type lane struct {
	name    string      // of the channel
	count   StreamCount // what the core has taken
	pending []uint64    // of the block being filled
	reached uint64      // ps: no tag before this is accepted
	lost    uint64      // not yet told by a block
	header  [tag.HeaderSize]byte
	frames  [2][]byte // header and payload of the block being sent
}

// NewStream carries the streams of an acquisition over out, which it closes at
// the end. The SDK makes the stream of a driver that it serves; this is for
// tests of drivers.
func NewStream(out BlockWriter, a Acquisition) *Stream {
	s := &Stream{run: a.Run, out: out, patience: corePatience, end: endOf(a.Duration),
		lanes: make(map[uint16]*lane, len(a.Channels)), done: make(chan struct{})}
	for _, c := range a.Channels {
		s.lanes[c.Stream] = &lane{name: c.Name, count: StreamCount{Stream: c.Stream}, pending: make([]uint64, 0, blockTags)}
		s.order = append(s.order, c.Stream)
	}
	s.flusher.Go(s.flushOld)
	return s
}

// endOf is when no tag can come any more; 0 is never.
func endOf(d time.Duration) uint64 {
	if hi, ps := bits.Mul64(uint64(max(d, 0)), 1000); d > 0 && hi == 0 && ps <= math.MaxUint64-beyondEnd-ps/1000 {
		return ps + ps/1000 + beyondEnd
	}
	return 0
}

// Send sends tags of a stream: picoseconds since the start of the acquisition,
// never decreasing, from one call to the next as well, and never before what
// Mark promised. At the first tag that is before what came, Send fails; those
// before it are sent. Of 32 768 tags and more in one call, which it passes on
// as they are, Send looks at the ends alone: the core, which has the time,
// looks at each tag and ends the driver's streams at one that is too early. Tags that lie far behind the end of the acquisition are
// damaged: they are left out and recorded as lost. The slice is the caller's
// again when Send returns.
func (s *Stream) Send(stream uint16, tags []uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.lane(stream)
	if err != nil || len(tags) == 0 {
		return err
	}
	for from := 0; from < len(tags); {
		to := from + l.next(len(tags)-from) // still in the cache when it is sent
		if s.end > 0 && tags[to-1] >= s.end {
			to = len(tags) // one loss
		}
		if bad := l.disorder(tags[from:to], s.end); bad >= 0 {
			disorder := l.disordered(tags, from+bad)
			_ = s.send(l, tags[from:from+bad]) // another failure comes first
			return s.fail(disorder)
		}
		if err := s.send(l, tags[from:to]); err != nil {
			return err
		}
		from = to
	}
	return nil
}

// send takes tags that are in order.
func (s *Stream) send(l *lane, tags []uint64) error {
	if len(tags) == 0 {
		return nil
	}
	if s.end > 0 && tags[len(tags)-1] >= s.end {
		within := sort.Search(len(tags), func(i int) bool { return tags[i] >= s.end })
		defer s.loseBeyond(l, tags[within], uint64(len(tags)-within))
		tags = tags[:within]
	}
	for len(tags) > 0 {
		n := l.next(len(tags))
		l.reached = tags[n-1]
		if n >= blockTags { // no need to gather
			if err := s.sendBlock(l, tag.Data, tags[:n], tags[n-1]); err != nil {
				return err
			}
			tags = tags[n:]
			continue
		}
		l.pending = append(l.pending, tags[:n]...)
		tags = tags[n:]
		if len(l.pending) == blockTags {
			if err := s.flush(l, l.pending[blockTags-1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// Mark promises that no later tag of the stream is before until (ps). Drivers
// mark as the acquisition goes on, so that the files of a quiet channel close
// in time; the last mark says how long the acquisition was.
func (s *Stream) Mark(stream uint16, until uint64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	l, err := s.lane(stream)
	if err != nil {
		return err
	}
	if s.end > 0 {
		until = min(until, s.end)
	}
	l.reached = max(l.reached, until) // the flusher tells the core
	return nil
}

// Lost records that n tags are missing between the last tag sent and the next
// one. It is the only way to report a loss: a log line does not count.
func (s *Stream) Lost(stream uint16, n uint64, why string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l, err := s.lane(stream); err == nil && n > 0 {
		s.lose(l, n, why)
	}
}

// loseBeyond records tags that no acquisition can have.
func (s *Stream) loseBeyond(l *lane, first, n uint64) {
	if s.err == nil {
		s.lose(l, n, fmt.Sprintf("%s from %d ps on, far behind the end of the acquisition: damaged", quantity.Counted(n, "tag"), first))
	}
}

// lose records a loss after all that was sent.
func (s *Stream) lose(l *lane, n uint64, why string) {
	if s.flush(l, l.reached) != nil { // the loss is behind these tags
		return
	}
	l.lost += n
	if s.lost != nil {
		s.lost(Loss{Stream: l.count.Stream, Tags: n, At: l.reached, Why: why})
	}
}

// Finish ends every stream where it has come to and lets go of the connection;
// it says what the core has taken. The SDK calls it after Acquire.
func (s *Stream) Finish() ([]StreamCount, error) {
	close(s.done)
	s.flusher.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := make([]StreamCount, 0, len(s.order))
	for _, id := range s.order {
		l := s.lanes[id]
		if !s.cut && len(l.pending) > 0 { // a driver that made a mistake has sent good tags before
			_ = s.flush(l, l.reached) // kept in s.err
		}
		if !s.cut {
			_ = s.sendBlock(l, tag.End, nil, l.reached)
		}
		counts = append(counts, l.count)
	}
	err := s.err
	s.fail(errors.New("send: the acquisition has ended"))
	if closing := s.out.Close(); err == nil && closing != nil {
		err = fmt.Errorf("close the connection to the core: %w", closing)
	}
	return counts, err
}

// flushOld sends what has waited long enough, until the stream is finished.
func (s *Stream) flushOld() {
	tick := time.NewTicker(flushEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case <-tick.C:
			s.flushAll()
		}
	}
}

func (s *Stream) flushAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.order {
		if s.err != nil || s.flush(s.lanes[id], s.lanes[id].reached) != nil {
			return
		}
	}
}

// lane finds a stream. The caller holds mu, as for all that follow.
func (s *Stream) lane(stream uint16) (*lane, error) {
	if s.err != nil {
		return nil, s.err
	}
	l, ok := s.lanes[stream]
	if !ok {
		return nil, s.fail(fmt.Errorf("send: stream %d is not one of the acquisition's %v", stream, s.order))
	}
	return l, nil
}

func (s *Stream) fail(err error) error {
	if s.err == nil {
		s.err = err
	}
	return s.err
}

// next is how many of n tags make a block of their own, or fill the one that is gathered.
func (l *lane) next(n int) int {
	if len(l.pending) == 0 && n >= blockTags {
		return min(n/blockTags*blockTags, tag.MaxBlockTags)
	}
	return min(n, blockTags-len(l.pending))
}

// disorder returns the index of the first tag that is before what came before
// it; -1: there is none. The tags within a whole block before the end are left to
// the core: one more look at what is not in the cache takes a sixth of the driver's time.
func (l *lane) disorder(tags []uint64, end uint64) int {
	if tags[0] < l.reached {
		return 0
	}
	if last := tags[len(tags)-1]; len(tags) >= blockTags && len(l.pending) == 0 && tags[0] <= last && (end == 0 || last < end) {
		return -1
	}
	if at := tag.Disorder(tag.AsBytes(tags)); at > 0 {
		return at
	}
	return -1
}

// disordered says what is wrong with a tag that is too early.
func (l *lane) disordered(tags []uint64, bad int) error {
	f := &Failure{Code: "tags-out-of-order", Hint: "tags of a channel never decrease, from one call to the next as well: sort them before they are sent"}
	where := fmt.Sprintf("send: tag %d of %d on channel %q (stream %d), at %d ps, is", bad+1, len(tags), l.name, l.count.Stream, tags[bad])
	if bad > 0 {
		f.Message = fmt.Sprintf("%s before the tag before it, at %d ps", where, tags[bad-1])
	} else {
		f.Message = fmt.Sprintf("%s before %d ps, which a tag or a mark has reached already", where, l.reached)
	}
	return f
}

// flush sends what is pending as a block after which the stream has reached
// until; with nothing pending, what the core has not been told yet.
func (s *Stream) flush(l *lane, until uint64) error {
	if len(l.pending) > 0 {
		err := s.sendBlock(l, tag.Data, l.pending, until)
		l.pending = l.pending[:0]
		return err
	}
	if until > l.count.Until || l.lost > 0 {
		return s.sendBlock(l, tag.Mark, nil, until)
	}
	return nil
}

func (s *Stream) sendBlock(l *lane, kind tag.Kind, tags []uint64, until uint64) error {
	b := tag.Block{Kind: kind, Run: s.run, Stream: l.count.Stream, Seq: l.count.Blocks,
		Until: until, Lost: l.lost, Tags: tags}
	b.EncodeHeader(l.header[:])
	l.frames = [2][]byte{l.header[:], tag.AsBytes(tags)}
	if err := s.out.Send(s.patience, l.frames[:]...); err != nil {
		s.cut = true
		return s.fail(&Failure{Code: "core-stalled",
			Message: fmt.Sprintf("send block %d of stream %d: %v", b.Seq, b.Stream, err),
			Hint:    "the node's distribution core, or a sink behind it, stopped taking tags; its log says why"})
	}
	if c := &l.count; len(tags) > 0 {
		if c.Tags == 0 {
			c.First = tags[0]
		}
		c.Tags += uint64(len(tags))
		c.Last = tags[len(tags)-1]
	}
	l.count.Blocks++
	l.count.Until = until
	l.count.Lost += l.lost
	l.lost = 0
	return nil
}
