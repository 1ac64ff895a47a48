package master

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"tsrun/pipeline/align"
	"tsrun/pipeline/event"
	"tsrun/pipeline/live"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
)

const (
	// maxProven is how many proven segments wait for the syncer; it is not told
	// of more, and treats what they hold as a gap.
	maxProven = 4096
	// behindAfter is how many segments of one channel may wait before it is said.
	behindAfter = 8
	// missAfter is how many later segments are here before one that is not is
	// given up.
	missAfter = 16
	// lastValues is how long the analysis waits for the live values of what has
	// arrived; it needs none of them.
	lastValues = 30 * time.Second
	// lastSearches is how much of that goes to clocks of several nodes that were looked for
	// and never found: most of them share no light with the reference.
	lastSearches = 3 * time.Second
)

// syncer follows the clocks of the align stages while the run goes on: from the
// segments that are proven here, in a goroutine of its own. Nobody waits for it
// while tags are recorded, and what it finds changes no result: the stages look
// at the whole record once more. Of several shots it follows each by itself, as by how
// much the controllers began at other times than in the shot before nobody knows.
//
//	offer ──▶ segments (bounded) ──▶ loop ──▶ align.Live of each stage ──▶ events, sync.jsonl
type syncer struct {
	dir      string
	observer event.Observer
	log      *stage.SyncLog
	stages   []*follower
	segments chan offered
	lives    []*live.Stream
	missed   atomic.Int64 // segments that found no room
	behind   bool         // and it was said
	stop     context.CancelFunc
	done     chan struct{} // closed when the loop has ended

	finishing atomic.Bool     // nothing more is offered
	last      time.Duration   // lastValues
	searches  time.Duration   // lastSearches
	patience  context.Context // ends when clocks that were never found are looked for no more
	resign    context.CancelFunc
}

// offered is a proven segment.
type offered struct {
	run.Segment
	nth int    // of its channel in the shot, from 0
	at  uint64 // where the time 0 of the shot lies in the run, in ps
	// began is when the controllers of its node began the shot; nil: nobody knows.
	began *run.Start
}

// follower is one align stage. It takes the segments of both channels in
// pairs of the same place, because those are of the same time.
type follower struct {
	event.Sync        // what all its events have in common
	reference, target pile
	config            stage.AlignConfig
	live              *align.Live      // of the shot that is followed
	jumps             []track.Step     // of the clock in the shots before
	pairs             *stage.LivePairs // nil: not counted
	values            []align.Value    // of the clock, in the segment that is followed
	several           bool             // shots are taken
	patience          context.Context  // nil: the clock is looked for as long as there are tags
	ends              int              // the place in a shot of its last segment as planned
	over              bool             // given up
	next              place
}

// pile holds the proven segments of a channel that were not followed yet.
type pile struct {
	channel  string
	sink     string // whose files are followed: that of the first segment that came
	segments map[place]offered
}

// newSyncer starts to follow the clocks of a recipe with align stages. The
// manifest is only read, and only here.
func newSyncer(d *run.Directory, r *recipe.Recipe, m *run.Manifest, o event.Observer, lives []*live.Stream) (*syncer, error) {
	s := &syncer{dir: d.Path(), observer: o, lives: lives, segments: make(chan offered, maxProven), done: make(chan struct{}), last: lastValues, searches: lastSearches}
	aligns, err := followed(r)
	if err != nil {
		return nil, err
	}
	for _, st := range aligns {
		f, err := newFollower(st, r, m)
		if err != nil {
			return nil, err
		}
		s.stages = append(s.stages, f)
	}
	if s.log, err = stage.NewSyncLog(d.Path()); err != nil {
		return nil, err
	}
	ctx, stop := context.WithCancel(context.Background()) // ended by end
	s.stop = stop
	s.patience, s.resign = context.WithCancel(ctx)
	s.limitSearches()
	go s.loop(ctx)
	return s, nil
}

// newFollower makes ready to follow the clock of one align stage.
func newFollower(st stage.AlignStage, r *recipe.Recipe, m *run.Manifest) (*follower, error) {
	known, err := align.NewLive(stage.AlignOptions(m, st.AlignConfig, 0))
	if err != nil {
		return nil, fmt.Errorf("stage %q: %w", st.Name, err)
	}
	counted, err := stage.NewLivePairs(r, st.Name, st.Reference, st.Target)
	if err != nil {
		return nil, err
	}
	f := &follower{
		Sync:      event.Sync{Stage: st.Name, Reference: st.Reference, Target: st.Target},
		reference: newPile(st.Reference), target: newPile(st.Target), config: st.AlignConfig, live: known, pairs: counted,
		several: r.Acquire.Shots() > 1, ends: int((r.Acquire.Duration - 1) / max(r.Acquire.Segment, 1)),
	}
	f.nameShot()
	return f, nil
}

