package follow

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tsrun/pipeline/master"
	"tsrun/pipeline/run"
	"tsrun/sdk"
	"tsrun/sdk/following"
)

const (
	// lookEvery is how often the directory is looked at.
	lookEvery = 200 * time.Millisecond
	// killedAfter is how long nothing comes before it is asked whether the master is alive.
	killedAfter = 3 * time.Second
)

// series are the files of one channel by one sink.
type series struct{ node, channel, sink string }

// followed is one series.
type followed struct {
	following.Total
	waiting map[int]run.Segment // told of, by index, and not read
	next    int
}

// follower follows one run.
type follower struct {
	o     Options
	out   *following.Printer
	m     *run.Manifest // the newest that was read
	stamp os.FileInfo   // of its file
	tail  *master.Tail
	of    map[series]*followed
	known map[string]bool // files that were told of
	lacks []string        // what is not here, in words
	moved time.Time       // when something came last
	text  []byte          // reused
	tags  []uint64
}

// follow reads until the run has ended.
func (f *follower) follow(ctx context.Context) error {
	f.moved = time.Now()
	for {
		over, err := f.look()
		if err != nil || over {
			return err
		}
		if err := f.silent(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(lookEvery):
		}
	}
}

// look reads what has come since it was called last, and says whether that was all.
func (f *follower) look() (over bool, err error) {
	if err := f.readManifest(); err != nil || f.m == nil {
		return false, err
	}
	before := f.tail.Records()
	told, err := f.tail.Next()
	if err != nil && f.m.Ended.IsZero() { // what the last manifest says is enough
		return false, err
	}
	if f.tail.Records() > before {
		f.moved = time.Now()
	}
	for _, s := range told {
		f.enter(s)
	}
	over = !f.m.Ended.IsZero() && !f.tail.Held()
	if over {
		f.conclude()
	}
	for _, s := range f.sorted() {
		if err := f.deliver(s, over); err != nil {
			return false, err
		}
	}
	if over {
		return true, f.judge()
	}
	return false, nil
}

// readManifest reads it where it is another than before. Until the nodes have joined
// there is none.
func (f *follower) readManifest() error {
	stamp, err := os.Stat(filepath.Join(f.o.Dir, run.ManifestFile))
	if errors.Is(err, fs.ErrNotExist) && f.m == nil {
		if _, err := os.Stat(filepath.Join(f.o.Dir, run.JournalFile)); err == nil {
			return nil
		}
		return run.NoRun(f.o.Dir)
	}
	if errors.Is(err, syscall.ENOTDIR) {
		return run.NoRun(f.o.Dir)
	}
	if err != nil {
		return fmt.Errorf("follow the run: %w", err)
	}
	if f.stamp != nil && os.SameFile(stamp, f.stamp) && stamp.ModTime().Equal(f.stamp.ModTime()) && stamp.Size() == f.stamp.Size() {
		return nil
	}
	m, err := run.ReadManifest(f.o.Dir)
	if err != nil {
		return err
	}
	if f.m == nil {
		if err := f.o.check(m); err != nil {
			return err
		}
		f.tail = master.NewTail(f.o.Dir, m)
	} else if m.Ended.IsZero() { // what the journal says of controllers may not be in this one
		m = f.m
	}
	f.m, f.stamp, f.moved = m, stamp, time.Now()
	return nil
}

// enter takes a segment that was told of, once.
func (f *follower) enter(s run.Segment) {
	if f.known[s.File] || !s.HoldsTags() || !f.o.wants(&s) {
		return
	}
	f.known[s.File] = true
	k := series{s.Node, s.Channel, s.Sink}
	if f.of[k] == nil {
		f.of[k] = &followed{Total: following.Total{Channel: s.Node + "." + s.Channel, Sink: s.Sink}, waiting: map[int]run.Segment{}}
	}
	f.of[k].waiting[s.Index] = s
}

// conclude takes what the last manifest says: of what it does not call verified nothing
// is believed.
func (f *follower) conclude() {
	for _, s := range f.of {
		clear(s.waiting)
	}
	done := func(s *run.Segment) bool {
		of := f.of[series{s.Node, s.Channel, s.Sink}]
		return of != nil && s.Index < of.next
	}
	for _, s := range f.m.Segments {
		switch {
		case !s.HoldsTags() || !f.o.wants(&s) || done(&s):
		case !s.Verified:
			f.lack(s.File + " was recorded and never proven here")
		case !s.InRaw():
			f.lack(fmt.Sprintf("%.200q is elsewhere", s.File))
		default:
			delete(f.known, s.File)
			f.enter(s)
		}
	}
}

func (f *follower) lack(what string) { f.lacks = append(f.lacks, what) }

// sorted are the series, by their names.
func (f *follower) sorted() (list []*followed) {
	for _, s := range f.of {
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b *followed) int {
		return cmp.Or(strings.Compare(a.Channel, b.Channel), strings.Compare(a.Sink, b.Sink))
	})
	return list
}

// silent says that nothing has come for too long.
func (f *follower) silent() error {
	quiet := time.Since(f.moved)
	if f.tail == nil {
		if quiet > f.o.Wait {
			return &sdk.Failure{Code: "follow-silent", Message: fmt.Sprintf("the run in %s has not begun for %v", f.o.Dir, f.o.Wait), Hint: "have its nodes joined? --wait lets it take longer"}
		}
		return nil
	}
	if f.m.Ended.IsZero() && f.tail.Records() > 0 && quiet > min(killedAfter, f.o.Wait) && !f.tail.Held() {
		return &sdk.Failure{Code: "follow-killed", Message: "the run in " + f.o.Dir + " has not ended and no master is at work: it was killed",
			Hint: "tsrun resume " + f.o.Dir + " finishes the run; then follow it again"}
	}
	if quiet > f.o.Wait && !(f.tail.Analysing() && f.tail.Held()) { // stages take their time
		return &sdk.Failure{Code: "follow-silent", Message: fmt.Sprintf("nothing has come of the run in %s for %v, and it has not ended", f.o.Dir, f.o.Wait), Hint: "does the run still record? --wait lets it take longer"}
	}
	return nil
}

// totals prints what has come of each series.
func (f *follower) totals() (err error) {
	for _, s := range f.sorted() {
		err = errors.Join(err, f.out.JSON(s.Total))
	}
	return err
}
