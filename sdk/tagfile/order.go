package tagfile

import (
	"cmp"
	"io"
	"slices"
	"sort"

	"tsrun/sdk/tag"
)

const (
	// reorder is how far back a tag may be, in ps, where a format says nothing
	// else: recorders write channels through buffers of their own, which are
	// out of step by some 100 ns.
	reorder = 1_000_000
	// maxPending bounds the tags that are held back to be sorted. More than
	// these within the reorder window are as many as no instrument delivers.
	maxPending = 4096
	// severalRecords is the usual cause of tags that go back in time farther.
	severalRecords = "the file may hold several records one after another"
)

// causeOf is why the last tag of a source may go back in time.
func causeOf(src source) string {
	if s, ok := src.(interface{ cause() string }); ok {
		return s.cause()
	}
	return severalRecords
}

// event is a tag and its channel.
type event struct {
	t       uint64
	channel int
}

// events yields the tags of several channels by time.
type events interface {
	// next fills buf with the tags that come next, as many as follow each other
	// in one channel, at least one; io.EOF at the end.
	next(buf []uint64) (n, channel int, err error)
	info() Info
}

// sorter puts the tags of a source in order of time, as far as they are out of
// order by at most its format's reorder window. Tags of one time stay as they were.
type sorter struct {
	f       *file
	src     source
	reorder uint64 // ps
	tally   tally
	want    func(channel int) error // skip, or an error that ends the reading
	pending []event                 // sorted, from head on
	head    int
	latest  uint64
	gone    uint64 // the tag that went out last
	started bool
	end     error
}

// skip is what want returns for a channel that is not wanted.
var skip = io.ErrNoProgress

func newSorter(f *file, ft Format, src source, want func(channel int) error) *sorter {
	s := &sorter{f: f, src: src, want: want, reorder: cmp.Or(ft.reorder, reorder), tally: tally{info: Info{Format: ft.Name, Size: f.Size(), Resolution: ft.Resolution}}}
	if r, ok := src.(resolved); ok {
		s.tally.info.Resolution = cmp.Or(r.resolution(), ft.Resolution)
	}
	return s
}

func (s *sorter) info() Info {
	info := s.tally.done(s.src.facts())
	info.Raised = s.f.raise
	if of, ok := s.src.(*salvager); ok {
		info.Damage = of.damage()
	}
	return info
}

// next ends with the first tag behind the limits of the file, so that no more of
// it is read than is wanted.
func (s *sorter) next(buf []uint64) (n, channel int, err error) {
	for n < len(buf) {
		if !s.ready() {
			if s.end != nil && n == 0 {
				return 0, 0, s.end
			} else if s.end != nil {
				break
			}
			s.end = s.pull()
			continue
		}
		first := s.pending[s.head]
		if n > 0 && first.channel != channel {
			break
		}
		buf[n], channel = first.t, first.channel
		n++
		s.head++
		s.gone, s.started = first.t, true
		if first.t > s.f.limits.last {
			break
		}
	}
	return n, channel, nil
}

// ready says that no tag can come any more that belongs before the first one pending.
func (s *sorter) ready() bool {
	n := len(s.pending) - s.head
	return n > 0 && (s.end != nil || n > maxPending || s.latest-s.pending[s.head].t >= s.reorder)
}

// pull takes the next tag that is wanted from the source.
func (s *sorter) pull() error {
	for {
		channel, t, err := s.src.next()
		if err != nil {
			return err
		}
		s.tally.add(channel, t)
		if s.want != nil {
			if err := s.want(channel); err == skip {
				continue
			} else if err != nil {
				return err
			}
		}
		return s.put(event{t, channel})
	}
}

// put puts a tag where it belongs among the pending ones.
func (s *sorter) put(e event) error {
	if s.head == len(s.pending) {
		s.pending, s.head = s.pending[:0], 0
	} else if s.head > 2*maxPending {
		s.pending, s.head = s.pending[:copy(s.pending, s.pending[s.head:])], 0
	}
	if e.t >= s.latest {
		s.latest = e.t
		s.pending = append(s.pending, e)
		return nil
	}
	if s.latest-e.t > s.reorder || s.started && e.t < s.gone {
		return s.f.errorf("%s goes back in time: %s ps after %s ps, farther than the %d ps that are sorted; %s",
			s.src.place(), tag.MomentOf(e.t, s.f.raise), tag.MomentOf(s.latest, s.f.raise), s.reorder, causeOf(s.src))
	}
	waiting := s.pending[s.head:]
	at := sort.Search(len(waiting), func(i int) bool { return waiting[i].t > e.t })
	s.pending = slices.Insert(s.pending, s.head+at, e)
	return nil
}

// window does for a single list of tags what a sorter does for a source, many
// tags at a time.
type window struct {
	f     *file
	read  func(buf []uint64) (int, error) // the next tags in file order, at least one
	left  func() int                      // at most how many tags read still has
	batch int                             // tags that are read at once
	place func(nth uint64) string

	buf     []uint64 // sorted
	head    int
	ready   int // from head to here may go out
	taken   uint64
	first   uint64 // the earliest
	latest  uint64
	before  uint64 // the previous tag in the file
	gone    uint64 // the last tag that went out
	ordered Info   // its figures of order and pauses
	end     error
}

