package main

import (
	"encoding/binary"
	"encoding/json"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"tsrun/internal/need"
	"tsrun/internal/steady"
	"tsrun/sdk"
	"tsrun/sdk/fifteen"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tagfile"
	"tsrun/sim/sky"
)

// wantEvents works out anew what the simulator saw, and compares every tag.
func wantEvents(t testing.TB, d driver, s sdk.Simulation, a sdk.Acquisition, out *sink, until uint64) {
	t.Helper()
	r := d.Report().(*tdc2Report)
	if r.Simulation == nil {
		t.Fatal("the helper had not begun when it was to end")
	}
	var settings simulation
	if err := json.Unmarshal(s.Controller, &settings); err != nil {
		t.Fatal(err)
	}
	eye, err := sky.NewEye(sky.Settings(s.Light), settings.Controller, r.Simulation.Serial)
	if err != nil {
		t.Fatal(err)
	}
	const mask = 1<<fifteen.EventTimeBits - 1
	want := map[int][]uint64{}
	start := sky.Unix(r.Simulation.StartUnixNs, r.Simulation.StartPs)
	eye.Detections(fifteen.Detectors, start, false).Until(int64(until+1e12), func(at int64, input int) {
		if at < 0 || uint64(len(want[input])) >= r.Simulation.Channels[input-1].Tags {
			return
		}
		ticks := fifteen.PsToTicks(uint64(at)) + uint64(r.Simulation.StartUnixNs)*ticksPerNs
		tag, _ := fifteen.TicksToPs((ticks - r.OriginTick) & mask)
		want[input] = append(want[input], tag)
	})
	for _, c := range a.Channels {
		within := slices.DeleteFunc(want[c.Input], func(at uint64) bool { return at >= until })
		got := out.lanes[c.Stream]
		told := uint64(0)
		if saysLate(got.reasons) { // this PC held the helper up
			told = 1
		}
		if !slices.Equal(got.all, within) || len(within) == 0 || got.lost > told {
			t.Errorf("channel %s: %d tags, want %d at their times; %d lost", c.Name, len(got.all), len(within), got.lost)
		}
	}
}

// saysLate reports whether a loss is of a helper that began late.
func saysLate(reasons []string) bool {
	return slices.ContainsFunc(reasons, func(why string) bool { return strings.Contains(why, "of readevents7 in the first") })
}

// TestTDC2BeginsLate: silence before a helper that begins late is told.
func TestTDC2BeginsLate(t *testing.T) {
	t.Parallel()
	a := sdk.Acquisition{Channels: channelsOf(500_000, 1, 3), Duration: 2 * time.Second}
	d := openModel(t, modelTDC2, light(1, 20*quantity.Kilohertz, "late=600 ms"), nil)
	out, err := record(t, t.Context(), d, a)
	for _, lane := range out.lanes {
		if err == nil && lane.tags > 2*beganWords && (lane.lost != 1 || !saysLate(lane.reasons)) {
			t.Errorf("%d tags, %d lost %v", lane.tags, lane.lost, lane.reasons)
		}
	}
}

// TestBeginning: silence that may be chance is no loss, and no other is told twice.
func TestBeginning(t *testing.T) {
	const ms = 1e6 * ticksPerNs
	for name, c := range map[string]struct {
		first, step int64
		words       int
		want        bool
	}{
		"late": {101 * ms, 3 * ms, 33, true}, "late, and told once": {101 * ms, ms, 1000, true}, "as late as may be": {100 * ms, 1, 100, false},
		"rare": {101 * ms, 4 * ms, 1000, false}, "too few": {5000 * ms, 1, 32, false}, "one": {5000 * ms, 0, 1, false}, "at once": {0, 5000 * ms, 100, false},
	} {
		var b beginning
		told := 0
		for i := range c.words {
			if b.late(c.first + int64(i)*c.step) {
				told++
			}
		}
		if (told == 1) != c.want || told > 1 {
			t.Errorf("%s: told %d times", name, told)
		}
	}
	for name, before := range map[string]struct {
		first fifteen.Event
		lost  int
	}{"begun before the start": {fifteen.NewEvent(995*ms, 1), 0}, "begun late": {fifteen.NewEvent(1500*ms, 1), 1},
		"dark, with a dummy": {fifteen.NewEvent(1050*ms, 1) | 1<<4, 0}, "a dummy as late": {fifteen.NewEvent(1400*ms, 1) | 1<<4, 1}} {
		b := binary.LittleEndian.AppendUint64(nil, uint64(before.first))
		for i := range uint64(40) {
			b = binary.LittleEndian.AppendUint64(b, uint64(fifteen.NewEvent(1501*ms+i, 1)))
		}
		_, e, _ := taken(1000*ms, nil, 1)
		lost := 0
		e.start, e.lost = beginning{}, func(n uint64, _ string) { lost += int(n) }
		e.take(b)
		if e.finish(); lost != before.lost {
			t.Errorf("%s: %d lost", name, lost)
		}
	}
}

