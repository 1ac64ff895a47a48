package pack_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tsrun/sdk/tagfile/pack"
)

// tester is what a test, a fuzz target and a rapid check have in common.
type tester interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func mustPack(tb tester, tags []uint64) []byte {
	tb.Helper()
	block, err := pack.Append(nil, tags)
	if err != nil {
		tb.Fatal(err)
	}
	return block
}

// checkRoundTrip packs tags behind a few bytes, over others, and unpacks them
// behind a tag.
func checkRoundTrip(tb tester, tags []uint64) {
	tb.Helper()
	const before = "before"
	used := append([]byte(before), bytes.Repeat([]byte{0xff}, 9*len(tags)+100)...)
	packed, err := pack.Append(used[:len(before)], tags)
	if err != nil {
		tb.Fatal(err)
	}
	if string(packed[:len(before)]) != before {
		tb.Fatalf("Append overwrites %q with %q", before, packed[:len(before)])
	}
	block := packed[len(before):]
	if !bytes.Equal(block, mustPack(tb, tags)) {
		tb.Fatalf("%d tags from %d ps: the block holds what was in its room before", len(tags), tags[0])
	}
	h, err := pack.ReadHeader(block)
	if err != nil || h.Size != len(block) || h.First != tags[0] || h.Count != len(tags) {
		tb.Fatalf("header %+v, %v, want one of %d bytes, %d tags from %d ps", h, err, len(block), len(tags), tags[0])
	}
	got, err := pack.Decode([]uint64{7}, block)
	if err != nil {
		tb.Fatal(err)
	}
	if got[0] != 7 || !slices.Equal(got[1:], tags) {
		tb.Fatalf("%d tags from %d ps come back different", len(tags), tags[0])
	}
}

// TestRoundTripOfAnyTags draws lengths around whole runs, differences of any
// width, places where a narrower integer or a float would break, and steps back.
func TestRoundTripOfAnyTags(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{0, 128, 256, 1024}).Draw(t, "runs") + rapid.IntRange(1, 130).Draw(t, "n")
		at := rapid.SampledFrom([]uint64{0, 1 << 27, 1 << 32, 1 << 40, 1 << 53, 1 << 63, math.MaxUint64}).Draw(t, "near")
		width := rapid.UintRange(0, 64).Draw(t, "bits")
		outlier := rapid.IntRange(0, n).Draw(t, "outlier")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		tags := make([]uint64, n)
		for i := range tags {
			at += rng.Uint64() >> (64 - width)
			if i == outlier {
				at -= rng.Uint64() >> rng.UintN(64)
			}
			tags[i] = at
		}
		checkRoundTrip(t, tags)
	})
}

func TestRoundTripOfEveryWidth(t *testing.T) {
	for _, n := range []int{2, 3, 4, 5, 8, 127, 128, 129, 130, 131, 132, 133, 257, pack.MaxTags} {
		for width := range uint(65) {
			for _, low := range []uint64{0, 1} { // all bits set, and only the highest
				tags := make([]uint64, n)
				for i := 1; i < n; i++ {
					tags[i] = tags[i-1] + ^uint64(0)>>(64-width) - low*(^uint64(0)>>(64-width)>>1)
				}
				if n < pack.MaxTags || width%13 == 0 {
					checkRoundTrip(t, tags)
				}
			}
		}
	}
}

func TestBlocksAreAsLongAsTheirWidthsSay(t *testing.T) {
	const header = pack.HeaderSize
	far := make([]uint64, pack.MaxTags)
	for i := range far {
		far[i] = uint64(i) * (1<<63 + 1)
	}
	for _, tt := range []struct {
		name string
		tags []uint64
		want int
	}{
		{"one tag", []uint64{5}, header},
		{"equal tags", make([]uint64, 1000), header + 8},
		{"a difference of 9 bits", []uint64{0, 300}, header + 1 + 8},
		{"one run", []uint64{128: 1}, header + 1 + 16},
		{"a run and a tag", []uint64{129: 1}, header + 2 + 8},
		{"the longest", far, pack.MaxSize},
	} {
		if got := len(mustPack(t, tt.tags)); got != tt.want {
			t.Errorf("%s: %d bytes, want %d", tt.name, got, tt.want)
		}
	}
}

// TestSizeNearEntropy packs what a Poisson source makes.
func TestSizeNearEntropy(t *testing.T) {
	for _, rate := range []float64{1e4, 1e5, 3e5, 1e6, 3e6, 1e7} {
		tags := poisson(4*pack.MaxTags, rate, 2)
		packed, _ := packAll(t, nil, tags)
		if ratio := 8 * float64(len(packed)) / float64(len(tags)) / entropy(rate); ratio > 1.1 || ratio < 1 {
			t.Errorf("%.0f kcps: %.3f of the entropy", rate/1e3, ratio)
		}
	}
}

