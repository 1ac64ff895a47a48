package tdc1

import (
	"context"
	"time"

	"tsrun/sdk/instrument"
	"tsrun/sim/pty"
)

// link is the way of the words to the program. It waits for a line that takes
// none, unless a fault makes it slow or the buffer of the unit small: then what
// finds no room in the buffer is lost, from within a word on, until half of it is
// free again.
type link struct {
	line   *pty.Line
	buffer int // bytes; 0: it waits
	rate   int // bytes per second; 0: as many as the line takes
	queue  []byte
	spills bool
	passed time.Time // when some were last passed on
}

const (
	slowBuffer = 64 << 10 // of a unit on a slow line
	wordSize   = 4
)

func newLink(line *pty.Line, f faults) *link {
	l := &link{line: line, buffer: int(f.buffer), rate: int(f.slowLink)}
	if l.rate > 0 && l.buffer == 0 {
		l.buffer = slowBuffer
	}
	return l
}

func (l *link) empty() bool { return len(l.queue) == 0 }

func (l *link) clear() { l.queue = nil }

// room is how many bytes of a word find room, when some are to be sent already.
func (l *link) room(already int) int {
	if l.buffer == 0 {
		return wordSize
	}
	free := l.buffer - len(l.queue) - already
	if l.spills && free < l.buffer/2 {
		return 0
	}
	if l.spills = free < wordSize; l.spills {
		return max(free, 0)
	}
	return wordSize
}

// send sends bytes, for which there is room, at a time of the simulation.
func (l *link) send(ctx context.Context, b []byte, at time.Time) error {
	if l.buffer == 0 {
		return l.line.Write(ctx, b)
	}
	if l.empty() {
		l.passed = at
	}
	l.queue = append(l.queue, b...)
	return l.pass(at)
}

// pass passes on what the line takes by now.
func (l *link) pass(now time.Time) error {
	if l.empty() {
		return nil
	}
	n := len(l.queue)
	if l.rate > 0 {
		n = min(n, max(int(now.Sub(l.passed).Seconds()*float64(l.rate)), 0))
	}
	if n == 0 {
		return nil
	}
	// Without waiting: a unit whose line takes nothing counts on all the same.
	taken, err := l.line.Offer(l.queue[:n], 0)
	l.queue, l.passed = append(l.queue[:0], l.queue[taken:]...), now
	return err
}

// flush passes on all there is, however long it takes.
func (l *link) flush(ctx context.Context) error {
	for !l.empty() {
		if err := l.pass(time.Now()); err != nil {
			return err
		}
		if !l.empty() && !instrument.Pause(ctx, time.Millisecond) {
			return context.Cause(ctx)
		}
	}
	return nil
}