// followed are the stages whose clocks can be followed live: not those of markers,
// of which a segment may hold none. Of several channels the first ones are followed; of
// several clocks each against the reference, and those that share no light with it are
// found at the end.
func followed(r *recipe.Recipe) (each []stage.AlignStage, err error) {
	aligns, err := stage.AlignStages(r)
	for _, s := range aligns {
		if s.By == stage.ByMarkers {
			continue
		}
		for _, c := range s.Each(r) {
			each = append(each, stage.AlignStage{Name: s.Name, AlignConfig: c})
		}
	}
	return each, err
}

func newPile(channel string) pile { return pile{channel: channel, segments: map[place]offered{}} }

// put takes a segment of the channel.
func (p *pile) put(s offered) bool {
	if s.Node+"."+s.Channel != p.channel {
		return false
	}
	if p.sink == "" {
		p.sink = s.Sink
	}
	if s.Sink != p.sink {
		return false
	}
	p.segments[place{s.Part, s.nth}] = s
	return true
}

// offer hands over a proven segment. It never waits.
func (s *syncer) offer(segment offered) {
	select {
	case s.segments <- segment:
	default:
		s.missed.Add(1)
	}
}

// close ends sync.jsonl and says what is not in it.
func (s *syncer) close() {
	leftOut, err := s.log.Close()
	if err != nil {
		s.warn(fmt.Sprintf("%s: %v", stage.SyncFile, err), "its values are lost, the results are not")
	} else if leftOut > 0 {
		s.warn(fmt.Sprintf("%d values are not in %s", leftOut, stage.SyncFile), "the results of the align stages cover the whole record")
	}
	if n := s.missed.Load(); n > 0 {
		s.warn(quantity.Counted(n, "segment")+" came faster than live alignment could follow", "the align stages look at them")
	}
}

// lag says when the syncer falls behind, once each time.
func (s *syncer) lag() {
	waiting := len(s.segments) / (2 * len(s.stages))
	switch {
	case waiting == 0:
		s.behind = false
	case waiting >= behindAfter && !s.behind:
		s.behind = true
		s.warn(fmt.Sprintf("live alignment is %s behind", quantity.Counted(waiting, "segment")), "recording goes on unhindered; longer segments or a faster PC would help")
	}
}

func (s *syncer) warn(message, hint string) {
	s.observer.Observe(event.Warning{Message: message, Hint: hint})
}

// follow takes a stage through the segments that are there of both channels.
func (s *syncer) follow(ctx context.Context, f *follower) {
	for !f.over && ctx.Err() == nil {
		at, ok := f.ready()
		if !ok {
			return
		}
		err := f.goTo(at)
		if err == nil {
			err = s.segment(ctx, f, at)
		}
		if err == nil {
			s.countPairs(ctx, f, at)
		}
		next := at.nth + 1
		if !f.several {
			next = f.reference.segments[at].Index + 1
		}
		f.drop(at)
		f.over = err != nil && ctx.Err() == nil
		for _, l := range s.lives {
			l.Follow(live.Followed{Stage: f.Stage, Reference: f.Reference, Target: f.Target, Shot: at.shot, Next: next, Values: slices.Clone(f.values), State: f.live.State(), Over: f.over})
		}
		if f.over {
			s.warn(fmt.Sprintf("stage %q is not followed live any more: %v", f.Stage, err), "it looks at the whole record at the end")
		}
	}
}

// segment follows a stage through one segment of both channels.
func (s *syncer) segment(ctx context.Context, f *follower, at place) (err error) {
	a, b := s.open(f.reference.segments[at]), s.open(f.target.segments[at])
	defer func() { err = errors.Join(err, a.Close(), b.Close()) }()
	var last *align.Value // held back, because it may be the segment's last
	each := func(values []align.Value) {
		for _, v := range values {
			f.remember(v)
			if last != nil {
				s.tell(f, *last, nil)
			}
			last = &v
		}
	}
	if err = f.live.Read(ctx, a, b, each); err == nil && f.several && at.nth == f.ends {
		var found []align.Value
		found, err = f.live.Finish(ctx)
		each(found)
	}
	if err != nil {
		return err
	}
	number := f.reference.segments[at].Index
	if last != nil {
		s.tell(f, *last, &number)
		return nil
	}
	e := f.Sync
	e.Segment, e.State = &number, f.live.State()
	s.record(e)
	e.Allan = f.live.Deviations()
	s.observer.Observe(e)
	return nil
}

// tell writes a value down and shows it where somebody should see it at once.
func (s *syncer) tell(f *follower, v align.Value, segment *int) {
	e := f.Sync
	changed := v.State != f.State
	f.State = v.State
	e.State, e.Value, e.Segment = v.State, &v, segment
	s.record(e)
	if segment != nil {
		e.Allan = f.live.Deviations()
	}
	if segment != nil || changed {
		s.observer.Observe(e)
	}
}

func (s *syncer) record(e event.Sync) {
	if err := s.log.Append(e); err != nil {
		s.warn(err.Error(), "no more live values are kept; the run goes on")
	}
}

func (s *syncer) open(segment offered) tagfile.ReadCloser {
	return stage.OpenPlaced(s.dir, segment.Segment, segment.at)
}
