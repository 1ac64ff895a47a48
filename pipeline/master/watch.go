package master

import (
	"errors"
	"os"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/wire"
)

// A bench that is watched goes to watching when all nodes are ready, and on to arming when
// the user wants it recorded:
//
//	joining → watching → arming → armed → …
//	             └──── Ctrl-C ───▶ done, and nothing is kept

// record has what was watched recorded.
func (s state) record() (state, []any) {
	if s.phase != watching {
		return s, nil
	}
	if s.rules.leaves {
		s.phase = done
		return s, []any{s.order(wire.Abort)}
	}
	s.phase = arming
	return s, []any{s.order(wire.Arm), doDeadline{armTimeout}}
}

// beginRecord lets the run begin when it is recorded, not when somebody began to watch.
func (c *conductor) beginRecord(happened any) {
	if _, now := happened.(evRecord); !now || c.state.phase != watching {
		return
	}
	if c.left = c.options.Leave; !c.left {
		c.book.manifest.Started, c.recorded = time.Now().UTC(), true
	}
}

// endWatch ends the count of what is seen, when nobody wants to see more.
func (c *conductor) endWatch() {
	if c.watcher != nil && c.state.phase != joining && c.state.phase != watching {
		c.watcher.End()
	}
}

// look shows what a node sees that is watched. Of what is said twice, or too late, nothing
// is counted twice.
func (c *conductor) look(name string, m *member, g *wire.Glimpse) {
	if g == nil || c.watcher == nil || c.state.phase != watching && c.state.phase != joining || g.Seq <= m.glimpse || len(g.Streams) > len(c.book.channels[name]) {
		return
	}
	m.glimpse = g.Seq
	e := event.Progress{Node: name, Channels: map[string]event.ChannelProgress{}}
	slowest := ^uint64(0)
	for _, s := range g.Streams {
		if int(s.Stream) >= len(c.book.channels[name]) {
			return
		}
		e.Tags += s.Tags
		slowest = min(slowest, s.Until)
		e.Channels[c.book.channels[name][s.Stream]] = event.ChannelProgress{Tags: s.Tags, Lost: s.Lost, UntilPs: s.Until}
	}
	if len(g.Streams) > 0 {
		e.Elapsed = time.Duration(slowest / 1000)
	}
	c.watcher.Offer(name, g)
	c.observe(e)
}

// onlyWatched reports whether nothing was to be recorded until the end.
func (c *conductor) onlyWatched() bool {
	return c.options.Record != nil && !c.recorded
}

// discard leaves nothing of a run that was only watched.
func (c *conductor) discard(err error) (*Outcome, error) {
	if c.journal != nil {
		err = errors.Join(err, c.journal.Close())
	}
	err = errors.Join(err, os.RemoveAll(c.dir.Path()))
	if c.madeRuns {
		_ = os.Remove(c.options.Runs) // unless another run is in it
	}
	c.observe(event.Finished{})
	switch {
	case c.state.phase == failed:
		return nil, errors.Join(&Refusal{cause: c.state.troubles[len(c.state.troubles)-1].failure}, err)
	case err != nil:
		return nil, err
	}
	return &Outcome{Watched: true, Left: c.left}, nil
}
