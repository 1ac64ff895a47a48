package correlate

import (
	"math"
	"runtime"
)

// gather walks several streams side by side on their common clock. It hands out
// one span of time after another: of each lane the tags of the span, and beside
// them all tags that lie within reach of it. Each tag belongs to one span.
type gather struct {
	lanes []*lane
	reach int64  // ps
	base  uint64 // a time of the record: differences to it order all others
	slack int64  // ps: spans hold tags up to so long before and after the time all recorded; negative: all

	end  int64 // ps since base: where the last span ended
	from int64 // ps since base: where all lanes had begun
	done bool

	shared bool // whether there are cores that look at spans while others are made
	spans  int  // handed out so far
	used   int  // number of the oldest span that is still in use
}

const leastSpan = chunk / 4 // tags: of fewer, more is read first

// newGather begins to read the channels, A first, each by so many tags. It shows tags
// as they were recorded where raw is asked for.
func newGather(channels []Channel, reach int64, first int, raw bool) (*gather, error) {
	g := &gather{reach: reach, end: math.MinInt64, slack: -1, shared: runtime.GOMAXPROCS(0) > 1}
	var zero *uint64
	for i, c := range channels {
		l, err := newLane(c, letters[i:i+1], zero, raw)
		if err == nil {
			g.lanes = append(g.lanes, l)
			err = l.read(first, g)
		}
		if err != nil {
			g.close()
			return nil, err
		}
		zero = g.lanes[0].zero
	}
	g.begin()
	return g, nil
}

// close waits until nothing reads the streams any more. Nobody may look at spans.
func (g *gather) close() {
	for _, l := range g.lanes {
		l.close()
	}
}

// begin finds base and from, with the first tags of all lanes read.
func (g *gather) begin() {
	for i := len(g.lanes) - 1; i >= 0; i-- {
		if l := g.lanes[i]; l.count > 0 {
			g.base = l.fixed[0]
		}
	}
	g.from = math.MinInt64
	for _, l := range g.lanes {
		if l.count > 0 {
			l.began = g.since(l.fixed[0])
			g.from = max(g.from, l.began)
		}
	}
}

func (g *gather) since(t uint64) int64 { return int64(t - g.base) }

// more moves to the next span; more is false after the last one. Those before it are
// no longer in use.
func (g *gather) more() (more bool, err error) {
	g.used = g.spans + 1
	return g.another()
}

// another is more where spans before it are in use, back to the one that used says.
func (g *gather) another() (more bool, err error) {
	for !g.done {
		behind, horizon := g.behind()
		end := int64(math.MaxInt64)
		if behind != nil {
			end = horizon - g.reach
		}
		if (behind == nil || g.count(end) >= leastSpan) && g.advance(end) {
			g.spans++
			return true, nil
		}
		if behind == nil {
			g.done = true
			break
		}
		g.release()
		g.readAhead()
		if err := behind.read(chunk, g); err != nil {
			return false, err
		}
	}
	return false, nil
}

// count is how many tags there are before end that no span has held.
func (g *gather) count(end int64) (n int) {
	for _, l := range g.lanes {
		n += l.before(g, end) - l.next
	}
	return n
}

// before is the first of the tags held that is not before end.
func (l *lane) before(g *gather, end int64) int {
	return search(len(l.fixed), func(i int) bool { return g.since(l.fixed[i]) >= end })
}

// readAhead has lanes read at the same time.
func (g *gather) readAhead() {
	if !g.shared {
		return
	}
	for _, l := range g.lanes {
		l.readAhead(g)
	}
}

// behind returns the lane that is known least far, nil when all are known to
// their ends, and how far: later tags of it are not earlier than that.
func (g *gather) behind() (behind *lane, horizon int64) {
	for _, l := range g.lanes {
		if l.ended {
			continue
		}
		if known := g.since(l.fixed[len(l.fixed)-1]); behind == nil || known < horizon {
			behind, horizon = l, known
		}
	}
	return behind, horizon
}

// advance makes the span that ends before end, and says whether it holds a tag.
func (g *gather) advance(end int64) bool {
	if end <= g.end {
		return false
	}
	stop, found := g.stop(), false
	for _, l := range g.lanes {
		l.own = l.next
		l.next = l.before(g, end)
		l.passBreaks(g)
		l.low, l.high = l.between(g, g.from, stop)
		l.singles += uint64(l.high - l.low)
		if g.slack < 0 {
			l.low, l.high = l.own, l.next
		} else if g.from > math.MinInt64 && stop > math.MinInt64 {
			l.low, l.high = l.between(g, g.from-g.slack, min(stop, math.MaxInt64-g.slack)+g.slack)
		}
		if found = found || l.next > l.own; l.correct.IsZero() {
			l.raw = l.fixed // the same tags in the same memory
		} else {
			l.raw = l.recorded
		}
	}
	g.end = end
	return found
}

// between returns where, among the tags of the span's time, those from first to
// last begin and end.
func (l *lane) between(g *gather, first, last int64) (low, high int) {
	times := l.fixed[l.own:l.next]
	low = search(len(times), func(i int) bool { return g.since(times[i]) >= first })
	high = search(len(times), func(i int) bool { return g.since(times[i]) > last })
	return l.own + low, l.own + max(low, high)
}

// stop is when the first of the lanes ended that are known to have ended. Of
// the others no tag later than their last is handed out.
func (g *gather) stop() int64 {
	stop := int64(math.MaxInt64)
	for _, l := range g.lanes {
		switch {
		case !l.ended:
		case l.count == 0:
			return math.MinInt64
		default:
			stop = min(stop, g.since(l.correct.Apply(l.last)))
		}
	}
	return stop
}

// release forgets tags that no later span reaches.
func (g *gather) release() {
	for _, l := range g.lanes {
		l.release(search(l.next, func(i int) bool { return g.since(l.fixed[i]) >= g.end-g.reach }), g)
	}
}

// overlap is how long all lanes recorded, first to last tag and without pauses, in ps.
func (g *gather) overlap() uint64 {
	stop := g.stop()
	if stop < g.from || g.from == math.MinInt64 {
		return 0
	}
	return uint64(stop-g.from) - g.paused(g.from, stop)
}
