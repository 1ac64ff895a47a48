package watch

import (
	"context"
	"sync"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
)

const (
	// every is how often what is seen is told.
	every = 200 * time.Millisecond
	// maxOffered is how many glimpses wait at most.
	maxOffered = 256
	// lasting is over which stretch tags are looked at, of the newest; longer makes
	// numbers steadier, and slower to follow a hand on a mirror.
	lasting = uint64(1_000_000_000_000) // ps
	// stale is after how long without a word of a node nothing is said of its channels.
	stale = time.Second
	// base is where the time axis of all controllers has the first start that was told:
	// what started before that lies before it.
	base = uint64(1_000_000_000_000_000) // ps
)

// Watcher counts what nodes show.
type Watcher struct {
	observer event.Observer
	offered  chan offer
	ended    chan struct{} // closed when no more is to be told
	end      sync.Once
	order    []*channel
	streams  map[string][]*channel // of each node
	pairs    []*pair
	clocks   []*clock
	epoch    int64 // ns: the first start that was told; 0: none yet
	began    time.Time
}

type offer struct {
	node    string
	glimpse *wire.Glimpse
}

// channel is what was shown of one.
type channel struct {
	name   string
	told   bool
	at     time.Time // when it was last shown
	tags   uint64
	lost   uint64
	until  uint64
	rate   *run.Rate
	pieces []piece // the newest, in order, on the time axis of all
}

// piece is a stretch of time with all tags in it.
type piece struct {
	from, to uint64
	tags     []uint64
}

// New returns a watcher of a recipe's bench.
func New(r *recipe.Recipe, o event.Observer) (*Watcher, error) {
	w := &Watcher{observer: o, offered: make(chan offer, maxOffered), ended: make(chan struct{}), streams: map[string][]*channel{}}
	named := map[string]*channel{}
	for _, n := range r.Nodes {
		for _, c := range n.Channels {
			known := &channel{name: n.Name + "." + c.Name}
			named[known.name] = known
			w.order = append(w.order, known)
			w.streams[n.Name] = append(w.streams[n.Name], known)
		}
	}
	var err error
	w.pairs, w.clocks, err = pairsOf(r, named)
	return w, err
}

// Offer shows what a node sees. It never waits.
func (w *Watcher) Offer(node string, g *wire.Glimpse) {
	select {
	case w.offered <- offer{node, g}:
	default:
	}
}

// End lets Run return.
func (w *Watcher) End() { w.end.Do(func() { close(w.ended) }) }

// Run tells what is seen until End is called or ctx ends. Before anything is shown it says
// nothing.
func (w *Watcher) Run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	var following sync.WaitGroup
	defer following.Wait()
	defer cancel()
	for _, c := range w.clocks {
		following.Go(func() { c.follow(ctx) })
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.ended:
			return
		case o := <-w.offered:
			now := time.Now()
			if w.began.IsZero() {
				w.began = now
			}
			w.take(o, now)
		case now := <-tick.C:
			if !w.began.IsZero() {
				w.observer.Observe(w.look(now))
			}
		}
	}
}

// take takes what a node shows. What makes no sense is left out.
func (w *Watcher) take(o offer, now time.Time) {
	streams := w.streams[o.node]
	for i := range o.glimpse.Streams {
		g := &o.glimpse.Streams[i]
		if int(g.Stream) < len(streams) {
			c := streams[g.Stream]
			c.count(g, now)
			w.keep(c, g)
		}
	}
	for _, c := range w.clocks {
		c.feed()
	}
}

// count takes how far a channel is.
func (c *channel) count(g *wire.StreamGlimpse, now time.Time) {
	if c.told && g.Until > c.until && g.Tags >= c.tags {
		c.rate = run.RateOf(g.Tags-c.tags, g.Until-c.until)
	}
	if g.Until > c.until || !c.told {
		c.at = now // a channel that stands still is not seen
	}
	c.told, c.tags, c.lost, c.until = true, g.Tags, g.Lost, g.Until
}

// keep keeps the tags of a stretch, once it is known when its controller began, and
// forgets old ones.
func (w *Watcher) keep(c *channel, g *wire.StreamGlimpse) {
	if g.ZeroNs <= 0 || g.ToPs <= g.FromPs {
		return
	}
	if w.epoch == 0 {
		w.epoch = g.ZeroNs
	}
	const far = int64(1_000_000_000_000) // ns: 1000 s, as base
	ahead := g.ZeroNs - w.epoch
	if ahead <= -far || ahead >= far || g.ToPs > 1<<63-2*base {
		return
	}
	tags, err := g.Unpack()
	if err != nil {
		return
	}
	zero := base + uint64(ahead*1000)
	for i := range tags {
		tags[i] += zero
	}
	p := piece{g.FromPs + zero, g.ToPs + zero, tags}
	if n := len(c.pieces); n > 0 && p.from < c.pieces[n-1].to {
		return // told before, or of a start that nobody knows of
	}
	c.pieces = append(c.pieces, p)
	for len(c.pieces) > 1 && c.pieces[0].to+lasting < p.to {
		c.pieces = c.pieces[1:]
	}
}

// look says what is seen now.
func (w *Watcher) look(now time.Time) event.Watched {
	e := event.Watched{Elapsed: now.Sub(w.began), Channels: []event.WatchedChannel{}}
	for _, c := range w.order {
		seen := event.WatchedChannel{Channel: c.name, Tags: c.tags, Lost: c.lost}
		if c.told && now.Sub(c.at) <= stale {
			seen.Rate = c.rate
		}
		e.Channels = append(e.Channels, seen)
	}
	for _, p := range w.pairs {
		e.Pairs = append(e.Pairs, p.look(now))
	}
	return e
}
