package master

import (
	"fmt"
	"maps"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/event"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// book collects what the manifest will say. It belongs to the conductor, and
// to the analysis while that goes on.
type book struct {
	manifest *run.Manifest
	recipe   *recipe.Recipe
	channels map[string][]string // node: channel names by stream
	counts   map[string]map[uint16]fact.Counts
	segments map[string]announced // by the file's name
	files    map[string]int       // of these, how many a node has announced
	series   map[series]int       // of these, how many each has
	sizes    sizes
	early    map[string]bool // files that were proven before they were announced
	shots    map[string][]fact.Shot
	clocks   map[string]*run.NodeClock
	plans    map[string]transfer.Plan    // what each node may send
	budgets  map[string]*transfer.Budget // of those, what was announced
	beyond   map[string]int              // files that a node announced and that are in no plan
	spent    map[string]spending
	shared   *int64 // by what all controllers that were timed are fired earlier alike, in ns; nil: each by its own, or it is not known yet
}

func newBook(c *conductor, now time.Time) *book {
	b := &book{
		manifest: run.NewManifest(c.run.String(), c.options.Version, c.recipe, now),
		recipe:   c.recipe,
		channels: map[string][]string{}, counts: map[string]map[uint16]fact.Counts{},
		segments: map[string]announced{}, files: map[string]int{}, series: map[series]int{}, early: map[string]bool{}, shots: map[string][]fact.Shot{}, clocks: map[string]*run.NodeClock{},
		plans: map[string]transfer.Plan{}, budgets: map[string]*transfer.Budget{}, beyond: map[string]int{}, spent: map[string]spending{},
	}
	for _, n := range c.recipe.Nodes {
		b.counts[n.Name] = map[uint16]fact.Counts{}
		for _, ch := range n.Channels {
			b.channels[n.Name] = append(b.channels[n.Name], ch.Name)
		}
	}
	b.planFiles(c.options.PluginDirs)
	return b
}

func (b *book) joined(name string, j *wire.Join) {
	n := b.manifest.Nodes[name]
	n.Hostname, n.PID, n.Version = j.Host, j.PID, j.Version
}

// enter enters a piece of news, if the manifest says anything of its kind.
func (b *book) enter(name string, n *wire.News) {
	switch {
	case n.Controller != nil:
		b.controller(name, n.Controller)
	case n.Early != nil:
		b.beEarly(name, n.Early)
	case n.Sink != nil:
		b.sink(name, n.Sink)
	case n.Kept != nil:
		b.kept(name, n.Kept)
	case n.Clock != nil && n.Clock.Plausible():
		b.clock(name).Start = n.Clock
	case n.Shot != nil:
		b.shot(name, n.Shot)
	case n.Loss != nil:
		b.loss(name, n.Loss)
	case n.Restart != nil:
		b.manifest.Nodes[name].Begin(*n.Restart)
	case n.Take != nil:
		b.take(name, n.Take)
	case n.Heard != nil:
		b.manifest.Nodes[name].Hear(*n.Heard)
	case n.Segment != nil:
		b.segment(name, n.Segment)
	case n.Ended != nil:
		b.ended(name, n.Ended)
	case n.Unstarted != nil:
		b.unstarted(name, n.Unstarted)
	case n.Sent != nil:
		b.travelled(name, *n.Sent)
	}
}

// travelled enters how files of a node travelled, which may have done so several times:
// to the master of a run, and to those that resumed it.
func (b *book) travelled(name string, how fact.Sent) {
	if before := b.manifest.Nodes[name].Transfer; before != nil {
		how.Bytes, how.Packed, how.PackedTo = how.Bytes+before.Bytes, how.Packed+before.Packed, how.PackedTo+before.PackedTo
	}
	b.manifest.Nodes[name].Transfer = &how
}

func (b *book) controller(name string, up *wire.ControllerUp) {
	if c := b.manifest.Nodes[name].Controllers[up.Name]; c != nil {
		c.Plugin, c.Device, c.Realtime = up.Plugin, up.Device, up.Realtime[:min(len(up.Realtime), maxGrants)]
	}
}

// maxGrants is how many grants of a controller are entered.
const maxGrants = 8

func (b *book) sink(name string, up *wire.SinkUp) {
	if s := b.manifest.Nodes[name].Sinks[up.Name]; s != nil {
		s.Plugin, s.Keeps = up.Plugin, up.Keeps
	}
}

// kept enters what a sink has kept in no file; a manifest that is being written
// shares the map.
func (b *book) kept(name string, k *wire.Kept) {
	c, channel := b.channel(name, k.Stream)
	if s := b.manifest.Nodes[name].Sinks[k.Sink]; s != nil && c != nil {
		kept := maps.Clone(s.Kept)
		if kept == nil {
			kept = map[string]uint64{}
		}
		kept[channel] = k.Tags
		s.Kept = kept
	}
}

// maxShots bounds what a node says of its controllers: each is fired once, and once
// more by a slave that was started anew.
const maxShots = 1024

func (b *book) shot(name string, s *wire.ShotFired) {
	if b.manifest.Nodes[name].Controllers[s.Controller] != nil && b.manifest.Nodes[name].Shoot(s.Controller, s.Shot) {
		return
	}
	c := b.manifest.Nodes[name].Controllers[s.Controller]
	if c != nil {
		if number, several := b.manifest.Nodes[name].TakeShot(s.Controller, s.Shot); several && number > 1 {
			return
		}
		c.Shot = &s.Shot
	}
	if len(b.shots[name]) < maxShots {
		b.shots[name] = append(b.shots[name], s.Shot)
	}
}

// channel is the manifest's entry of a stream; nil for a stream the recipe does not have.
func (b *book) channel(name string, stream uint16) (*run.Channel, string) {
	channels := b.channels[name]
	if int(stream) >= len(channels) {
		return nil, fmt.Sprintf("stream %d", stream)
	}
	return b.manifest.Nodes[name].Channels[channels[stream]], channels[stream]
}

func (b *book) loss(name string, l *fact.StreamLoss) {
	if c, _ := b.channel(name, l.Stream); c != nil {
		c.Lose(l.Loss)
	}
}

func (b *book) ended(name string, e *wire.Ended) {
	if c := b.manifest.Nodes[name].Controllers[e.Controller]; c != nil {
		c.Report = e.Report
	}
	for _, s := range e.Sent {
		if c, _ := b.channel(name, s.Stream); c != nil {
			c.Sent, c.SentLost = &s.Tags, &s.Lost
		}
	}
}

func (b *book) segment(name string, s *wire.Segment) {
	if _, known := b.segments[s.File]; known {
		return
	}
	segment := run.Segment{Node: name, Segment: s.Segment}
	if segment.HoldsTags() {
		_, segment.Channel = b.channel(name, s.Stream)
		segment.Kind = "" // what the manifest does not say
	}
	file, err := transfer.FileOf(s.Number, s.Segment)
	if err != nil {
		b.manifest.Notice(run.Reason{Condition: run.Unverified, Node: name, Channel: segment.Channel, Message: fmt.Sprintf("%s: %v", s.File, err)})
	}
	within := series{name, segment.Channel, segment.Sink, segment.Part}
	b.segments[s.File] = announced{File: file, node: name, index: len(b.manifest.Segments), nth: b.series[within]}
	b.series[within]++
	b.manifest.Segments = append(b.manifest.Segments, segment)
	b.files[name]++
	b.sizes.bytes += max(segment.Size, 0)
	b.sizes.tags += segment.Tags
}

// sizes are those of the files that were announced.
type sizes struct {
	bytes  int64
	proven int64  // of them, the bytes that are here
	tags   uint64 // in them
}

// series are the files of one channel by one sink, from one start of its controllers to the
// next; they are announced in their order.
type series struct {
	node, channel, sink string
	part                int
}

// announced is a file that a node says it has closed.
type announced struct {
	transfer.File
	node    string
	index   int  // in the manifest's segments
	nth     int  // of its series
	arrived bool // and proven, and that was said
}

// unproven lists the files that the manifest does not call verified yet.
func (b *book) unproven() (files []announced) {
	for _, a := range b.segments {
		if !b.manifest.Segments[a.index].Verified {
			files = append(files, a)
		}
	}
	return files
}

func (b *book) proven(name string) {
	s := &b.manifest.Segments[b.segments[name].index]
	s.Verified = true
	b.here(s)
}

// here notes when a file was proven, the first time that anybody sees that it is.
func (b *book) here(s *run.Segment) {
	if s.ProvenAt.IsZero() {
		s.ProvenAt = moment()
	}
}

// moment is now, as the manifest has it.
func moment() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// owed is about how many bytes are still to be written here of what was recorded:
// files that were announced and not proven, and tags in files that are not closed,
// at most those of two segments.
func (b *book) owed() int64 {
	perTag := 8.0
	if b.sizes.tags > 0 {
		perTag = float64(b.sizes.bytes) / float64(b.sizes.tags)
	}
	given, recent := 0.0, 0.0
	for name, counts := range b.counts {
		copies := 0.0
		for _, s := range b.manifest.Nodes[name].Sinks {
			if s.Keeps == sdk.AllTags {
				copies++
			}
		}
		all, last := 0.0, 0.0
		for _, c := range counts {
			all += copies * float64(c.Tags)
			last += copies * float64(c.Tags) * min(1, 2*float64(b.recipe.Acquire.Segment)/max(1, float64(c.Until)))
		}
		if all*run.LeastTagBytes <= float64(b.budgets[name].Bytes()) { // more cannot be true, and would end the run of all
			given, recent = given+all, recent+last
		}
	}
	open := max(0, min(given-float64(b.sizes.tags), recent))
	return max(0, b.sizes.bytes-b.sizes.proven) + int64(min(open*perTag, 1<<62))
}

// remaining is how much of the recording is still to come, of a node or of the
// slowest for "".
func (b *book) remaining(name string) (rest time.Duration) {
	for node := range b.counts {
		if name == "" || name == node {
			e := b.progressEvent(node)
			rest = max(rest, e.Duration-e.Elapsed)
		}
	}
	return rest
}

// arrived returns the manifest's entry of a segment once it was both announced
// and proven, which come in either order; ok is true once.
func (b *book) arrived(name string, proven bool) (s run.Segment, ok bool) {
	a, known := b.segments[name]
	if proven && !known {
		b.early[name] = true
	}
	if !known || a.arrived || !proven && !b.early[name] {
		return s, false
	}
	delete(b.early, name)
	a.arrived = true
	b.sizes.proven += max(a.Size, 0)
	b.segments[name] = a
	b.here(&b.manifest.Segments[a.index])
	return b.manifest.Segments[a.index], true
}

// progress enters how far a node's channels are, and reports whether one has moved.
func (b *book) progress(name string, progress []fact.StreamCounts) (moved bool) {
	for _, p := range progress {
		if int(p.Stream) >= len(b.channels[name]) {
			continue
		}
		if p.Until < b.counts[name][p.Stream].Until { // of a process that was killed, which told less than it had counted
			continue
		}
		moved = moved || b.counts[name][p.Stream] != p.Counts && p.Until > 0
		b.counts[name][p.Stream] = p.Counts
	}
	return moved
}

// progressEvent returns how far a node is: its slowest channel.
func (b *book) progressEvent(name string) event.Progress {
	e := event.Progress{Node: name, Duration: b.recipe.Acquire.Total().Duration(), Files: b.files[name]}
	slowest := ^uint64(0)
	for _, p := range b.counts[name] {
		e.Tags += p.Tags
		slowest = min(slowest, p.Until)
	}
	if len(b.counts[name]) > 0 {
		e.Elapsed = time.Duration(slowest / 1000)
	}
	return e
}

// counted enters what the nodes counted and when they started.
func (b *book) counted() {
	for name, node := range b.manifest.Nodes {
		for stream, n := range b.counts[name] {
			if c, _ := b.channel(name, stream); c != nil {
				c.Count(n)
			}
		}
		var reading *clock.Reading
		if c := b.clocks[name]; c != nil {
			copied := *c
			node.Clock, reading = &copied, c.Start
		}
		compensation := b.recipe.Trigger.Compensation[name].Time.Duration().Nanoseconds()
		if b.recipe.Trigger.Method == "hardware" {
			continue // the edge decides, not the shot
		}
		if start, ok := run.NodeStart(b.shots[name], b.manifest.Trigger.InstantNs, compensation, reading); ok {
			node.Start = &start
		}
	}
	b.manifest.Trigger.Skew = b.manifest.Skews()
	if b.recipe.Trigger.Method != "hardware" {
		b.manifest.StartTakes()
	}
}

func (b *book) analysed(err error) {
	if err != nil {
		b.manifest.Notice(run.Reason{Condition: run.Tainted, Message: fmt.Sprintf("analysis: %v; tsrun resume executes the stages again when that is mended", err)})
	}
}

// conditions is what each kind of trouble makes of a run.
var conditions = map[troubleKind]run.Condition{
	refusal: run.Aborted, missing: run.Incomplete, stopped: run.Interrupted, canceled: run.Aborted, policy: run.Aborted,
}

// close enters how the run ended.
func (b *book) close(s state, told steps, now time.Time) {
	if s.phase != done {
		b.counted()
	}
	for _, t := range s.troubles {
		b.manifest.Notice(run.Reason{Condition: conditions[t.kind], Node: t.node, Message: t.failure.Error()})
	}
	b.tellShots(s)
	for name, c := range b.clocks {
		if c.Start != nil && c.Last != nil && c.Last.Steps > c.Start.Steps && told[name]+told[""] == 0 {
			b.manifest.Notice(run.Reason{Condition: run.Tainted, Node: name,
				Message: fmt.Sprintf("its clock or the master's was set while the run went on (%d times)", c.Last.Steps-c.Start.Steps)})
		}
	}
	b.manifest.Ended = now.UTC()
}
