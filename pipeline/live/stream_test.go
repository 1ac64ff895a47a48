package live

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
)

// recorded are the tags of a channel, segment by segment, on its own clock.
func recorded(random *rand.Rand, segments, each int) (all [][]uint64) {
	for i := range segments {
		var tags []uint64
		for range random.IntN(each + 1) {
			tags = append(tags, uint64(i)*length+random.Uint64N(length))
		}
		slices.Sort(tags)
		all = append(all, tags)
	}
	return all
}

// TestTagsAreMergedAsTheMessagesSay offers segments and clocks in any order, of a clock
// that wanders, steps, and begins before the other: the messages have every tag once, in
// order, and where the lines in them carry it.
func TestTagsAreMergedAsTheMessagesSay(t *testing.T) {
	for seed := range uint64(15) {
		random := rand.New(rand.NewPCG(seed, 0))
		r := newRig(t, recipe.LiveConfig{}, true)
		l := r.subscribe("")
		const segments = 12
		a, b, c := recorded(random, segments, 300), recorded(random, segments, 40), recorded(random, segments, 300)
		offset := random.Int64N(4*int64(length)) - 2*int64(length)
		var give []func()
		for i := range segments {
			give = append(give, func() { r.segment("alice", "a", i, a[i]...) }, func() { r.segment("alice", "b", i, b[i]...) }, func() { r.segment("bob", "c", i, c[i]...) })
		}
		random.Shuffle(len(give), func(i, k int) { give[i], give[k] = give[k], give[i] })
		known := random.IntN(4) // the first segment in which something is known
		for i := range segments {
			for range 3 {
				give[0]()
				give = give[1:]
			}
			if i < known {
				r.followed(i, align.Searching)
				continue
			}
			var values []align.Value
			for k := range uint64(random.IntN(3)) {
				at := uint64(i)*length + k*length/3 + uint64(random.Int64N(1000))
				values = append(values, value(at, offset+random.Int64N(2001)-1000, 40_000*random.NormFloat64()))
			}
			if i == known && len(values) == 0 {
				values = append(values, value(uint64(i)*length, offset, 0))
			}
			r.followed(i, align.Tracking, values...)
		}
		r.End()
		check(t, l.all(), map[uint16][]uint64{0: slices.Concat(a...), 1: slices.Concat(b...), 2: slices.Concat(c...)})
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

// check compares messages with what was recorded, whose channel 2 is of bob's clock.
func check(t *testing.T, all []heard, want map[uint16][]uint64) {
	t.Helper()
	got, before, until, tags := map[uint16]int{}, int64(math.MinInt64), int64(math.MinInt64), 0
	for i, m := range all {
		if m.Seq != uint64(i) || !m.Simulated || m.Run != "cafe" || m.Reference != "alice.tc" || fmt.Sprint(m.Channels) != "[alice.a alice.b bob.c]" {
			t.Fatalf("message %d: %+v", i, m.Header)
		}
		tags += m.Tags
		for k, time := range m.times {
			channel := m.channels[k]
			raw := want[channel][got[channel]]
			got[channel]++
			due := raw
			if channel == 2 {
				correction, err := correlate.NewCorrection(m.Clocks[0].Lines...)
				if err != nil || correction.IsZero() || m.Clocks[0].State == "searching" {
					t.Fatalf("clocks %+v, %v", m.Clocks, err)
				}
				due = correction.Apply(raw)
			}
			if time != int64(due) {
				t.Fatalf("message %d: tag %d of channel %d is at %d, its lines say %d", i, raw, channel, time, int64(due))
			}
			if time < before || time < until {
				t.Fatalf("message %d: a tag at %d follows one at %d, and the promise of %d", i, time, before, until)
			}
			before = time
		}
		until = m.UntilPs
	}
	for channel, recorded := range want {
		if got[channel] != len(recorded) {
			t.Errorf("%d tags of channel %d, %d were recorded", got[channel], channel, len(recorded))
		}
	}
	end := all[len(all)-1].Totals
	if end == nil || end.Tags != uint64(tags) || end.Messages != uint64(len(all)) || end.Late+end.Withheld != 0 {
		t.Errorf("totals %+v of %d messages with %d tags", end, len(all), tags)
	}
}

// TestNothingIsCorrectedByNothing: tags of a clock that is not known are never sent, and
// the others are when nothing more comes.
func TestNothingIsCorrectedByNothing(t *testing.T) {
	r := newRig(t, recipe.LiveConfig{}, true)
	l := r.subscribe("live")
	for i := range 3 {
		at := uint64(i) * length
		r.segment("alice", "a", i, at+1, at+2)
		r.segment("alice", "b", i)
		r.segment("bob", "c", i, at+3)
		r.followed(i, align.Searching)
		if m := l.next(); m.Kind != KindHeld || m.Clocks[0].State != "searching" || m.Clocks[0].Lines != nil {
			t.Errorf("held: %+v", m.Header)
		}
	}
	r.End()
	all := l.all()
	end := all[len(all)-1]
	for _, m := range all[:len(all)-1] {
		if m.Kind != KindTags || slices.Contains(m.channels, 2) || fmt.Sprint(m.Missing) != "[bob.c]" {
			t.Errorf("%+v %v", m.Header, m.channels)
		}
	}
	if end.Totals.Tags != 6 || end.Totals.Withheld != 3 {
		t.Errorf("totals %+v", end.Totals)
	}
}

// TestANodeThatIsAwayIsNotWaitedFor, and what it brings later is late.
func TestANodeThatIsAwayIsNotWaitedFor(t *testing.T) {
	r := newRig(t, recipe.LiveConfig{}, true)
	l := r.subscribe("")
	each := func(i int, bob bool) {
		at := uint64(i) * length
		r.segment("alice", "a", i, at+1)
		r.segment("alice", "b", i)
		if bob {
			r.segment("bob", "c", i, at+5)
			r.followed(i, align.Tracking, value(at, 2, 0))
		}
	}
	each(0, true)
	if m := l.next(); m.Window != 0 || m.Tags != 2 || m.times[1] != 3 || m.Clocks[0].State != "tracking" || len(m.Missing) != 0 {
		t.Fatalf("%+v %v", m.Header, m.times)
	}
	for i := 1; i < missAfter+3; i++ {
		each(i, false)
	}
	for i := 1; i < 2; i++ {
		if m := l.next(); m.Window != i || fmt.Sprint(m.Missing) != "[bob.c]" || m.Tags != 1 {
			t.Errorf("without bob: %+v", m.Header)
		}
	}
	r.segment("bob", "c", 1, length+5) // too late
	r.End()
	all := l.all()
	if end := all[len(all)-1].Totals; end.Late != 1 || end.Tags != 2+missAfter+2 {
		t.Errorf("totals %+v", end)
	}
}

// TestAClockThatIsLostSaysSo: without an align stage that goes on, the last lines hold.
func TestAClockThatIsLostSaysSo(t *testing.T) {
	r := newRig(t, recipe.LiveConfig{}, true)
	l := r.subscribe("")
	each := func(i int) {
		at := uint64(i) * length
		r.segment("alice", "a", i)
		r.segment("alice", "b", i)
		r.segment("bob", "c", i, at+5)
	}
	each(0)
	r.followed(0, align.Tracking, value(0, 2, 0))
	l.next()
	r.Follow(Followed{Stage: "align", Reference: "alice.a", Target: "bob.c", Next: 2, Over: true})
	each(1)
	each(2)
	for range 2 {
		if m := l.next(); m.Clocks[0].State != "lost" || len(m.Clocks[0].Lines) != 1 || m.times[0]%int64(length) != 3 {
			t.Errorf("%+v %v", m.Header, m.times)
		}
	}
}

// TestChannelsOfOneClockNeedNoAlign, and a file that cannot be read is told and left out.
func TestChannelsOfOneClockNeedNoAlign(t *testing.T) {
	r := newRig(t, recipe.LiveConfig{Of: []string{"alice.b", "alice.a"}}, false)
	l := r.subscribe("")
	r.segment("alice", "a", 0, 7, 9)
	r.segment("bob", "c", 0, 8)
	r.segment("alice", "b", 0, 7)
	if m := l.next(); fmt.Sprint(m.times, m.channels, m.Channels) != "[7 7 9] [0 1 1] [alice.b alice.a]" || len(m.Clocks) != 0 {
		t.Errorf("%+v %v", m.Header, m.times)
	}
	r.segment("alice", "a", 1, length)
	remove(t, r, "alice-a-1.bin")
	r.segment("alice", "b", 1, length+1)
	if m := l.next(); fmt.Sprint(m.times) != fmt.Sprint([]uint64{length + 1}) {
		t.Errorf("%v", m.times)
	}
	if said := <-r.warned; !strings.Contains(said, "alice-a-1.bin") {
		t.Error(said)
	}
	if record := r.Close(wait); record.Broken != 1 || record.Subscribers != 1 || record.Tags != 4 || record.Messages != 3 {
		t.Errorf("%+v", record)
	}
}

// TestMoreTagsThanAMessageHolds, and a record without any.
func TestMoreTagsThanAMessageHolds(t *testing.T) {
	r := newRig(t, recipe.LiveConfig{Of: []string{"alice.a"}}, false)
	l := r.subscribe("")
	tags := make([]uint64, 2*MaxTags+1)
	for i := range tags {
		tags[i] = uint64(i / 8)
	}
	r.segment("alice", "a", 0, tags...)
	r.segment("alice", "a", 1)
	for i, n := range []int{MaxTags, MaxTags, 1, 0} {
		if m := l.next(); m.Tags != n || m.Window != i/3 {
			t.Errorf("message %d: %+v", i, m.Header)
		}
	}
}
