package sdk

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tsrun/sdk/tag"
)

// capture is a core that keeps the blocks it is sent, after checking them as
// the real one does.
type capture struct {
	mu     sync.Mutex
	blocks map[uint16][]tag.Block
	seqs   map[uint16]*tag.Sequence
	fail   error
	bad    error
	closed bool
}

func newCapture() *capture {
	return &capture{blocks: map[uint16][]tag.Block{}, seqs: map[uint16]*tag.Sequence{}}
}

func (c *capture) Send(_ time.Duration, frames ...[]byte) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	h, err := tag.DecodeHeader(slices.Clone(frames[0]))
	if err == nil {
		err = h.Check(frames[1])
	}
	if err == nil {
		if c.seqs[h.Stream] == nil {
			c.seqs[h.Stream] = &tag.Sequence{Stream: h.Stream}
		}
		err = c.seqs[h.Stream].Accept(h)
	}
	if err != nil {
		c.bad = errors.Join(c.bad, err)
		return err
	}
	b := h.Block(frames[1], nil)
	b.Tags = slices.Clone(b.Tags)
	c.blocks[h.Stream] = append(c.blocks[h.Stream], b)
	return nil
}

func (c *capture) Close() error { c.closed = true; return nil }

// tags returns all tags of a stream, the losses told, and its last block.
func (c *capture) tags(stream uint16) (tags []uint64, lost uint64, last tag.Block) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, b := range c.blocks[stream] {
		tags = append(tags, b.Tags...)
		lost += b.Lost
		last = b
	}
	return tags, lost, last
}

func acquisitionOf(streams ...uint16) Acquisition {
	a := Acquisition{Run: tag.RunID{1}}
	for _, s := range streams {
		a.Channels = append(a.Channels, Channel{Stream: s})
	}
	return a
}

// sender drives a stream at random and remembers what it sent.
type sender struct {
	s       *Stream
	want    map[uint16][]uint64
	reached map[uint16]uint64
	lost    map[uint16]uint64
}

func (d *sender) step(t *rapid.T) {
	id := rapid.SampledFrom([]uint16{3, 7}).Draw(t, "stream")
	switch rapid.SampledFrom([]string{"send", "send", "mark", "lost", "flush"}).Draw(t, "step") {
	case "send":
		d.send(t, id)
	case "mark":
		d.reached[id] += rapid.Uint64Range(0, 1e12).Draw(t, "ahead")
		if err := d.s.Mark(id, d.reached[id]); err != nil {
			t.Fatal(err)
		}
	case "lost":
		n := rapid.Uint64Range(0, 5).Draw(t, "lost")
		d.lost[id] += n
		d.s.Lost(id, n, "test")
	case "flush":
		d.s.flushAll()
	}
}

func (d *sender) send(t *rapid.T, id uint16) {
	n := rapid.IntRange(0, 100).Draw(t, "tags")
	if rapid.Bool().Draw(t, "large") {
		n = rapid.SampledFrom([]int{blockTags - 1, blockTags, blockTags + 1, tag.MaxBlockTags, tag.MaxBlockTags + 5}).Draw(t, "many")
	}
	spacing := rapid.Uint64Range(0, 1000).Draw(t, "spacing")
	tags := make([]uint64, n)
	for i := range tags {
		d.reached[id] += spacing
		tags[i] = d.reached[id]
	}
	d.want[id] = append(d.want[id], tags...)
	if err := d.s.Send(id, tags); err != nil {
		t.Fatal(err)
	}
	clear(tags) // they are ours again
}

// TestStreamKeepsEverything: whatever a driver sends in whatever pieces comes
// out as blocks that the core accepts, with the same tags and losses.
func TestStreamKeepsEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		core := newCapture()
		d := &sender{s: NewStream(core, acquisitionOf(3, 7)),
			want: map[uint16][]uint64{}, reached: map[uint16]uint64{}, lost: map[uint16]uint64{}}
		var told uint64
		d.s.lost = func(l Loss) { told += l.Tags }
		for range rapid.IntRange(0, 30).Draw(t, "steps") {
			d.step(t)
		}
		counts, err := d.s.Finish()
		if err != nil || core.bad != nil {
			t.Fatal(err, core.bad)
		}
		if told != d.lost[3]+d.lost[7] {
			t.Fatalf("told of %d lost tags, want %d", told, d.lost[3]+d.lost[7])
		}
		for i, id := range []uint16{3, 7} {
			tags, missing, last := core.tags(id)
			if !slices.Equal(tags, d.want[id]) || missing != d.lost[id] {
				t.Fatalf("stream %d: %d tags and %d lost, want %d and %d", id, len(tags), missing, len(d.want[id]), d.lost[id])
			}
			if last.Kind != tag.End || last.Until != d.reached[id] {
				t.Fatalf("stream %d ends with %v until %d, want End until %d", id, last.Kind, last.Until, d.reached[id])
			}
			c := counts[i]
			if c.Stream != id || c.Tags != uint64(len(tags)) || c.Lost != d.lost[id] || c.Blocks != last.Seq+1 || c.Until != d.reached[id] {
				t.Fatalf("counts of stream %d: %+v", id, c)
			}
		}
		if !core.closed {
			t.Fatal("the connection was left open")
		}
	})
}

