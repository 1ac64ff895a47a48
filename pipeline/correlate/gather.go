package correlate

import "math"

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
}

// lane is one stream of a gather.
type lane struct {
	feed
	correct   Correction
	breaks    []uint64 // as recorded
	began     int64    // ps since base: the first tag
	raw       []uint64 // as recorded
	fixed     []uint64 // on the common clock
	own, next int      // fixed[own:next] are of the span's time
	low, high int      // those of them that the span holds: see gather.slack
	dropped   uint64   // tags before fixed[0]
	singles   uint64   // tags handed out so far, of the time that all lanes recorded
}

// newGather begins to read the channels, A first.
func newGather(channels []Channel, reach int64) (*gather, error) {
	g := &gather{reach: reach, end: math.MinInt64, slack: -1}
	for i, c := range channels {
		correct, err := c.toCommon()
		if err != nil {
			return nil, err
		}
		l := &lane{feed: feed{from: c.Tags, name: letters[i : i+1], raised: c.Raised}, correct: correct, breaks: c.Breaks}
		if i > 0 {
			l.zero = g.lanes[0].zero
		}
		g.lanes = append(g.lanes, l)
		if err := l.read(); err != nil {
			return nil, err
		}
	}
	g.begin()
	return g, nil
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

func (l *lane) read() (err error) {
	if len(l.raw) > maxWindow {
		return &LimitError{What: "window", Value: "more than 67 million tags of " + l.name, Limit: "that", Hint: "choose a shorter window or shift"}
	}
	had, n := len(l.raw), chunk
	if l.count == 0 {
		n = firstTags
	}
	if l.raw, err = l.more(l.raw, n); err != nil {
		return err
	}
	if l.correct.IsZero() {
		l.fixed = l.raw // the same tags in the same memory
		return nil
	}
	l.fixed = l.correct.ApplyAll(l.fixed, l.raw[had:])
	return nil
}

// more moves to the next span; more is false after the last one.
func (g *gather) more() (more bool, err error) {
	for !g.done {
		behind, horizon := g.behind()
		end := int64(math.MaxInt64)
		if behind != nil {
			end = horizon - g.reach
		}
		if g.advance(end) {
			return true, nil
		}
		if behind == nil {
			g.done = true
			break
		}
		g.release()
		if err := behind.read(); err != nil {
			return false, err
		}
	}
	return false, nil
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
		l.next = search(len(l.fixed), func(i int) bool { return g.since(l.fixed[i]) >= end })
		l.low, l.high = l.between(g, g.from, stop)
		l.singles += uint64(l.high - l.low)
		if g.slack < 0 {
			l.low, l.high = l.own, l.next
		} else if g.from > math.MinInt64 && stop > math.MinInt64 {
			l.low, l.high = l.between(g, g.from-g.slack, min(stop, math.MaxInt64-g.slack)+g.slack)
		}
		found = found || l.next > l.own
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

// release forgets tags that no later span reaches, where they are many: moving
// the rest costs as much as it frees.
func (g *gather) release() {
	for _, l := range g.lanes {
		n := search(l.next, func(i int) bool { return g.since(l.fixed[i]) >= g.end-g.reach })
		if n == 0 || n < len(l.fixed)/2 {
			continue
		}
		l.dropped += uint64(n)
		l.next -= n
		l.raw = l.raw[:copy(l.raw, l.raw[n:])]
		if l.correct.IsZero() {
			l.fixed = l.raw
		} else {
			l.fixed = l.fixed[:copy(l.fixed, l.fixed[n:])]
		}
	}
}

// overlap is how long all lanes recorded, first to last tag, in ps.
func (g *gather) overlap() uint64 {
	stop := g.stop()
	if stop < g.from || g.from == math.MinInt64 {
		return 0
	}
	return uint64(stop - g.from)
}
