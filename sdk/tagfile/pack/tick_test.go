package pack_test

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tsrun/sdk/tagfile/pack"
)

// inSteps are tags of a Poisson source on a grid that does not begin at 0.
func inSteps(n int, rate float64, step, phase, seed uint64) []uint64 {
	tags := poisson(n, rate, seed)
	for i := range tags {
		tags[i] = tags[i]/step*step + phase
	}
	return tags
}

// TestSizeOfTicks packs what devices of several steps make.
func TestSizeOfTicks(t *testing.T) {
	for _, rate := range []float64{1e4, 1e5, 1e6, 1e7} {
		for _, step := range []uint64{1, 4, 25, 81, 100, 2000, 10_000} {
			if rate*float64(step) > 1e10 { // several tags in a step: not as many bits as a Poisson source has
				continue
			}
			tags := inSteps(4*pack.MaxTags, rate, step, 7, 2)
			packed, sizes := packAll(t, nil, tags)
			if !slices.Equal(tags, unpackAll(t, nil, packed, sizes)) {
				t.Fatalf("%.0f kcps in steps of %d ps come back different", rate/1e3, step)
			}
			bits, least := 8*float64(len(packed))/float64(len(tags)), entropy(rate*float64(step))
			t.Logf("%.0f kcps in steps of %d ps: %.2f bits a tag, entropy %.2f, ratio %.3f", rate/1e3, step, bits, least, bits/least)
			if bits > 1.1*least {
				t.Errorf("%.0f kcps in steps of %d ps: %.3f of the entropy, at most 1.1 is promised", rate/1e3, step, bits/least)
			}
			most := 1.65 // a run is as wide as the largest of 128
			if step > 1 {
				most = 0.2 // as Rice's code is
			}
			if more := bits - least; more > most || more < 0 {
				t.Errorf("%.0f kcps in steps of %d ps: %.2f bits above the entropy", rate/1e3, step, more)
			}
		}
	}
}

// TestRoundTripOfTicks draws ticks of any size at places where a narrower
// integer or a float would break.
func TestRoundTripOfTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tick := rapid.Uint64Range(1, math.MaxUint64).Draw(t, "tick") >> rapid.UintRange(0, 63).Draw(t, "smaller")
		at := rapid.SampledFrom([]uint64{0, 1, 1 << 27, 1 << 32, 1 << 40, 1 << 53, 1 << 63, math.MaxUint64}).Draw(t, "near")
		steps := rapid.SliceOfN(rapid.Uint64Range(0, 5), 0, 300).Draw(t, "steps")
		tags := []uint64{at}
		for _, n := range steps {
			if high := at + n*max(tick, 1); high >= at && n <= math.MaxUint64/max(tick, 1) {
				at = high
			}
			tags = append(tags, at)
		}
		if rapid.Bool().Draw(t, "off the grid") {
			tags = append(tags, at+1) // also beyond 2^64
		}
		checkRoundTrip(t, tags)
	})
}

// TestBlocksWithoutTicksAreRead unpacks multiples that were packed in
// picoseconds, as the first version of the format did.
func TestBlocksWithoutTicksAreRead(t *testing.T) {
	le := binary.LittleEndian
	block := make([]byte, pack.HeaderSize)
	le.PutUint32(block[4:], pack.HeaderSize+1+8)
	le.PutUint64(block[8:], 1000)
	le.PutUint32(block[16:], 3)
	block = le.AppendUint64(append(block, 11), 2000|1000<<11)
	seal(block)
	got, err := pack.Decode(nil, block)
	if want := []uint64{1000, 3000, 4000}; err != nil || !slices.Equal(got, want) {
		t.Fatalf("%d, %v, want %d", got, err, want)
	}
}

func TestDecodeRefusesTicks(t *testing.T) {
	le := binary.LittleEndian
	tags := make([]uint64, 300)
	for i := range tags {
		tags[i] = 5 + uint64(i)*2000
	}
	for _, tt := range []struct {
		name   string
		tamper func(block []byte)
		want   string
	}{
		{"none", func(b []byte) { le.PutUint64(b[20:], 0) }, "a tick of 0 ps"},
		{"one", func(b []byte) { le.PutUint64(b[20:], 1) }, "a tick of 1 ps"},
		{"too long", func(b []byte) { le.PutUint64(b[20:], math.MaxUint64/299+1) }, "beyond 2^64 ps"},
		{"first too late", func(b []byte) { le.PutUint64(b[8:], math.MaxUint64-299*2000+1) }, "beyond 2^64 ps"},
		{"no room for it", func(b []byte) { le.PutUint32(b[4:], 30) }, "says 30 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			block := mustPack(t, tags)
			if le.Uint32(block[16:])>>31 != 1 {
				t.Fatal("packed without ticks")
			}
			tt.tamper(block)
			seal(block)
			got, err := pack.Decode([]uint64{1}, block)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(got) != 1 {
				t.Errorf("%d tags, error %v, want one with %q", len(got)-1, err, tt.want)
			}
		})
	}
}