func TestStreamPlacesALossBetweenTags(t *testing.T) {
	core := newCapture()
	s := NewStream(core, acquisitionOf(1))
	for _, step := range []error{s.Send(1, []uint64{10, 20})} {
		if step != nil {
			t.Fatal(step)
		}
	}
	s.Lost(1, 4, "overflow")
	if err := s.Send(1, []uint64{50}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finish(); err != nil {
		t.Fatal(err)
	}
	blocks := core.blocks[1]
	at := slices.IndexFunc(blocks, func(b tag.Block) bool { return b.Lost == 4 })
	var before []uint64
	for _, b := range blocks[:max(at, 0)] {
		before = append(before, b.Tags...)
	}
	if at < 0 || !slices.Equal(before, []uint64{10, 20}) {
		t.Errorf("the loss is told by block %d, after tags %v", at, before)
	}
}

func TestStreamSendsWhatWaits(t *testing.T) {
	core := newCapture()
	s := NewStream(core, acquisitionOf(1))
	defer s.Finish()
	if err := s.Send(1, []uint64{5}); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for {
		if tags, _, _ := core.tags(1); len(tags) == 1 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a single tag was kept for ten seconds")
		}
		time.Sleep(time.Millisecond)
	}
}

func TestStreamRefuses(t *testing.T) {
	tests := []struct {
		name string
		do   func(*Stream) error
		code string
	}{
		{"a tag before the one before it", func(s *Stream) error { return s.Send(1, []uint64{5, 4}) }, "tags-out-of-order"},
		{"a tag before the call before", func(s *Stream) error {
			return errors.Join(s.Send(1, []uint64{5}), s.Send(1, []uint64{4}))
		}, "tags-out-of-order"},
		{"a block that ends before it begins", func(s *Stream) error {
			return s.Send(1, append(slices.Repeat([]uint64{5}, blockTags-1), 4))
		}, "tags-out-of-order"},
		{"a disorder in what fills a block that has begun", func(s *Stream) error {
			return errors.Join(s.Send(1, []uint64{1}), s.Send(1, append([]uint64{5, 4}, slices.Repeat([]uint64{5}, blockTags-3)...)))
		}, "tags-out-of-order"},
		{"a tag before a mark", func(s *Stream) error {
			return errors.Join(s.Mark(1, 100), s.Send(1, []uint64{99}))
		}, "tags-out-of-order"},
		{"an unknown stream", func(s *Stream) error { return s.Send(9, []uint64{1}) }, ""},
		{"an unknown stream's mark", func(s *Stream) error { return s.Mark(9, 1) }, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := NewStream(newCapture(), acquisitionOf(1))
			err := test.do(s)
			var f *Failure
			if err == nil || test.code != "" && (!errors.As(err, &f) || f.Code != test.code) {
				t.Errorf("got %v, want code %q", err, test.code)
			}
			if later := s.Send(1, []uint64{1000}); later == nil {
				t.Error("the stream goes on after a mistake")
			}
			if _, err := s.Finish(); err == nil {
				t.Error("the mistake is forgotten at the end")
			}
		})
	}
}

// TestStreamKeepsWhatCameBeforeDisorder: a driver that goes back in time learns
// at once where, and its good tags and all other channels are not lost.
func TestStreamKeepsWhatCameBeforeDisorder(t *testing.T) {
	const far = 1<<64 - 1
	for _, c := range []struct {
		calls [][]uint64
		kept  int
		says  string
	}{
		{[][]uint64{{30, 40}, {50, 70, 60, 80}}, 4, `tag 3 of 4 on channel "y" (stream 1), at 60 ps, is before the tag before it, at 70 ps`},
		{[][]uint64{{50}, {49, 60}}, 1, `tag 1 of 2 on channel "y" (stream 1), at 49 ps, is before 50 ps, which a tag or a mark has reached already`},
		{[][]uint64{{5, 0}}, 1, "tag 2 of 2"},
		{[][]uint64{{10, far, 30}}, 1, "tag 3 of 3"}, // far behind the end of the acquisition, and in its midst
		{[][]uint64{append(make([]uint64, 3*blockTags), 9, 8)}, 3*blockTags + 1, "at 8 ps, is before the tag before it, at 9 ps"},
	} {
		core := newCapture()
		a := Acquisition{Duration: time.Second, Channels: []Channel{{Stream: 1, Name: "y"}, {Stream: 2, Name: "z"}}}
		s := NewStream(core, a)
		if err := s.Send(2, []uint64{7}); err != nil {
			t.Fatal(err)
		}
		var err error
		for _, tags := range c.calls {
			err = s.Send(1, tags)
		}
		var f *Failure
		if !errors.As(err, &f) || f.Code != "tags-out-of-order" || !strings.Contains(f.Message, c.says) || f.Hint == "" {
			t.Errorf("Send says %v, want %q", err, c.says)
		}
		if _, again := s.Finish(); !errors.Is(again, err) || core.bad != nil {
			t.Errorf("at the end: %v, %v", again, core.bad)
		}
		kept, _, last := core.tags(1)
		if other, _, end := core.tags(2); len(kept) != c.kept || last.Kind != tag.End || len(other) != 1 || end.Kind != tag.End {
			t.Errorf("%d tags kept, want %d; ends with %v; %d of the other channel", len(kept), c.kept, last.Kind, len(other))
		}
	}
}

