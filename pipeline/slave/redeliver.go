package slave

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"tsrun/pipeline/fact"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// redeliver gives a master what this slave holds of its run. The master has shown
// that it knows the token of the session.
func (j *joiner) redeliver(ctx context.Context, w *wire.Welcome) error {
	dir := filepath.Join(j.options.Data, w.Run+"-"+j.options.Node)
	if _, ok := wire.ParseID(w.Run); !ok {
		return fmt.Errorf("read the master's welcome: run %.40q is not 32 hexadecimal digits", w.Run)
	}
	h, l, err := openHeld(dir)
	if err != nil {
		return fmt.Errorf("deliver what is in %s: %w", dir, err)
	}
	defer l.close()
	token, ok := wire.ParseID(h.welcome.Token)
	if !ok || h.welcome.Run != w.Run || !wire.Proven(w.Proof, token, wire.ResumedByMaster, w.Run, j.options.Node, j.instance) {
		return fmt.Errorf("deliver what is in %s: this master does not know the run's token, so it gets nothing", dir)
	}
	var r recipe.Recipe
	if err := json.Unmarshal(h.welcome.Recipe, &r); err != nil {
		return fmt.Errorf("deliver what is in %s: read its recipe: %w", dir, err)
	}
	if err := r.CheckPart(j.options.Node); err != nil {
		return fmt.Errorf("deliver what is in %s: read its recipe: %w", dir, err)
	}
	again := h.welcome
	again.TriggerPort, again.FilesPort, again.Master = w.TriggerPort, w.FilesPort, w.Master
	s, err := newSession(j.options, &again, &r, j.addresses(&again))
	if err != nil {
		return err
	}
	s.log.Info("delivering what an earlier session recorded", "run", w.Run, "dir", dir)
	return s.runAgain(ctx, h, l, w)
}

// runAgain is a session that delivers what one before has recorded, and first records
// what is left of the run where the master wants that.
func (s *session) runAgain(ctx context.Context, h *held, l *ledger, w *wire.Welcome) (err error) {
	s.ledger, s.fired, s.instant = l, true, time.Unix(0, cmp.Or(h.began, h.fired.Instant))
	s.shared = h.shared
	s.user.setStage(over)
	s.reporter.restore(l, h, w.Seen)
	s.kept.restore(h)
	why := s.cannotGoOn(w.Record && h.began != 0)
	if !h.recorded && why == nil {
		s.reporter.setPhase(wire.Running)
	}
	var eq *equipment
	return s.within(ctx, func(ctx context.Context, cancel context.CancelCauseFunc, group *errgroup.Group, background context.Context) (err error) {
		s.startSender(group, background)
		for _, n := range h.news {
			if n.Segment != nil {
				s.queueAgain(n.Segment)
			}
		}
		switch {
		case h.recorded:
		case why != nil:
			s.endCut(why)
		default:
			eq, err = s.goOn(ctx, cancel)
		}
		return err
	}, func() { eq.close(); s.runtime.Remove() })
}

// endCut tells that the record ends where the session before has ended.
func (s *session) endCut(why error) {
	s.reporter.setPhase(wire.Draining)
	s.reporter.queueFailure(&sdk.Failure{Code: wire.SlaveEnded, Message: fmt.Sprintf("its slave ended while it recorded, so the record ends there%s", after(why)),
		Hint: "what was in closed files is delivered"})
	s.ledger.keep(entry{Recorded: true})
}

// queueAgain queues a file that was closed by an earlier session.
func (s *session) queueAgain(segment *wire.Segment) {
	path := filepath.Join(s.dir, filepath.FromSlash(segment.File))
	file, err := transfer.FileOf(segment.Number, segment.Segment)
	file.Path = path
	s.files = append(s.files, file)
	if err != nil {
		s.reporter.queueFailure(fmt.Errorf("deliver %s: %w", segment.File, err))
		return
	}
	if _, err := os.Stat(path); err != nil {
		s.log.Warn("a file that was recorded is not there any more", "file", path, "error", err)
	}
	s.sender.Queue(file)
}

// restore gives a reporter the news of an earlier session, from the first that the
// master has not seen.
func (r *reporter) restore(l *ledger, h *held, seen uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ledger, r.phase, r.order, r.beacon = l, wire.Draining, h.fired.Seq, true
	counts := h.counts
	r.progress = func() []fact.StreamCounts { return counts }
	r.news, r.lastNews = numbered(h.news, seen)
}

// takenOver queues again what another master than before has not seen: that one may have
// been killed while its disk took nothing of what it was told.
func (r *reporter) takenOver(master string, seen uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.master = master
	next := r.lastNews + 1
	if len(r.news) > 0 {
		next = r.news[0].Seq
	}
	if r.ledger == nil || seen+1 >= next {
		return
	}
	h, _ := readHeld(r.ledger.dir) // what cannot be read is told as numbers with nothing
	again, last := numbered(slices.DeleteFunc(h.news, func(n wire.News) bool { return n.Seq >= next }), seen)
	for ; last+1 < next; last++ {
		again = append(again, queued{News: wire.News{Seq: last + 1}, bytes: emptyNews})
	}
	r.news = append(again, r.news...)
}

// numbered returns what is behind the last news that a master has seen, without gaps, and
// the last number. Those that no ledger has were lines of the log; their numbers are told,
// with nothing.
func numbered(news []wire.News, seen uint64) (all []queued, last uint64) {
	last = seen
	for _, n := range news {
		if n.Seq <= seen {
			continue
		}
		for last+1 < n.Seq {
			last++
			all = append(all, queued{News: wire.News{Seq: last}, bytes: emptyNews})
		}
		t, _ := measured(n)
		last = n.Seq
		all = append(all, t)
	}
	return all, last
}

// emptyNews is about how long a number alone is, in bytes of JSON.
const emptyNews = 16
