package wire

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestGlimpseComesBackAsItWas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		from := rapid.Uint64Range(0, 1<<62).Draw(t, "from")
		tags := rapid.SliceOfN(rapid.Uint64Range(from, from+1<<40), 0, 100).Draw(t, "tags")
		slices.Sort(tags)
		g := StreamGlimpse{FromPs: from, ToPs: from + 1<<40 + 1, Packed: PackGlimpse(from, tags)}
		got, err := g.Unpack()
		if err != nil || !slices.Equal(got, tags) {
			t.Fatalf("%v, %v, want %v", got, err, tags)
		}
	})
}

func TestGlimpsesThatAreNone(t *testing.T) {
	for name, g := range map[string]StreamGlimpse{
		"turned round":        {FromPs: 10, ToPs: 9},
		"a tag beyond it":     {FromPs: 10, ToPs: 20, Packed: []byte{10}},
		"a tag that is cut":   {ToPs: 1 << 40, Packed: []byte{1, 0x80}},
		"a tag of 70 bits":    {ToPs: 1 << 63, Packed: slices.Repeat([]byte{0xff}, 11)},
		"a tag in no time":    {FromPs: 5, ToPs: 5, Packed: []byte{0}},
		"too many":            {ToPs: 1, Packed: make([]byte, GlimpseTags+1)},
		"times that overflow": {FromPs: 1<<64 - 2, ToPs: 1<<64 - 1, Packed: []byte{5}},
	} {
		if tags, err := g.Unpack(); err == nil {
			t.Errorf("%s: %d tags", name, len(tags))
		}
	}
}

func FuzzGlimpse(f *testing.F) {
	f.Add(uint64(0), uint64(1<<40), PackGlimpse(0, []uint64{1, 5, 5, 1 << 30}))
	f.Add(uint64(1<<63), uint64(1<<64-1), []byte{0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, from, to uint64, packed []byte) {
		g := StreamGlimpse{FromPs: from, ToPs: to, Packed: packed}
		tags, err := g.Unpack()
		if err != nil {
			return
		}
		if !slices.IsSorted(tags) || len(tags) > GlimpseTags || len(tags) > 0 && (tags[0] < from || tags[len(tags)-1] >= to) {
			t.Fatalf("%d tags of [%d, %d)", len(tags), from, to)
		}
	})
}
