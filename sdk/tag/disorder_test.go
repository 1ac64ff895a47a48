package tag

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

// TestDisorderIsTheFirst takes steps, modulo 2^64, that are too long for the fast
// way, or that only together reach the end of time and go on from 0, at any place in
// memory.
func TestDisorderIsTheFirst(t *testing.T) {
	begin := rapid.SampledFrom([]uint64{0, 1 << 59, 1 << 62, 1<<63 - 1<<59, 1<<63 - 1, 1 << 63, math.MaxUint64})
	short := rapid.Uint64Range(0, 3)
	long := rapid.SampledFrom([]uint64{1<<59 - 1, 1 << 59, 1 << 60, 1 << 62, 1<<63 - 1, 1 << 63, math.MaxUint64})
	rapid.Check(t, func(t *rapid.T) {
		at := begin.Draw(t, "begin")
		oneIn := rapid.SampledFrom([]int{1, 4, 30, 1000}).Draw(t, "long steps: one in")
		const most = 150
		steps := rapid.SliceOfN(short, 0, most).Draw(t, "steps")
		payload := AppendTags(make([]byte, rapid.IntRange(0, 7).Draw(t, "bytes before")), []uint64{at})
		first := len(payload) - Size
		want := 0
		for i, by := range steps {
			if rapid.IntRange(1, oneIn).Draw(t, "long") == 1 {
				by = long.Draw(t, "step")
			}
			if at+by < at && want == 0 {
				want = i + 1
			}
			at += by
			payload = AppendTags(payload, []uint64{at})
		}
		if got := Disorder(payload[first:]); got != want {
			t.Fatalf("found %d, want %d of %d", got, want, len(steps)+1)
		}
		odd := append(payload, make([]byte, rapid.IntRange(0, 7).Draw(t, "bytes behind"))...)
		if got := Disorder(odd[first:]); got != want {
			t.Fatalf("found %d with bytes behind, want %d", got, want)
		}
	})
}

func TestOrStepsIsOfEveryStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tags := rapid.SliceOfN(rapid.Uint64(), 0, 80).Draw(t, "tags")
		want := uint64(0)
		for i := 1; i < len(tags); i++ {
			want |= tags[i] - tags[i-1]
		}
		if got := OrSteps(tags); got != want {
			t.Fatalf("%x, want %x", got, want)
		}
	})
	for at := 1; at < 200; at++ { // one bit, in one step
		tags := make([]uint64, 200)
		for i := at; i < len(tags); i++ {
			tags[i] = 1 << (at % 64)
		}
		if got := OrSteps(tags); got != 1<<(at%64) {
			t.Fatalf("%x for a step at tag %d", got, at)
		}
	}
}

// TestStepBackIsFoundInEveryTurn puts one step back at every place of a long payload.
func TestStepBackIsFoundInEveryTurn(t *testing.T) {
	tags := make([]uint64, 16*40+9)
	for i := range tags {
		tags[i] = uint64(i+1) * 10_000
	}
	for at := 1; at < len(tags); at++ {
		was := tags[at]
		tags[at] = tags[at-1] - 1
		if got := Disorder(AsBytes(tags)); got != at {
			t.Fatalf("found %d, want %d", got, at)
		}
		tags[at] = was
	}
}

// TestInStepPassesOverNoOddStep: what it passes over is in step, and it stops at no other
// tags than those before one that is not.
func TestInStepPassesOverNoOddStep(t *testing.T) {
	most := rapid.SampledFrom([]uint64{0, 1, 100, 1<<58 - 1, 1 << 58, 1<<63 - 1, 1 << 63, math.MaxUint64})
	step := rapid.SampledFrom([]uint64{0, 1, 99, 100, 101, 1<<58 - 1, 1 << 58, 1 << 62, 1<<63 - 1, 1 << 63, math.MaxUint64})
	rapid.Check(t, func(t *rapid.T) {
		most := most.Draw(t, "most")
		previous := rapid.SampledFrom([]uint64{0, 1 << 40, 1<<63 - 9, 1 << 63, math.MaxUint64 - 9}).Draw(t, "previous")
		tags := make([]uint64, rapid.IntRange(0, 4*AtOnce).Draw(t, "tags"))
		for i, last := 0, previous; i < len(tags); i++ {
			last += uint64(rapid.IntRange(0, int(min(most, 3))).Draw(t, "short step"))
			if rapid.IntRange(0, 60).Draw(t, "odd") == 0 {
				last += step.Draw(t, "step")
			}
			tags[i] = last
		}
		even := 0
		for last := previous; even < len(tags) && tags[even] >= last && tags[even]-last <= most; even++ {
			last = tags[even]
		}
		want := even / AtOnce * AtOnce
		if most >= 1<<58 {
			want = 0
		}
		if got := InStep(previous, tags, most); got != want {
			t.Fatalf("%d, want %d", got, want)
		}
	})
}

func BenchmarkDisorder(b *testing.B) {
	tags := make([]uint64, MaxBlockTags)
	for i := range tags {
		tags[i] = uint64(i) * 10_000
	}
	payload := AsBytes(tags)
	b.SetBytes(MaxPayload)
	for b.Loop() {
		if Disorder(payload) != 0 {
			b.Fatal("out of order")
		}
	}
}