// TestTDC2EveryTagArrives from a helper that is a process of its own.
func TestTDC2EveryTagArrives(t *testing.T) {
	t.Parallel()
	steady.Try(t, 50*ms, func(t *steady.T) { // a helper that is late has written little, or nothing
		s := light(6, 20*quantity.Kilohertz/quantity.Frequency(t.Slower)) // of no trial more tags than are looked at
		d := openModel(t, modelTDC2, s, nil)
		for range 2 {
			a := sdk.Acquisition{Channels: channelsOf(500_000, 1, 3), Duration: time.Duration(t.Slower) * 700 * ms}
			until := uint64(a.Duration.Nanoseconds()) * 1000
			out, err := record(t, t.Context(), d, a)
			if err != nil {
				t.Fatal(err)
			}
			wantEvents(t, d, s, a, out, until)
			if out.lanes[0].until != until {
				t.Errorf("the last mark is at %d ps", out.lanes[0].until)
			}
		}
		a := sdk.Acquisition{Channels: channelsOf(500_000, 2)}
		out, err := recordFor(t, time.Duration(t.Slower)*400*ms, d, a)
		if err != nil || !d.Report().(*tdc2Report).Stopped {
			t.Fatalf("%v, %+v", err, d.Report())
		}
		wantEvents(t, d, s, a, out, uint64(t.Slower)*2e12)
	})
}

// TestTDC2Fails: a helper that fails says why, before the start where it can be
// known; one that ends by itself leaves what it has written.
func TestTDC2Fails(t *testing.T) {
	t.Parallel()
	a := sdk.Acquisition{Channels: channelsOf(500_000, 1), Duration: 20 * time.Second}
	d := openModel(t, modelTDC2, light(1, 0, "no-device"), nil)
	if err := d.Arm(t.Context(), a); err != nil {
		wantCode(t, err, "program-failed")
	} else { // a slow PC gets to know it later: the program has begun then
		wantCode(t, d.acquire(t.Context(), sdk.NewStart(time.Time{}), newSink(a.Channels)), "device-gone")
	}

	d = openModel(t, modelTDC2, light(1, 20*quantity.Kilohertz, "ends=600 ms"), nil)
	out, err := record(t, t.Context(), d, a)
	wantCode(t, err, "device-gone")
	if got := out.lanes[0]; got.tags == 0 || got.lost != 1 && !saysLate(got.reasons) {
		t.Errorf("%d tags, %d lost %v", got.tags, got.lost, got.reasons)
	}

	c := defaults()
	c.Model, c.Port, c.Program = modelTDC2, "/dev/ioboards/usbtmst0", "/nowhere/readevents7"
	_, err = open(t.Context(), environment(t, light(1, 0)), c)
	wantCode(t, err, "program-missing")
}

// TestHelperThatIsLate: while words come that were asked for, a helper is not ended by
// force, for a minute.
func TestHelperThatIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &helper{ended: true, told: time.Now()}
		h.kill = time.AfterFunc(helperEnd, func() { h.forced.Store(true) })
		for range 3 {
			time.Sleep(helperEnd - time.Millisecond)
			h.postpone()
		}
		if h.forced.Load() {
			t.Error("ended by force while its words came")
		}
		for time.Since(h.told) < helperMost+helperEnd {
			time.Sleep(time.Second)
			h.postpone()
		}
		if !h.forced.Load() {
			t.Error("never ended by force")
		}
	})
}

// taken is what comes out of words as they come in pieces.
func taken(origin uint64, b []byte, piece int) (tags map[int][]uint64, e *events, late int) {
	tags = map[int][]uint64{}
	e = &events{origin: origin, emit: func(tag uint64, input int) { tags[input] = append(tags[input], tag) }, lost: func(n uint64, _ string) { late += int(n) }}
	e.start.known = true // the times are drawn, and silence before the first is no loss
	for c := range slices.Chunk(b, max(piece, 1)) {
		e.take(c)
	}
	return tags, e, late
}