func TestAppendRefuses(t *testing.T) {
	for _, n := range []int{0, pack.MaxTags + 1} {
		got, err := pack.Append([]byte{1}, make([]uint64, n))
		if want := fmt.Sprintf("%d of them", n); err == nil || !strings.Contains(err.Error(), want) || len(got) != 1 {
			t.Errorf("%d tags: %v, %d bytes", n, err, len(got))
		}
	}
}

// seal makes the checksum of a tampered block right again, so that the checks
// behind it are reached.
func seal(block []byte) {
	binary.LittleEndian.PutUint32(block, crc32.Checksum(block[4:], crc32.MakeTable(crc32.Castagnoli)))
}

func TestDecodeRefuses(t *testing.T) {
	le := binary.LittleEndian
	tags := make([]uint64, 300)
	for i := range tags {
		tags[i] = uint64(i)*1000 + uint64(i)/299
	}
	for _, tt := range []struct {
		name   string
		tamper func(block []byte) []byte
		want   string
	}{
		{"empty", func([]byte) []byte { return nil }, "ends after 0 bytes"},
		{"within header", func(b []byte) []byte { return b[:19] }, "ends after 19 bytes"},
		{"cut off", func(b []byte) []byte { return b[:len(b)-1] }, "for a block of"},
		{"too long", func(b []byte) []byte { return append(b, 0) }, "for a block of"},
		{"no tags", func(b []byte) []byte { le.PutUint32(b[16:], 0); return b }, "says 0 tags"},
		{"too many tags", func(b []byte) []byte { le.PutUint32(b[16:], pack.MaxTags+1); return b }, "says 65537 tags"},
		{"count of 2^32", func(b []byte) []byte { le.PutUint32(b[16:], math.MaxUint32); return b }, "says 4294967295 tags"},
		{"size too small", func(b []byte) []byte { le.PutUint32(b[4:], 22); return b }, "says 22 bytes"},
		{"size too large", func(b []byte) []byte { le.PutUint32(b[4:], math.MaxUint32); return b }, "says 4294967295 bytes"},
		{"damaged", func(b []byte) []byte { b[30] ^= 1; return b }, "checksum"},
		{"width", func(b []byte) []byte { b[21] = 65; seal(b); return b }, "run 1 has differences of 65 bits"},
		{"width too small", func(b []byte) []byte { b[20]--; seal(b); return b }, "differences take"},
		{"width too large", func(b []byte) []byte { b[22]++; seal(b); return b }, "differences take"},
		{"another count", func(b []byte) []byte { le.PutUint32(b[16:], 290); seal(b); return b }, "differences take"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := pack.Decode([]uint64{1}, tt.tamper(mustPack(t, tags)))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
			if len(got) != 1 {
				t.Errorf("%d tags of a refused block", len(got)-1)
			}
		})
	}
}

func TestDecodeNoticesEveryFlippedBit(t *testing.T) {
	block := mustPack(t, poisson(200, 1e6, 3))
	for bit := range 8 * len(block) {
		block[bit/8] ^= 1 << (bit % 8)
		if _, err := pack.Decode(nil, block); err == nil {
			t.Errorf("bit %d flipped and nobody noticed", bit)
		}
		block[bit/8] ^= 1 << (bit % 8)
	}
}

// FuzzDecode seals what the fuzzer made, so that it gets past the checksum.
// What comes out is bounded by what the header says and packs into no more.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add(mustPack(f, []uint64{1 << 63}))
	f.Add(mustPack(f, make([]uint64, 1000)))
	f.Add(mustPack(f, poisson(300, 1e6, 4)))
	f.Add(mustPack(f, inSteps(300, 1e5, 2000, 7, 4)))
	f.Add(mustPack(f, steep(300, 1<<40)))
	f.Add(mustPack(f, []uint64{5, 4, 1 << 63, math.MaxUint64, 0}))
	f.Fuzz(func(t *testing.T, block []byte) {
		if len(block) >= pack.HeaderSize {
			seal(block)
		}
		tags, err := pack.Decode(nil, block)
		if err != nil {
			if len(tags) != 0 {
				t.Fatalf("%d tags and %v", len(tags), err)
			}
			return
		}
		if most := 128 * (len(block) - pack.HeaderSize); len(tags) > most+1 {
			t.Fatalf("%d tags of %d bytes", len(tags), len(block))
		}
		again := mustPack(t, tags)
		if len(again) > len(block) {
			t.Fatalf("%d bytes pack into %d", len(block), len(again))
		}
		if back, err := pack.Decode(nil, again); err != nil || !slices.Equal(tags, back) {
			t.Fatalf("come back different: %v", err)
		}
	})
}
