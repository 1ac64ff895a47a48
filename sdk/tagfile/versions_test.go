package tagfile

import (
	"bytes"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"tsrun/sdk/tagfile/pack"
)

// golden is what the files of every version in testdata hold: a channel in steps of
// 2 ns, one in ps up to 2^64, and one of a single tag.
func golden() map[int][]uint64 {
	var steps, ps []uint64
	at, random := uint64(1<<40+3), uint64(1)
	for range 600 {
		random = random*6364136223846793005 + 1442695040888963407
		at += (random >> 48) * (random >> 32 & 0xffff) >> 18 * 2000 // 4096 steps or so, most fewer
		steps = append(steps, at)
		ps = append(ps, at+random>>60)
	}
	return map[int][]uint64{1: steps, -3: append([]uint64{0, 0, 1 << 27, 1 << 32}, append(ps, 1<<53, 1<<63, math.MaxUint64)...), 7: {1<<53 + 1}}
}

// TestEveryVersionIsRead reads files that were written when their version was the
// last one: 1 has no ticks, 2 has ticks and Rice's code.
func TestEveryVersionIsRead(t *testing.T) {
	want := golden()
	for _, name := range []string{"version-1.tags", "version-2.tags"} {
		got, err := ReadRecording(filepath.Join("testdata", name), "")
		if err != nil || !maps.EqualFunc(got.Channels, want, slices.Equal) {
			t.Errorf("%s: channels differ, %v", name, err)
		}
	}
}

// TestSizeOfTags is what docs/files.md says that tags of a device at 100 kcps take.
func TestSizeOfTags(t *testing.T) {
	for _, tt := range []struct {
		step uint64
		most float64 // bytes a tag
	}{{1, 3.29}, {100, 2.28}, {2000, 1.74}} {
		rng := rand.New(rand.NewPCG(tt.step, 1))
		tags, at := make([]uint64, 4*pack.MaxTags), 0.0
		for i := range tags {
			at += rng.ExpFloat64() * 1e7
			tags[i] = uint64(at) / tt.step * tt.step
		}
		content := encoded(t, Tags, 1, tags)
		bytes, entropy := float64(len(content))/float64(len(tags)), math.Log2(math.E*1e7/float64(tt.step))/8
		t.Logf("%d ps: %.3f bytes a tag, %.3f of the entropy", tt.step, bytes, bytes/entropy)
		if bytes > tt.most || bytes > 1.1*entropy {
			t.Errorf("%d ps: %.3f bytes a tag, %.3f of the entropy", tt.step, bytes, bytes/entropy)
		}
	}
}

// TestSalvageEveryByteOfVersions cuts the files at every byte and flips every
// seventh: every block that is whole comes back.
func TestSalvageEveryByteOfVersions(t *testing.T) {
	ft, _ := find(Tags)
	for _, name := range []string{"version-1.tags", "version-2.tags"} {
		content, err := os.ReadFile(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := openTags(inMemory(content))
		if err != nil {
			t.Fatal(err)
		}
		for at := range content {
			before, without := 0, 0
			for _, b := range whole.blocks {
				if end := int(b.offset) + b.size; end <= at {
					before += b.count
				}
				if at < int(b.offset) || at >= int(b.offset)+b.size {
					without += b.count
				}
			}
			if got, _ := salvaged(t, ft, content[:at]); len(got) != before {
				t.Fatalf("%s cut at byte %d: %d tags, want %d", name, at, len(got), before)
			}
			if at < len(tagsMagic) || at%7 > 0 { // with another beginning it is no file of tags
				continue
			}
			flipped := bytes.Clone(content)
			flipped[at] ^= 0x10
			if got, info := salvaged(t, ft, flipped); len(got) != without || at < int(whole.blocks[2].offset) && info.Damage == nil {
				t.Fatalf("%s flipped at byte %d: %d tags, want %d", name, at, len(got), without)
			}
		}
	}
}
