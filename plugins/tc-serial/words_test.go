package main

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"tsrun/sdk/fifteen"
)

// tick is one event as a unit stamps it.
type tick struct {
	at     uint64
	inputs uint8
}

// encode is the stream of a unit: its events, and a dummy at a mark when no word
// was written since the mark before. The first mark of all is passed over.
func encode(events []tick, until uint64) (b []byte) {
	mark, written := uint64(fifteen.ShortMark+fifteen.ShortHalf), false
	word := func(w fifteen.Short) { b = binary.LittleEndian.AppendUint32(b, uint32(w)) }
	pass := func(to uint64) {
		for ; mark <= to; mark += fifteen.ShortHalf {
			if !written {
				word(fifteen.ShortDummy(mark))
			}
			written = false
		}
	}
	for _, e := range events {
		pass(e.at)
		word(fifteen.NewShort(e.at, e.inputs))
		written = true
	}
	pass(until)
	return b
}

// poisson is events of a rate per second, with now and then two inputs at once.
func poisson(seed uint64, rate float64, n int) []tick {
	r := rand.New(rand.NewPCG(seed, 1))
	var at uint64
	events := make([]tick, n)
	for i := range events {
		at += 1 + uint64(r.ExpFloat64()*5e8/rate)
		events[i] = tick{at, uint8(1 + r.IntN(15))}
	}
	return events
}

// decoded takes a stream apart as it comes in pieces.
func decoded(b []byte, piece int, quiet bool) (got []tick, w *words, lost uint64) {
	w = &words{emit: func(at uint64, inputs uint8) { got = append(got, tick{at, inputs}) }, lost: func(n uint64, _ loss) { lost += n }}
	for c := range slices.Chunk(b, max(piece, 1)) {
		w.take(c)
		if quiet {
			w.quiet()
		}
	}
	w.finish()
	return got, w, lost
}

// TestEveryWordOverManyRollovers: whatever the rate and the pieces, each event
// comes out at its time.
func TestEveryWordOverManyRollovers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{0.5, 2, 5, 10, 30, 300, 1e4, 5e6, 1e8}).Draw(t, "rate")
		events := poisson(rapid.Uint64().Draw(t, "seed"), rate, rapid.IntRange(0, 600).Draw(t, "events"))
		until := uint64(0)
		if len(events) > 0 {
			until = events[len(events)-1].at
		}
		until += rapid.Uint64Range(0, 5<<fifteen.ShortTimeBits).Draw(t, "until")
		piece := rapid.IntRange(1, 1000).Draw(t, "piece")
		got, w, lost := decoded(encode(events, until), piece, piece%wordSize == 0 && rapid.Bool().Draw(t, "quiet"))
		if !slices.Equal(got, events) || lost > 0 {
			t.Fatalf("%d events of %d, %d lost", len(got), len(events), lost)
		}
		if w.counted.Words-w.counted.Dummies != uint64(len(events)) || until > w.ticks+2<<fifteen.ShortTimeBits {
			t.Fatalf("%+v, the time has come to %d of %d", w.counted, w.ticks, until)
		}
	})
}

// TestRecordedWords are those of a real unit that looked at a signal of 2 Hz.
func TestRecordedWords(t *testing.T) {
	const round, half = 1 << fifteen.ShortTimeBits, fifteen.ShortHalf
	var b []byte
	for _, w := range []fifteen.Short{
		fifteen.ShortDummy(half + 3960), fifteen.ShortDummy(3960), fifteen.NewShort(12_345_678, 1),
		fifteen.ShortDummy(3960), fifteen.ShortDummy(half + 3960), fifteen.ShortDummy(3960), fifteen.NewShort(6_345_678, 1),
	} {
		b = binary.LittleEndian.AppendUint32(b, uint32(w))
	}
	if b[0] != 0x11 {
		t.Errorf("the pattern of a dummy is %#x, want 0x11", b[0])
	}
	want := []tick{{round + 12_345_678, 1}, {3*round + 6_345_678, 1}}
	if got, _, lost := decoded(b, 4, true); !slices.Equal(got, want) || lost > 0 {
		t.Errorf("%v, want %v", got, want)
	}
}

