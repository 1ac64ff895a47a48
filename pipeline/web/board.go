package web

import (
	"html/template"
	"maps"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/plot"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/track"
)

const (
	maxEvents    = 50 // that are shown, the last
	maxProblems  = 20 // that are shown, the last
	maxTransfers = 20 // files on their way that are shown
	maxNodes     = 64
	maxChannels  = 64 // of the run, each with a curve
	maxClocks    = 64 // that are followed, and pairs that are counted
	maxStages    = 64
)

// board is how a run stands, as its events have told. It is bounded, however long the
// run is and whatever is told.
type board struct {
	name      string
	begun     event.Begun
	state     string
	stateAt   time.Time
	at        time.Time // of the last event
	fired     *event.Fired
	simulated bool
	nodes     map[string]*node
	channels  map[string]*channel      // by "alice.signal"
	clocks    map[string]*clock        // by stage and target
	pairs     map[string]*pairing      // by stage and target
	watched   *event.Watched           // of a bench of which nothing is kept; nil: there is none
	seen      map[string]*plot.Reducer // pairs of it, by their channels
	stages    []event.StageDone
	analysing *event.Analysing
	transfers map[string]transfer // by file
	waiting   []event.Waiting
	problems  []event.Stamped
	events    []event.Stamped
	lost      map[string]uint64 // events of losses, by node
	finished  *event.Finished
	pictures  []template.HTML // of the run that is over
}

// node is one PC of the run.
type node struct {
	name, host string // "local" or "remote"
	joined     *event.NodeJoined
	armed      bool
	away       *event.Stamped // an Away
	devices    map[string]event.DeviceIdentified
	started    *event.Started
	progress   *event.Progress
	heard      time.Time // when it last came farther
	files      int       // that are here and proven
	bytes      int64
}

// channel is how far one is, and the curve of its rate.
type channel struct {
	name     string
	expect   recipe.Expect
	known    bool // anything was told of it
	tags     uint64
	lost     uint64
	until    uint64
	baseTags uint64 // where the last point of the curve ended
	baseAt   uint64
	rate     *run.Rate // of the last stretch; nil: none yet
	rateAt   time.Time // when that was told
	curve    plot.Reducer
}

// transfer is a file on its way, and when it last came farther.
type transfer struct {
	event.Transfer
	heard time.Time
}

// clock is how the clock of an align stage stands, and the curves of it.
type clock struct {
	sync   event.Sync
	allan  []track.AllanPoint // since it was found last
	offset plot.Reducer       // ps
	pace   plot.Reducer       // ppb
}

// newBoard shows a recipe before anything has happened; nil is none.
func newBoard(r *recipe.Recipe) *board {
	b := &board{nodes: map[string]*node{}, channels: map[string]*channel{}, clocks: map[string]*clock{}, pairs: map[string]*pairing{}, seen: map[string]*plot.Reducer{}, transfers: map[string]transfer{}, lost: map[string]uint64{}}
	if r == nil {
		return b
	}
	b.name = r.Name
	for _, n := range r.Nodes {
		if known := b.node(n.Name); known != nil {
			known.host = n.Host
		}
		for _, c := range n.Channels {
			b.channel(n.Name + "." + c.Name)
		}
	}
	for _, e := range r.Expect {
		if c := b.channel(e.Channel); c != nil {
			c.expect = e
		}
	}
	return b
}

// node is one of the board; nil where it has too many.
func (b *board) node(name string) *node {
	if n := b.nodes[name]; n != nil || len(b.nodes) >= maxNodes {
		return n
	}
	n := &node{name: name, devices: map[string]event.DeviceIdentified{}}
	b.nodes[name] = n
	return n
}

// channel is one of the board; nil where it has too many.
func (b *board) channel(name string) *channel {
	if c := b.channels[name]; c != nil || len(b.channels) >= maxChannels {
		return c
	}
	c := &channel{name: name}
	b.channels[name] = c
	return c
}