// TestWholeBlocks: what fills blocks in one call is not cut into the shortest of them,
// and what does not is gathered.
func TestWholeBlocks(t *testing.T) {
	for _, c := range []struct{ pending, tags, want int }{
		{0, 1, 1},
		{0, blockTags - 1, blockTags - 1},
		{0, blockTags, blockTags},
		{0, 2*blockTags + 5, 2 * blockTags},
		{0, tag.MaxBlockTags + blockTags + 5, tag.MaxBlockTags},
		{1, tag.MaxBlockTags, blockTags - 1},
		{blockTags - 1, blockTags, 1},
	} {
		l := &lane{pending: make([]uint64, c.pending)}
		if got := l.next(c.tags); got != c.want {
			t.Errorf("%d wait, %d come: a block is made of %d of them, want %d", c.pending, c.tags, got, c.want)
		}
	}
}

func BenchmarkSend(b *testing.B) {
	s := NewStream(discard{}, acquisitionOf(1))
	defer s.Finish()
	tags := make([]uint64, blockTags)
	b.SetBytes(8 * blockTags)
	for b.Loop() {
		if err := s.Send(1, tags); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStreamTellsThatTheCoreStalled(t *testing.T) {
	core := newCapture()
	core.fail = errors.New("i/o timeout")
	s := NewStream(core, acquisitionOf(1))
	err := s.Send(1, make([]uint64, blockTags))
	var f *Failure
	if !errors.As(err, &f) || f.Code != "core-stalled" {
		t.Errorf("got %v, want core-stalled", err)
	}
	counts, err := s.Finish()
	if err == nil || counts[0].Tags != 0 {
		t.Errorf("finish: %+v, %v; nothing was taken", counts, err)
	}
}

type discard struct{}

func (discard) Send(time.Duration, ...[]byte) error { return nil }
func (discard) Close() error                        { return nil }

// TestStreamLeavesOutDamagedTags: what lies far behind the end of the
// acquisition is a recorded loss and moves nothing else.
func TestStreamLeavesOutDamagedTags(t *testing.T) {
	core := newCapture()
	a := acquisitionOf(1)
	a.Duration = time.Second
	var losses []Loss
	s := NewStream(core, a)
	s.lost = func(l Loss) { losses = append(losses, l) }
	const second = uint64(1_000_000_000_000) // ps
	end := second + second/1000 + beyondEnd
	for _, tags := range [][]uint64{{5, end - 1}, {end, 1 << 63, 1<<64 - 1}, {end - 1, end}} {
		if err := s.Send(1, tags); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Mark(1, 1<<64-1); err != nil {
		t.Fatal(err)
	}
	counts, err := s.Finish()
	if err != nil || counts[0].Tags != 3 || counts[0].Lost != 4 || counts[0].Until != end {
		t.Errorf("counts %+v (%v), want 3 tags and 4 lost until %d", counts, err, end)
	}
	if len(losses) != 2 || losses[0].Tags != 3 || losses[0].At != end-1 || losses[1].Tags != 1 {
		t.Errorf("losses %+v", losses)
	}
	losses = nil
	s = NewStream(newCapture(), a)
	s.lost = func(l Loss) { losses = append(losses, l) }
	many := append(make([]uint64, blockTags+1), slices.Repeat([]uint64{end}, 3*blockTags)...)
	if err := s.Send(1, many); err != nil || len(losses) != 1 || losses[0].Tags != 3*blockTags {
		t.Errorf("blocks of damaged tags in one call: %v, losses %+v; want one", err, losses)
	}
	if counts, err := s.Finish(); err != nil || counts[0].Tags != blockTags+1 || counts[0].Lost != 3*blockTags {
		t.Errorf("counts %+v (%v)", counts, err)
	}
	if never := endOf(0); never != 0 {
		t.Errorf("an acquisition without an end ends at %d", never)
	}
	if last := endOf(1<<63 - 1); last != 0 {
		t.Errorf("an end beyond all times is %d", last)
	}
}
