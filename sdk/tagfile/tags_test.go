package tagfile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile/pack"
)

// several writes a file of three channels with several blocks each.
func several(t testing.TB) (path string, channels map[int][]uint64) {
	t.Helper()
	channels = map[int][]uint64{}
	for c := range 3 {
		for i := range 150_000 {
			channels[c] = append(channels[c], uint64(i)*1_000_003+uint64(c))
		}
	}
	path = filepath.Join(t.TempDir(), "x.tags")
	writeChannels(t, path, channels)
	return path, channels
}

func TestTagsReadsByChannel(t *testing.T) {
	path, channels := several(t)
	for c, want := range channels {
		for _, n := range []int{1000, pack.MaxTags, 200_000} {
			r, info, err := Open(path, "", c)
			if err != nil || info.Tags() != 450_000 {
				t.Fatal(info, err)
			}
			got, err := drain(r, n)
			if err != nil || !slices.Equal(got, want) || r.Info().Tags() != uint64(len(want)) {
				t.Errorf("channel %d by %d: %d tags, %v", c, n, len(got), err)
			}
			r.Close()
		}
	}
	if _, _, err := Open(path, "", OnlyChannel); err == nil || !strings.Contains(err.Error(), "it holds channels 0, 1, 2; choose one") {
		t.Error(err)
	}
	if _, _, err := Open(path, "", 7); err == nil || !strings.Contains(err.Error(), "no tags of channel 7; it holds 0, 1, 2") {
		t.Error(err)
	}
}

// TestTagsSeeks: of a part only the blocks that touch it are unpacked, so
// damage elsewhere does not matter.
func TestTagsSeeks(t *testing.T) {
	path, channels := several(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	content[tagsHeader+1000] ^= 1
	damaged := write(t, "x.tags", content)
	out := filepath.Join(t.TempDir(), "out.bin")
	from, to := channels[1][100_000], channels[1][120_000]
	if _, err := Convert(t.Context(), damaged, out, ConvertOptions{Channels: []int{1}, First: new(int64(from)), Last: new(int64(to))}); err != nil {
		t.Fatal(err)
	}
	got, err := ReadAll(out, "", OnlyChannel)
	if err != nil || !slices.Equal(got, channels[1][100_000:120_001]) {
		t.Errorf("%d tags, %v", len(got), err)
	}
	if _, err := ReadRecording(damaged, ""); err == nil || !strings.Contains(err.Error(), "block 0: unpack tags: checksum") {
		t.Error(err)
	}
	info, err := Scan(damaged, "")
	if err == nil || !strings.Contains(err.Error(), "block 0: unpack tags: checksum") || info.Tags() != 450_000-pack.MaxTags || info.Damage.Records != 8 {
		t.Error(info, err)
	}
}

// TestTagsCutOff: of a file without its end every whole block can be read, and
// the error says what is missing.
func TestTagsCutOff(t *testing.T) {
	path, channels := several(t)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	f, _, err := openAs(path, "")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	file, err := openTags(f)
	if err != nil {
		t.Fatal(err)
	}
	second := file.blocks[1]
	for _, tt := range []struct {
		name string
		size int
		want string
	}{
		{"in the index", len(content) - 1, "it has no index; its 9 blocks are whole and end at byte"},
		{"before the index", int(file.blocks[8].offset) + file.blocks[8].size, "it has no index; 9 blocks are whole, what follows byte"},
		{"in a block", int(second.offset) + second.size - 1, "it has no index; 1 blocks are whole"},
		{"in a frame", int(second.offset) + 7, "it has no index; 1 blocks are whole"},
		{"after the header", tagsHeader, "it has no index; 0 blocks are whole, what follows byte 16 is missing: it ends there"},
	} {
		cut := write(t, "x.tags", content[:tt.size])
		whole := uint64(0)
		for _, b := range file.blocks {
			if int(b.offset)+b.size <= tt.size {
				whole += uint64(b.count)
			}
		}
		info, err := Scan(cut, "")
		if err == nil || !strings.Contains(err.Error(), tt.want) || info.Tags() != whole {
			t.Errorf("%s: %v, want %q; %d tags, want %d", tt.name, err, tt.want, info.Tags(), whole)
		}
		r, _, err := Open(cut, "", 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := drain(r, 1000)
		if err == nil || !strings.Contains(err.Error(), tt.want) || !slices.Equal(got, channels[0][:len(got)]) {
			t.Errorf("%s: %d tags, %v", tt.name, len(got), err)
		}
		r.Close()
	}
}

// TestTagsDamage: no flipped bit passes, wherever it is.
func TestTagsDamage(t *testing.T) {
	content := encoded(t, Tags, 5, []uint64{3, 1000, 1 << 40, 1 << 40, 1<<40 + 5})
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		b := bytes.Clone(content)
		bit := rapid.IntRange(0, 8*len(b)-1).Draw(rt, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		path := filepath.Join(dir, "x.tags")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			rt.Fatal(err)
		}
		if got, err := ReadRecording(path, ""); err == nil {
			rt.Fatalf("%+v", got)
		}
	})
}