// apply takes an event.
func (b *board) apply(s event.Stamped) {
	b.at = s.Time
	switch e := s.Event.(type) {
	case event.Begun:
		b.begun, b.name = e, e.Name
	case event.StateChanged:
		b.state, b.stateAt, b.waiting = e.State, s.Time, nil
		b.endBench(e.State)
	case event.Waiting:
		b.wait(e)
	case event.Fired:
		b.fired = &e
	case event.Sync:
		b.sync(e)
	case event.Pairs:
		b.pair(e)
	case event.Watched:
		b.watch(e)
	case event.Transfer:
		b.transfer(e, s.Time)
	case event.Analysing:
		b.analysing = &e
	case event.StageDone:
		b.analysing = nil
		if len(b.stages) < maxStages {
			b.stages = append(b.stages, e)
		}
	case event.Finished:
		b.finish(e)
	default:
		b.applyToNode(s)
	}
	b.list(s)
}

// applyToNode takes an event about one node.
func (b *board) applyToNode(s event.Stamped) {
	name := nodeOf(s.Event)
	if name == "" {
		return
	}
	n := b.node(name)
	if n == nil {
		return
	}
	switch e := s.Event.(type) {
	case event.NodeJoined:
		n.joined, n.host, n.away = &e, e.Host, nil
		b.waiting = slices.DeleteFunc(b.waiting, func(w event.Waiting) bool { return w.For == name })
	case event.Away:
		n.away = &s
	case event.Back:
		n.away = nil
	case event.DeviceIdentified:
		if len(n.devices) < maxChannels {
			n.devices[e.Controller] = e
		}
		b.simulated = b.simulated || e.Device.Simulated
	case event.Armed:
		n.armed = true
	case event.Started:
		n.started = &e
	case event.Progress:
		n.progress, n.heard, n.away = &e, s.Time, nil
		for channel, p := range e.Channels {
			if c := b.channel(name + "." + channel); c != nil {
				c.advance(p, s.Time)
			}
		}
	case event.FileVerified:
		n.files, n.bytes = n.files+1, n.bytes+max(e.Size, 0)
		delete(b.transfers, e.File)
	case event.TagsLost:
		b.lost[name]++
	}
}

// nodeOf is the node that an event is about; "" for none.
func nodeOf(e event.Event) string {
	switch e := e.(type) {
	case event.NodeJoined:
		return e.Node
	case event.Away:
		return e.Node
	case event.Back:
		return e.Node
	case event.DeviceIdentified:
		return e.Node
	case event.Armed:
		return e.Node
	case event.Started:
		return e.Node
	case event.Progress:
		return e.Node
	case event.FileVerified:
		return e.Node
	case event.TagsLost:
		return e.Node
	}
	return ""
}

// wait notes for whom somebody waits, once for each.
func (b *board) wait(w event.Waiting) {
	for i, known := range b.waiting {
		if known.Node == w.Node && known.For == w.For {
			b.waiting[i] = w
			return
		}
	}
	if len(b.waiting) < maxNodes {
		b.waiting = append(b.waiting, w)
	}
}

// list keeps the last events for people to read, and what is wrong.
func (b *board) list(s event.Stamped) {
	if words := wordsOf(s.Event); words == "" {
		return
	}
	b.events = lastOf(append(b.events, s), maxEvents)
	switch s.Event.(type) {
	case event.Warning, event.Problem, event.TagsLost:
		b.problems = gravest(append(b.problems, s))
	}
}

// gravest leaves out the oldest of the least problems where they are too many: what ended
// a part of the run is not hidden behind losses.
func gravest(all []event.Stamped) []event.Stamped {
	if len(all) <= maxProblems {
		return all
	}
	least := slices.IndexFunc(all, func(s event.Stamped) bool { return event.Kind(s.Event) == event.Kind(event.TagsLost{}) })
	if least < 0 {
		least = slices.IndexFunc(all, func(s event.Stamped) bool { return event.Kind(s.Event) == event.Kind(event.Warning{}) })
	}
	return slices.Delete(all, max(least, 0), max(least, 0)+1)
}