// Left is at most how many tags the reader still has.
func (w *window) Left() int { return len(w.buf) - w.head + w.left() }

// windowBatch is how many tags of a long list are read at once.
const windowBatch = 1 << 15

func (w *window) Next(buf []uint64) (int, error) {
	for w.head == w.ready {
		if w.end != nil {
			return 0, w.end
		}
		w.end = w.fill()
	}
	n := copy(buf, w.buf[w.head:w.ready])
	w.head += n
	return n, nil
}

// fill reads the next batch and says how much of it may go out.
func (w *window) fill() error {
	if w.buf == nil {
		w.buf = make([]uint64, 0, w.batch+min(w.batch, maxPending))
	}
	held := copy(w.buf[:cap(w.buf)], w.buf[w.head:])
	n, err := w.read(w.buf[held : held+w.batch])
	w.buf, w.head, w.ready = w.buf[:held+n], 0, 0
	whole, bad := w.check(held)
	w.buf = w.buf[:whole]
	if bad != nil {
		err = bad
	}
	w.ready = len(w.buf)
	if err == nil {
		for w.ready > 0 && len(w.buf)-w.ready < maxPending && w.latest-w.buf[w.ready-1] < reorder {
			w.ready--
		}
	}
	if w.ready > 0 {
		w.gone = w.buf[w.ready-1]
	}
	return err
}

// check sorts the buffer, of which the first tags are sorted already. The
// error is for a tag too far back; how many are before it is returned too.
func (w *window) check(held int) (n int, bad error) {
	sorted := true
	if w.taken == 0 && held < len(w.buf) {
		w.first, w.latest = w.buf[held], w.buf[held]
	}
	for n = held; n < len(w.buf) && bad == nil; {
		if even := tag.InStep(w.latest, w.buf[n:], w.ordered.Pause); even > 0 {
			n += even
			w.latest, w.before = w.buf[n-1], w.buf[n-1]
		}
		for end := min(n+tag.AtOnce, len(w.buf)); n < end; n++ {
			inOrder := w.buf[n] >= w.latest
			if sorted = sorted && inOrder; inOrder {
				w.goOn(w.buf[n])
			} else if bad = w.goBack(w.buf[n], w.taken+uint64(n-held)); bad != nil {
				break
			}
		}
	}
	w.taken += uint64(n - held)
	if !sorted {
		slices.Sort(w.buf[:n])
	}
	return n, bad
}

// goOn takes note of a tag in order.
func (w *window) goOn(t uint64) {
	if pause := t - w.latest; pause > w.ordered.Pause {
		w.ordered.Pause, w.ordered.PauseFrom = pause, w.latest
	}
	w.latest, w.before = t, t
}

// goBack takes note of a tag out of order, the nth; an error says that it is too far back.
func (w *window) goBack(t, nth uint64) error {
	w.ordered.Farthest = max(w.ordered.Farthest, w.latest-t)
	if t < w.before {
		w.ordered.Violations++
	}
	if w.latest-t > reorder || t < w.gone {
		return w.f.errorf("%s goes back in time: %d ps after %d ps, farther than the %d ps that are sorted; %s",
			w.place(nth), t, w.latest, reorder, severalRecords)
	}
	w.first, w.before = min(w.first, t), t
	return nil
}

// merged is the events of readers of one channel each.
type merged struct {
	of      *tagsFile
	readers []*blockReader
	m       *tag.Merger
	missing error // what ends them instead of io.EOF
}

// events yields all channels that are wanted, none for all.
func (t *tagsFile) events(channels []int) (*merged, error) {
	e := &merged{missing: t.missing}
	var readers []tag.Reader
	if channels == nil {
		for _, c := range t.summary().Channels {
			channels = append(channels, c.Channel)
		}
	}
	t.missing = nil // told once, after all channels
	e.of = t
	for _, c := range channels {
		r, err := t.reader(c)
		if err != nil {
			return nil, err
		}
		e.readers, readers = append(e.readers, r), append(readers, r)
	}
	e.m = tag.Merge(readers...)
	return e, nil
}

func (m *merged) next(buf []uint64) (n, channel int, err error) {
	nth := 0
	if len(m.readers) == 1 { // nothing to merge: straight to where it is wanted
		n, err = m.readers[0].Next(buf)
	} else {
		n, nth, err = m.m.Next(buf)
	}
	if err == io.EOF && m.missing != nil {
		err = m.missing
	}
	if err == nil {
		err = m.of.raiseAll(buf[:n])
	}
	if err != nil {
		return 0, 0, err
	}
	return n, m.readers[nth].of.Channel, nil
}

func (m *merged) info() Info {
	info := Info{}
	for _, r := range m.readers {
		one := r.Info()
		one.Channels = append(info.Channels, one.Channels...)
		info = one
	}
	info.Damage = m.of.found()
	return info
}