// TestEventsOverRollovers: times come out whole over the end of 54 bits, and in
// order where some came late.
func TestEventsOverRollovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const mask = 1<<fifteen.EventTimeBits - 1
		origin := mask - rapid.Uint64Range(0, 1<<50).Draw(t, "before the end")
		var b []byte
		want := map[int][]uint64{}
		at := uint64(0)
		var last fifteen.Event
		for range rapid.IntRange(0, 60).Draw(t, "events") {
			at += rapid.Uint64Range(0, 1<<52).Draw(t, "step")
			if at > 1<<60 {
				break
			}
			of := rapid.Uint64Range(1, 15).Draw(t, "inputs")
			tag, _ := fifteen.TicksToPs(at)
			for input := range fifteen.Detectors {
				if of>>input&1 == 1 {
					want[input+1] = append(want[input+1], tag)
				}
			}
			last = fifteen.NewEvent((origin+at)&mask, of)
			b = binary.LittleEndian.AppendUint64(b, uint64(last))
			b = binary.LittleEndian.AppendUint64(b, uint64(last)|1<<4)
		}
		got, e, late := taken(origin, b, rapid.IntRange(1, 100).Draw(t, "piece"))
		if cut := e.finish(); cut || late > 0 {
			t.Fatalf("cut %v, %d late", cut, late)
		}
		for input := range fifteen.Detectors {
			if !slices.Equal(got[input+1], want[input+1]) {
				t.Fatalf("input %d: %v, want %v", input+1, got[input+1], want[input+1])
			}
		}
	})
}

// TestEventsOfRealUnits are those that the reader of files finds in recordings.
func TestEventsOfRealUnits(t *testing.T) {
	path := need.Data(t, "timestamp7_c14_rollover.Aa1fX.ts")
	file, err := tagfile.ReadRecording(path, tagfile.A1X)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for word := range slices.Chunk(raw, eventSize) { // halves are swapped in this file
		b = append(append(b, word[4:]...), word[:4]...)
	}
	got, e, late := taken(fifteen.Event(binary.LittleEndian.Uint64(b)).Time(), b, 1000)
	if e.finish() || late > 0 {
		t.Errorf("%d events late", late)
	}
	for channel, want := range file.Channels {
		// The reader of files goes on over the end of the time; so does this one,
		// which may begin a round lower.
		same := slices.EqualFunc(got[channel], want, func(a, b uint64) bool {
			off := int64(a-got[channel][0]) - int64(b-want[0]) // each is rounded from another origin
			return off >= -1 && off <= 1
		})
		if !same || len(want) == 0 {
			t.Errorf("channel %d: %d events, want %d at their times", channel, len(got[channel]), len(want))
		}
	}
}

// TestEventsAmongGarbage: bytes that are no words cost the words that they stand
// in for, and move no other.
func TestEventsAmongGarbage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const n = 200
		source := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		origin := source.Uint64N(1 << fifteen.EventTimeBits)
		spacing := rapid.Uint64Range(1_000_000, 9_000_000).Draw(t, "spacing")
		var b []byte
		var want []uint64
		for i := range uint64(n) {
			at := 1_000_000_000 + i*spacing
			tag, _ := fifteen.TicksToPs(at)
			want = append(want, tag)
			b = binary.LittleEndian.AppendUint64(b, uint64(fifteen.NewEvent((origin+at)&(1<<fifteen.EventTimeBits-1), 1)))
		}
		garbage := make([]byte, rapid.IntRange(1, 100).Draw(t, "garbage"))
		for i := range garbage {
			garbage[i] = byte(source.Uint32())
		}
		at := rapid.IntRange(0, len(b)).Draw(t, "at")
		tags := map[int][]uint64{}
		lost, taken := uint64(0), 0
		e := &events{origin: origin, emit: func(tag uint64, input int) { tags[input] = append(tags[input], tag) },
			lost: func(n uint64, _ string) { lost += n }}
		for c := range slices.Chunk(slices.Concat(b[:at], garbage, b[at:]), rapid.IntRange(1, 300).Draw(t, "piece")) {
			taken += len(c)
			e.now = 1_000_000_000 + int64(taken/eventSize*int(spacing))
			e.take(c)
		}
		cut := e.finish()
		known := 0
		for _, tag := range tags[1] {
			if slices.Contains(want, tag) {
				known++
			}
		}
		if len(tags[1])-known > 1 || known < n-4-eventSpare/int(spacing)-300/eventSize || lost == 0 && !cut {
			t.Fatalf("%d events of %d, %d others; %d lost, cut %v, %+v", known, n, len(tags[1])-known, lost, cut, e.counted)
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add(uint64(0), binary.LittleEndian.AppendUint64(nil, uint64(fifteen.NewEvent(77, 5))), uint8(3))
	f.Fuzz(func(t *testing.T, origin uint64, b []byte, piece uint8) {
		got, e, _ := taken(origin&(1<<fifteen.EventTimeBits-1), b, int(piece))
		if cut := e.finish(); cut != (len(b)%eventSize > 0) && e.counted.Damaged == 0 {
			t.Fatalf("%d bytes: cut %v", len(b), cut)
		}
		for input, tags := range got {
			if !slices.IsSorted(tags) || input < 1 || input > fifteen.Detectors {
				t.Fatalf("input %d: %v", input, tags)
			}
		}
	})
}
