package tagfile

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tsrun/internal/need"
	"tsrun/sdk/tag"
)

type npzMember struct {
	name   string
	bytes  []byte
	packed bool
}

// npzOf is an archive of whatever members.
func npzOf(t testing.TB, members ...npzMember) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		method := zip.Store
		if m.packed {
			method = zip.Deflate
		}
		w, err := z.CreateHeader(&zip.FileHeader{Name: m.name, Method: method})
		if err == nil {
			_, err = w.Write(m.bytes)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// arrayOf is an array of times.
func arrayOf(tags ...uint64) []byte {
	return append(npyHead("'<i8'", fmt.Sprintf("(%d,)", len(tags))), tag.AsBytes(tags)...)
}

// TestNPZByNumpy: numpy reads the archives that are written, without pickle, and what
// numpy.savez writes is read.
func TestNPZByNumpy(t *testing.T) {
	interpreter := need.Python(t, "numpy", "python3-numpy")
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	tags := apart()
	writeChannels(t, in("two.tags"), map[int][]uint64{-3: tags, 70_000: {5}})
	if _, err := Convert(t.Context(), in("two.tags"), in("two.npz"), ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	about := Provenance{Run: "0123", Recipe: strings.Repeat("ab", 32), Channel: "alice.signal", Device: "Gerät µ", Simulated: true}
	late := append(slices.Clone(tags), 1<<63)
	if _, err := ConvertTags(t.Context(), tag.NewReader(late), "alice.signal", in("one.npz"), ConvertOptions{About: about}); err != nil {
		t.Fatal(err)
	}
	got := python(t, interpreter, "testdata/npz.py", dir)
	want := fmt.Sprintf("channel_-3 int64 %s\nchannel_70000 int64 5\nmeta {'unit': 'ps'}\nchannel_1 uint64 %s\nmeta {'run': '0123', 'recipe_sha256': '%s', 'channel': 'alice.signal', 'device': 'Gerät µ', 'SIMULATED': True, 'unit': 'ps'}\n",
		strings.Trim(fmt.Sprint(tags), "[]"), strings.Trim(fmt.Sprint(late), "[]"), about.Recipe)
	if got != want {
		t.Errorf("numpy sees\n%s\nwant\n%s", got, want)
	}
	for name, want := range map[string]map[int][]uint64{
		"named": {1: tags, 2: {5}}, "places": {0: tags, 1: {5}}, "numbers": {7: tags, 12: {5}}, "others": {1: {5}}, "two": {-3: tags, 70_000: {5}},
	} {
		r, err := ReadRecording(in(name+".npz"), "")
		if err != nil || len(r.Channels) != len(want) {
			t.Errorf("%s: %+v, %v", name, r.Info, err)
		}
		for channel, tags := range want {
			if !slices.Equal(r.Channels[channel], tags) {
				t.Errorf("%s, channel %d: %v", name, channel, r.Channels[channel])
			}
		}
	}
	if _, err := ReadRecording(in("packed.npz"), ""); err == nil || !strings.Contains(err.Error(), "write it with numpy.savez, not savez_compressed") {
		t.Error(err)
	}
}

// TestNPZIsRefused: each archive that is damaged, hostile or of something else is
// an error that says so.
func TestNPZIsRefused(t *testing.T) {
	whole := npzOf(t, npzMember{"a.npy", arrayOf(5, 6, 7), false})
	changed := bytes.Clone(whole)
	changed[bytes.Index(changed, tag.AsBytes([]uint64{6}))]++
	twice := bytes.Clone(whole) // two entries of one array
	end := bytes.LastIndex(twice, []byte("PK\x05\x06"))
	entry := bytes.LastIndex(twice, []byte("PK\x01\x02"))
	twice = slices.Concat(twice[:end], bytes.Repeat(twice[entry:end], 9), twice[end:])
	last := twice[len(twice)-22:]
	binary.LittleEndian.PutUint16(last[8:], 10)
	binary.LittleEndian.PutUint16(last[10:], 10)
	binary.LittleEndian.PutUint32(last[12:], uint32(10*(end-entry)))
	var many []npzMember
	for i := range maxNPZArrays + 1 {
		many = append(many, npzMember{fmt.Sprintf("a%d.npy", i), arrayOf(uint64(i)), false})
	}
	for name, c := range map[string]struct {
		bytes []byte
		want  string
	}{
		"cut off":     {whole[:len(whole)-5], "it is no whole zip archive"},
		"changed":     {changed, "its checksum is wrong"},
		"overlapping": {twice, "its arrays would be longer than the file"},
		"packed":      {npzOf(t, npzMember{"a.npy", arrayOf(5, 6, 7), true}), "it is compressed"},
		"no tags":     {npzOf(t, npzMember{"a.npy", npyHead("'<f8'", "(0,)"), false}), "none of its arrays holds tags: "},
		"no array":    {npzOf(t, npzMember{"a.npy", []byte("hello"), false}), `it begins with "hello"`},
		"cut array":   {npzOf(t, npzMember{"a.npy", arrayOf(5)[:100], false}), "it is cut off"},
		"too many":    {npzOf(t, many...), "it has more than 128 arrays"},
	} {
		_, err := ReadRecording(write(t, "x.npz", c.bytes), "")
		if err == nil || !strings.Contains(err.Error(), c.want) || len(err.Error()) > 600 {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if r, err := ReadRecording(write(t, "x.npz", npzOf(t, npzMember{npzAbout + npySuffix, append(npyHead("'<U2'", "()"), 'h', 0, 0, 0, 'i', 0, 0, 0), false})), ""); err != nil || r.Info.Tags() != 0 {
		t.Errorf("without tags: %+v, %v", r.Info, err)
	}
}

// TestNPZSpools: more tags than wait in memory go through files that are gone
// afterwards, also when writing fails.
func TestNPZSpools(t *testing.T) {
	dir := t.TempDir()
	tags := make([]uint64, 100_000)
	for i := range tags {
		tags[i] = uint64(i) * 3
	}
	writeChannels(t, filepath.Join(dir, "x.tags"), map[int][]uint64{1: tags, 2: tags})
	for _, out := range []string{"x.npz", "no/x.npz"} {
		_, err := Convert(context.Background(), filepath.Join(dir, "x.tags"), filepath.Join(dir, out), ConvertOptions{})
		if (err != nil) != (out != "x.npz") {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	_, err := Convert(ctx, filepath.Join(dir, "x.tags"), filepath.Join(dir, "stopped.npz"), ConvertOptions{Progress: func(done, _ int64) {
		if done > 0 {
			cancel()
		}
	}})
	if err == nil {
		t.Error("it was stopped, and is whole")
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 {
		t.Errorf("%v, %v", left, err)
	}
	r, err := ReadRecording(filepath.Join(dir, "x.npz"), "")
	if err != nil || !slices.Equal(r.Channels[1], tags) || !slices.Equal(r.Channels[2], tags) {
		t.Errorf("%+v, %v", r.Info, err)
	}
}