// transfer takes how far a file is. Where there are too many, that of which nothing was
// heard for the longest gives its place: its node may be gone.
func (b *board) transfer(e event.Transfer, at time.Time) {
	if _, known := b.transfers[e.File]; !known && len(b.transfers) >= maxTransfers {
		oldest := slices.MinFunc(slices.Sorted(maps.Keys(b.transfers)), func(x, y string) int { return b.transfers[x].heard.Compare(b.transfers[y].heard) })
		delete(b.transfers, oldest)
	}
	b.transfers[e.File] = transfer{e, at}
}

func lastOf(all []event.Stamped, most int) []event.Stamped {
	if len(all) > most {
		return slices.Delete(all, 0, len(all)-most)
	}
	return all
}

// leastStretch is over how much time a rate is taken, in ps.
const leastStretch = 250_000_000_000

// advance takes how far a channel is, and adds to the curve of its rate.
func (c *channel) advance(p event.ChannelProgress, at time.Time) {
	c.known, c.tags, c.lost, c.until = true, p.Tags, p.Lost, p.UntilPs
	if p.UntilPs < c.baseAt || p.Tags < c.baseTags { // it was started anew
		c.baseAt, c.baseTags = p.UntilPs, p.Tags
		return
	}
	stretch := p.UntilPs - c.baseAt
	if stretch < leastStretch {
		return
	}
	c.rate, c.rateAt = run.RateOf(p.Tags-c.baseTags, stretch), at
	c.curve.Add(plot.Point{X: float64(p.UntilPs) / 1e12, Y: float64(c.rate.Millihertz()) / 1000})
	c.baseAt, c.baseTags = p.UntilPs, p.Tags
}

// sync takes how a clock stands.
func (b *board) sync(e event.Sync) {
	key := e.Stage + " " + e.Target // of several targets each has a clock
	c := b.clocks[key]
	if c == nil {
		if len(b.clocks) >= maxClocks {
			return
		}
		c = &clock{}
		b.clocks[key] = c
	}
	c.sync = e
	if e.Segment != nil {
		c.allan = e.Allan[:min(len(e.Allan), plot.MaxPoints)]
	}
	if e.Value != nil {
		at := float64(e.Time) / 1e12
		c.offset.Add(plot.Point{X: at, Y: e.Offset.Float(), SD: e.OffsetSD})
		c.pace.Add(plot.Point{X: at, Y: e.Frequency, SD: e.FrequencySD})
	}
}

// finish takes the end of the run: from here on its manifest says all.
func (b *board) finish(e event.Finished) {
	b.finished, b.waiting, b.analysing = &e, nil, nil
	clear(b.transfers)
	if e.Manifest == nil {
		return
	}
	b.pictures = draw(e.Directory, e.Manifest)
	b.name, b.simulated = e.Manifest.Name, e.Manifest.Has(run.Simulated)
	if b.state == "" {
		b.state = "done"
		if e.Manifest.Has(run.Aborted) {
			b.state = "aborted"
		}
	}
}

// left is how long the slowest node still records; ok is false when nobody can say.
func (b *board) left() (rest time.Duration, ok bool) {
	if b.state != "running" {
		return 0, false
	}
	for _, n := range b.nodes {
		if n.progress != nil && n.progress.Duration > 0 {
			rest, ok = max(rest, n.progress.Duration-n.progress.Elapsed), true
		}
	}
	return rest, ok
}

// nodeNames are the nodes by name.
func (b *board) nodeNames() []string { return slices.Sorted(maps.Keys(b.nodes)) }

// channelNames are the channels, those of a node together.
func (b *board) channelNames() []string {
	return slices.SortedFunc(maps.Keys(b.channels), strings.Compare)
}
