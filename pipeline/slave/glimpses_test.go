package slave

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tsrun/pipeline/wire"
	"tsrun/sdk/tag"
)

// shown plays blocks of one stream to glimpses, and collects what they tell.
type shown struct {
	g     *glimpses
	now   time.Time
	until uint64
}

func newShown(most int) *shown {
	s := &shown{now: time.Unix(1000, 0)}
	s.g = newGlimpses(1, func() time.Time { return s.now })
	s.g.most = most
	return s
}

func (s *shown) block(until uint64, lost uint64, tags ...uint64) {
	h := tag.Header{Until: until, Lost: lost, Count: len(tags)}
	if len(tags) > 0 {
		h.First, h.Last = tags[0], tags[len(tags)-1]
	}
	s.g.take(h, tag.AppendTags(nil, tags))
	s.until = until
}

func (s *shown) tell(t interface{ Fatal(...any) }) (wire.StreamGlimpse, []uint64) {
	s.now = s.now.Add(time.Second)
	told := s.g.next()
	if told == nil || len(told.Streams) != 1 {
		t.Fatal("nothing was told")
	}
	tags, err := told.Streams[0].Unpack()
	if err != nil {
		t.Fatal(err)
	}
	return told.Streams[0], tags
}

const ms = uint64(1_000_000_000) // ps

func TestGlimpses(t *testing.T) {
	s := newShown(4)
	s.g.began([]uint16{0}, 1000*int64(time.Second)) // on the grid
	s.block(50*ms, 0, 10*ms, 20*ms)
	first, tags := s.tell(t)
	if first.FromPs != 0 || first.ToPs != 50*ms || !slices.Equal(tags, []uint64{10 * ms, 20 * ms}) || first.Tags != 2 {
		t.Errorf("the first: %+v %v", first, tags)
	}
	if s.g.next() != nil {
		t.Error("it was told twice at one time")
	}
	s.block(60*ms, 0)
	if dark, tags := s.tell(t); dark.FromPs != 50*ms || dark.ToPs != 60*ms || len(tags) > 0 {
		t.Errorf("a dark one: %+v %v", dark, tags)
	}
	s.block(70*ms, 0, 61*ms, 62*ms, 63*ms, 64*ms, 65*ms, 66*ms)
	s.block(80*ms, 0, 71*ms)
	if full, tags := s.tell(t); full.FromPs != 60*ms || full.ToPs != 65*ms || len(tags) != 4 || full.Tags != 9 {
		t.Errorf("more than there is room for: %+v %v", full, tags)
	}
	s.block(90*ms, 0, 81*ms) // before the next time of the grid
	if none, tags := s.tell(t); none.ToPs != 0 || len(tags) > 0 || none.Tags != 10 {
		t.Errorf("before the grid: %+v %v", none, tags)
	}
	s.block(210*ms, 0, 199*ms, 200*ms, 201*ms)
	if grid, tags := s.tell(t); grid.FromPs != 200*ms || !slices.Equal(tags, []uint64{200 * ms, 201 * ms}) {
		t.Errorf("from the grid on: %+v %v", grid, tags)
	}
	s.block(300*ms, 5, 290*ms)
	if hole, tags := s.tell(t); hole.ToPs != 0 || len(tags) > 0 || hole.Lost != 5 {
		t.Errorf("with a hole: %+v %v", hole, tags)
	}
}

// All tags of each stretch that is told are in it, and nothing else.
func TestGlimpsesAreWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := newShown(rapid.IntRange(1, 30).Draw(t, "most"))
		s.g.began([]uint16{0}, rapid.Int64Range(1, 1<<60).Draw(t, "zero"))
		var all []uint64
		last := uint64(0)
		for range rapid.IntRange(1, 30).Draw(t, "blocks") {
			var tags []uint64
			for range rapid.IntRange(0, 20).Draw(t, "tags") {
				last += rapid.Uint64Range(0, 20*ms).Draw(t, "after")
				tags = append(tags, last)
			}
			all = append(all, tags...)
			last += rapid.Uint64Range(1, 20*ms).Draw(t, "until")
			s.block(last, 0, tags...)
			if !rapid.Bool().Draw(t, "tell") {
				continue
			}
			told, tags := s.tell(t)
			from, _ := slices.BinarySearch(all, told.FromPs)
			to, _ := slices.BinarySearch(all, told.ToPs)
			if told.ToPs > 0 && !slices.Equal(tags, all[from:to]) {
				t.Fatalf("[%d, %d): %v, want %v", told.FromPs, told.ToPs, tags, all[from:to])
			}
		}
	})
}