// TestLostBytes: as long as they are no whole words, which nothing tells, what comes out is what went in but for the words about the
// cut, which are counted, and no word is at another time.
func TestLostBytes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{300, 1e3, 3e4, 1e6, 5e6, 4e7}).Draw(t, "rate")
		events := poisson(rapid.Uint64().Draw(t, "seed"), rate, 2000)
		b := encode(events, events[len(events)-1].at)
		at, n := rapid.IntRange(0, len(b)-300).Draw(t, "at"), rapid.IntRange(1, 70).Filter(func(n int) bool { return n%wordSize > 0 }).Draw(t, "lost")
		cut := slices.Concat(b[:at], b[at+n:])
		got, w, lost := decoded(cut, rapid.IntRange(1, 5000).Draw(t, "piece"), false)
		missing := len(events) - len(got)
		if missing < n/wordSize || missing > n/wordSize+2*window || lost == 0 {
			t.Fatalf("%d of %d events are missing, %d bytes were lost, %d words are said to be", missing, len(events), n, lost)
		}
		left := slices.Clone(got)
		for _, e := range events {
			if len(left) > 0 && left[0] == e {
				left = left[1:]
			}
		}
		if len(left) > 0 {
			t.Fatalf("%d bytes lost at %d: %d events of %d are none of the unit's, from %v on; %+v", n, at, len(left), len(got), left[0], w.counted)
		}
	})
}

// TestLostTime: as long as it is less than a round, however much is lost moves no
// other word.
func TestLostTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events := poisson(rapid.Uint64().Draw(t, "seed"), rapid.SampledFrom([]float64{3e4, 5e6, 4e7}).Draw(t, "rate"), 2000)
		at := rapid.IntRange(100, 1900).Draw(t, "at")
		gap := uint64(rapid.Float64Range(0, 0.9).Draw(t, "gap") * (1 << fifteen.ShortTimeBits))
		var b []byte
		for i := range events {
			if i > at {
				events[i].at += gap
			}
			word := binary.LittleEndian.AppendUint32(nil, uint32(fifteen.NewShort(events[i].at, events[i].inputs)))
			if i == at {
				word = word[:rapid.IntRange(1, 3).Draw(t, "left")]
			}
			b = append(b, word...)
		}
		got, w, lost := decoded(b, rapid.IntRange(1, 5000).Draw(t, "piece"), false)
		for _, e := range got {
			if !slices.Contains(events, e) {
				t.Fatalf("%v is no event of the unit; %+v", e, w.counted)
			}
		}
		if missing := len(events) - len(got); missing < 1 || missing > 4*window || lost == 0 {
			t.Fatalf("%d of %d events are missing, %d are said to be", missing, len(events), lost)
		}
	})
}

// TestLostByteInTheDark: some words a second fill no window; that there are
// bytes too many, twice, is what tells.
func TestLostByteInTheDark(t *testing.T) {
	events := poisson(7, 3, 60)
	b := encode(events, events[len(events)-1].at)
	var got []tick
	lost := uint64(0)
	w := &words{emit: func(at uint64, inputs uint8) { got = append(got, tick{at, inputs}) }, lost: func(n uint64, _ loss) { lost += n }}
	for i := range len(b) / wordSize {
		word := b[i*wordSize : (i+1)*wordSize]
		if i == 30 {
			word = word[:2]
		}
		w.take(word)
		w.quiet()
	}
	w.finish()
	if lost == 0 || len(got) < len(events)-4 {
		t.Fatalf("%d of %d events, %d words damaged", len(got), len(events), lost)
	}
	for _, e := range got {
		at := e.at & shortMask
		if !slices.ContainsFunc(events, func(o tick) bool { return o.at&shortMask == at && o.inputs == e.inputs }) {
			t.Errorf("%v is no event of the unit", e)
		}
	}
}

// TestHoles: a hole in the time of bright light is a loss only where the line was full
// before it, as far as a unit keeps words; a loss that is known by itself is none more.
func TestHoles(t *testing.T) {
	const rate, n, hole = 4e5, 100_000, 80_000 // a hole of 75 ms behind so many events
	events := poisson(3, rate, n)
	b := encode(events[:hole], events[hole-1].at)
	for i := range events[hole:] {
		events[hole+i].at += 75e6 / 2
	}
	all := encode(events, events[n-1].at)
	for name, c := range map[string]struct {
		full  int // the line was full before this byte
		b     []byte
		holes uint64
	}{
		"never full":       {-1, all, 0},
		"full before it":   {len(b) - 20_000, all, 1},
		"as far as can be": {len(b) + wordSize - unitKeeps, all, 1}, // to the word behind the hole
		"too far before":   {len(b) - unitKeeps, all, 0},
		"behind it":        {len(b) + wordSize, all, 0},
		"no hole":          {20_000, encode(poisson(3, rate, n), 0), 0},
		"within a word":    {len(b) - 20_000, slices.Concat(b[:len(b)-3], all[len(b):]), 0}, // damaged, and counted
	} {
		t.Run(name, func(t *testing.T) {
			holes, lost := 0, 0
			w := &words{emit: func(uint64, uint8) {}, lost: func(_ uint64, how loss) {
				if lost++; how == lossHole {
					holes++
				}
			}}
			rest := c.b
			if c.full >= 0 {
				w.take(rest[:c.full])
				w.suspect()
				rest = rest[c.full:]
			}
			for piece := range slices.Chunk(rest, 4095) {
				w.take(piece)
			}
			w.finish()
			if w.counted.Holes != c.holes || holes != int(c.holes) || lost == 0 && (c.holes > 0 || name == "within a word") {
				t.Errorf("%d holes and %d losses, want %d; %+v", holes, lost, c.holes, w.counted)
			}
		})
	}
}

