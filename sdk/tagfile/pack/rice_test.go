package pack_test

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tsrun/sdk/tagfile/pack"
)

// steep is n tags, of which one in seven is a thousand times as late after the one
// before as others are, so that runs have long rows of 0.
func steep(n int, tick uint64) []uint64 {
	tags := make([]uint64, n)
	for i := 1; i < n; i++ {
		gap := uint64(i % 3)
		if i%7 == 0 {
			gap = uint64(1000 * i)
		}
		tags[i] = tags[i-1] + gap*tick
	}
	return tags
}

// TestRoundTripOfRice draws gaps as a Poisson source has them, of any mean, some
// much longer, in ticks of any size, at places where a narrower integer or a float
// would break. Tags may come up to 2^64 ps.
func TestRoundTripOfRice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.SampledFrom([]int{0, 128, 256, 1024}).Draw(t, "runs") + rapid.IntRange(1, 130).Draw(t, "n")
		at := rapid.SampledFrom([]uint64{0, 1 << 27, 1 << 32, 1 << 40, 1 << 53, 1 << 63, math.MaxUint64 - 1<<40}).Draw(t, "near")
		tick := max(2, rapid.Uint64().Draw(t, "tick")>>rapid.UintRange(1, 63).Draw(t, "smaller"))
		mean := math.Ldexp(1, rapid.IntRange(-3, 62).Draw(t, "mean"))
		longer := rapid.SampledFrom([]float64{1, 1, 8, 1000, 1e9}).Draw(t, "longer")
		often := rapid.IntRange(1, 200).Draw(t, "often")
		rng := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 1))
		tags := []uint64{at}
		for i := 1; i < n; i++ {
			gap := rng.ExpFloat64() * mean
			if i%often == 0 {
				gap *= longer
			}
			if left := (math.MaxUint64 - at) / tick; gap < float64(left/2) { // the last few may be all alike
				at += uint64(gap) * tick
			}
			tags = append(tags, at)
		}
		checkRoundTrip(t, tags)
	})
}

// TestRiceIsTheShortest packs runs of every mean in steps of 2 ps and compares them
// with every number of lowest bits, and with a width for all.
func TestRiceIsTheShortest(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for power := range 45 {
		for _, longer := range []uint64{1, 5, 1000} {
			tags := make([]uint64, 129)
			for i := 1; i < len(tags); i++ {
				gap := uint64(rng.ExpFloat64() * math.Ldexp(1, power))
				if i%50 == 0 {
					gap *= longer
				}
				tags[i] = tags[i-1] + 2*gap
			}
			if tags[128] == 0 || slices.ContainsFunc(tags, func(t uint64) bool { return t%4 != 0 }) == false {
				continue // the tick is another
			}
			least, all := math.MaxInt, uint64(0)
			for k := range 41 {
				bits := 128 * (k + 1)
				for i := 1; i < len(tags); i++ {
					all |= (tags[i] - tags[i-1]) / 2
					bits += int((tags[i] - tags[i-1]) / 2 >> k)
				}
				least = min(least, (bits+63)/64*8)
			}
			for w := range 65 {
				if w == 64 || all>>w == 0 {
					least = min(least, 16*w)
					break
				}
			}
			if got, want := len(mustPack(t, tags)), pack.HeaderSize+8+1+least; got != want {
				t.Errorf("gaps of 2^%d, some times %d: %d bytes, %d are possible", power, longer, got, want)
			}
		}
	}
}

func TestDecodeRefusesRice(t *testing.T) {
	le := binary.LittleEndian
	tags := inSteps(258, 1e5, 2000, 7, 8) // two runs of 128, and one difference
	const codes = pack.HeaderSize + 8
	whole := mustPack(t, tags)
	if whole[codes] < 128 || whole[codes+1] < 128 || whole[codes+2] >= 128 {
		t.Fatalf("codes %d", whole[codes:codes+3])
	}
	longer := func(b []byte, word uint64) []byte {
		b = le.AppendUint64(b, word)
		le.PutUint32(b[4:], uint32(len(b)))
		return b
	}
	for _, tt := range []struct {
		name   string
		tamper func(b []byte) []byte
		want   string
	}{
		{"too many lowest bits", func(b []byte) []byte { b[codes] = 169; return b }, "run 0 has differences of 169 bits"},
		{"between a width and the code", func(b []byte) []byte { b[codes] = 65; return b }, "run 0 has differences of 65 bits"},
		{"of a run that is not full", func(b []byte) []byte { b[codes+2] = 140; return b }, "run 2 has differences of 140 bits"},
		{"in ps", func(b []byte) []byte {
			b = append(b[:pack.HeaderSize], b[codes:]...)
			le.PutUint32(b[16:], le.Uint32(b[16:])&^(1<<31))
			le.PutUint32(b[4:], uint32(len(b)))
			return b
		}, "run 0 has differences of 1"},
		{"a word more", func(b []byte) []byte { return longer(b, 0) }, "goes on behind its last run"},
		{"a word with a 1 more", func(b []byte) []byte { return longer(b, 1) }, "goes on behind its last run"},
		{"a 1 more", func(b []byte) []byte { b[len(b)-1] |= 0x80; return b }, "goes on behind its last run"},
		{"nothing behind", func(b []byte) []byte {
			for i := len(b) - 8; i < len(b); i++ {
				b[i] = 0
			}
			return b
		}, "the block ends within run 1"},
		{"no whole word", func(b []byte) []byte {
			b = append(b, 0)
			le.PutUint32(b[4:], uint32(len(b)))
			return b
		}, "they are words of 8"},
		{"runs cut off", func(b []byte) []byte {
			b = b[:codes+3+8]
			le.PutUint32(b[4:], uint32(len(b)))
			return b
		}, "differences take"},
		{"first too late", func(b []byte) []byte { le.PutUint64(b[8:], math.MaxUint64); return b }, "beyond 2^64 ps"},
		{"tick too long", func(b []byte) []byte { le.PutUint64(b[20:], 1<<62); return b }, "beyond 2^64 ps"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			block := tt.tamper(slices.Clone(whole))
			seal(block)
			got, err := pack.Decode([]uint64{1}, block)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(got) != 1 {
				t.Errorf("%d tags, error %v, want one with %q", len(got)-1, err, tt.want)
			}
		})
	}
}

// TestTicksThatRollOver: differences that are more than 2^64 together are no tags,
// also where the last tag is after the first again.
func TestTicksThatRollOver(t *testing.T) {
	le := binary.LittleEndian
	block := make([]byte, pack.HeaderSize)
	le.PutUint32(block[16:], 4|1<<31)
	block = append(le.AppendUint64(block, 2), 64)
	for _, d := range []uint64{1 << 63, 1 << 63, 5} {
		block = le.AppendUint64(block, d)
	}
	le.PutUint32(block[4:], uint32(len(block)))
	seal(block)
	if got, err := pack.Decode(nil, block); err == nil || !strings.Contains(err.Error(), "beyond 2^64 of them") {
		t.Errorf("%d, %v", got, err)
	}
}