// TestTagsContradictions: checksums that are right do not make a lie true.
func TestTagsContradictions(t *testing.T) {
	le := binary.LittleEndian
	content := encoded(t, Tags, 5, []uint64{3, 1000})
	indexAt := len(content) - tagsTail - tagsEntry - 4
	sumIndex := func(b []byte) {
		le.PutUint32(b[len(b)-12:], crc32.Checksum(b[indexAt:len(b)-12], tag.Castagnoli))
	}
	sumFrame := func(b []byte) { le.PutUint32(b[tagsHeader+16:], frameSum(b[tagsHeader:tagsHeader+40])) }
	backwards, err := pack.Append(nil, []uint64{1000, 3})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		lie  func(b []byte)
		want string
	}{
		{"count in the index", func(b []byte) { le.PutUint32(b[indexAt+4+12:], 9); sumIndex(b) }, "is not the one of the index"},
		{"no tags in the index", func(b []byte) { le.PutUint32(b[indexAt+4+12:], 0); sumIndex(b) }, "its index contradicts itself at block 0"},
		{"offset in the index", func(b []byte) { le.PutUint64(b[indexAt+4:], 17); sumIndex(b) }, "its index contradicts itself at block 0"},
		{"number of blocks", func(b []byte) { le.PutUint64(b[len(b)-tagsTail:], 1<<60) }, "its index is damaged"},
		{"last tag", func(b []byte) {
			le.PutUint64(b[tagsHeader+8:], 1001)
			sumFrame(b)
			le.PutUint64(b[indexAt+4+24:], 1001)
			sumIndex(b)
		}, "block 0 ends at 1000 ps, its frame says 1001"},
		{"version", func(b []byte) { b[8] = 3; le.PutUint32(b[12:], crc32.Checksum(b[:12], tag.Castagnoli)) }, "its version is 3, known are 1 to 2"},
		{"version 0", func(b []byte) { b[8] = 0; le.PutUint32(b[12:], crc32.Checksum(b[:12], tag.Castagnoli)) }, "its version is 0, known are 1 to 2"},
		{"no header", func(b []byte) { b[9] = 2 }, "its header is damaged"},
	} {
		b := bytes.Clone(content)
		tt.lie(b)
		if got, err := ReadRecording(write(t, "x.tags", b), ""); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %+v, %v, want %q", tt.name, got, err, tt.want)
		}
	}
	frame := content[tagsHeader : tagsHeader+tagsFrame : tagsHeader+tagsFrame]
	b := append(bytes.Clone(content[:tagsHeader]), append(frame, backwards...)...)
	sumFrame(b)
	if got, err := ReadRecording(write(t, "x.tags", b), ""); err == nil || !strings.Contains(err.Error(), "block 0: tag 1 goes back in time: 3 ps after 1000 ps") {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestTagsManyChannels: channels that never fill a block do not pile up.
func TestTagsManyChannels(t *testing.T) {
	e, err := newTagsEncoder(encoding{})
	if err != nil {
		t.Fatal(err)
	}
	tags := make([]uint64, 100)
	var dst []byte
	for c := range 2 * maxHeldTags / 100 {
		if dst, err = e.append(dst[:0], c, tags); err != nil {
			t.Fatal(err)
		}
		if held := e.(*tagsEncoder).tags; held > maxHeldTags {
			t.Fatalf("%d tags held", held)
		}
	}
}