// TestLostWords: words that a unit must have written and that never came are
// counted, never more than are missing, and none is where nothing was lost. A word
// behind the loss may seem to be out of order, and is then left out and counted, too.
func TestLostWords(t *testing.T) {
	proven := 0
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{0.5, 2, 5, 10, 30}).Draw(t, "rate")
		events := poisson(rapid.Uint64().Draw(t, "seed"), rate, 100)
		b := encode(events, events[len(events)-1].at)
		at := rapid.IntRange(20, len(b)/wordSize-20).Draw(t, "at") * wordSize
		n := rapid.IntRange(1, 10).Draw(t, "lost")
		got, w, lost := decoded(slices.Concat(b[:at], b[at+n*wordSize:]), rapid.IntRange(1, 100).Draw(t, "piece"), false)
		if c := w.counted; lost != c.Missing+c.Damaged || c.Damaged > 1 || lost > uint64(len(b)/wordSize)-c.Words || len(got) > len(events) {
			t.Fatalf("%d words never came, %d are said to be lost; %+v", n, lost, c)
		}
		if w.counted.Missing > 0 {
			proven++
		}
	})
	if proven == 0 {
		t.Error("no loss was seen, so this shows nothing")
	}
}

// TestOtherDummies: of a unit that writes its dummies elsewhere, nothing is said
// to be missing.
func TestOtherDummies(t *testing.T) {
	var b []byte
	for at := uint64(0); at < 20<<fifteen.ShortTimeBits; at += 1<<fifteen.ShortTimeBits - 5000 {
		b = binary.LittleEndian.AppendUint32(b, uint32(fifteen.ShortDummy(at)))
	}
	if _, w, lost := decoded(b, 4, true); lost > 0 {
		t.Errorf("%d lost; %+v", lost, w.counted)
	}
}

// TestStrayWord: one word that is no word of its time moves no other.
func TestStrayWord(t *testing.T) {
	events := poisson(3, 1e6, 1000)
	b := encode(events, 0)
	binary.LittleEndian.PutUint32(b[400*wordSize:], uint32(fifteen.NewShort(events[400].at+90_000_000, 1)))
	got, w, lost := decoded(b, 4096, false)
	if want := slices.Delete(slices.Clone(events), 400, 401); !slices.Equal(got, want) || lost != 1 {
		t.Errorf("%d events, want %d; %+v", len(got), len(want), w.counted)
	}
}

func FuzzWords(f *testing.F) {
	f.Add(encode(poisson(1, 1e6, 300), 0), uint8(13))
	f.Add(encode(nil, 10<<fifteen.ShortTimeBits), uint8(4))
	f.Add(encode(poisson(2, 100, 300), 0)[1:], uint8(64))
	f.Fuzz(func(t *testing.T, b []byte, piece uint8) {
		got, w, lost := decoded(b, int(piece), piece%2 == 0)
		for i := 1; i < len(got); i++ {
			if got[i].at < got[i-1].at {
				t.Fatalf("%v after %v", got[i], got[i-1])
			}
		}
		if w.counted.Words > uint64(len(b)/wordSize) || len(got) > len(b)/wordSize || len(b) > 0 && len(b) < wordSize && lost == 0 {
			t.Fatalf("%d events of %d bytes, %d lost, %+v", len(got), len(b), lost, w.counted)
		}
	})
}

func BenchmarkWords(b *testing.B) {
	stream := encode(poisson(1, 5e6, 1_000_000), 0)
	b.SetBytes(int64(len(stream)))
	for b.Loop() {
		n := 0
		w := &words{emit: func(uint64, uint8) { n++ }, lost: func(uint64, loss) { b.Fatal("loss") }}
		for c := range slices.Chunk(stream, 4095) {
			w.take(c)
		}
		w.finish()
		if n != 1_000_000 {
			b.Fatal(n)
		}
	}
}
