package segments

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(endlessDir); dir != "" {
		recordEndlessly(dir)
		return
	}
	if os.Getenv(limitDir) != "" {
		os.Exit(recordToTheLimit())
	}
	goleak.VerifyTestMain(m)
}

// ofFormat is a sink of files in a format of tags.
func ofFormat(format string) *sink {
	return New(Options{Encoder: func(_ sdk.Recording, s sdk.RecordedStream, _ int) (Encoder, error) {
		return tagfile.NewEncoder(format, int(s.Stream))
	}}).(*sink)
}

// recorder drives a sink the way the SDK does.
type recorder struct {
	sink   *sink
	dir    string
	closed []sdk.Artifact
	seq    map[uint16]uint64
}

func begin(t testing.TB, dir, format string, segment time.Duration, names ...string) *recorder {
	t.Helper()
	r := &recorder{dir: dir, seq: map[uint16]uint64{}}
	r.sink = ofFormat(format)
	rec := sdk.Recording{Dir: dir, Segment: segment, Closed: func(a sdk.Artifact) { r.closed = append(r.closed, a) }}
	for i, name := range names {
		rec.Streams = append(rec.Streams, sdk.RecordedStream{Stream: uint16(i), Name: name})
	}
	if err := r.sink.Begin(t.Context(), rec); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *recorder) write(ctx context.Context, kind tag.Kind, stream uint16, until, lost uint64, tags ...uint64) error {
	b := tag.Block{Kind: kind, Stream: stream, Seq: r.seq[stream], Until: until, Lost: lost, Tags: slices.Clone(tags)}
	r.seq[stream]++
	err := r.sink.Write(ctx, &b)
	for i := range b.Tags {
		b.Tags[i] = 0xdead // the sink must not keep them
	}
	return err
}

// finish ends the recording and returns the files by name.
func (r *recorder) finish(t testing.TB) map[string]string {
	t.Helper()
	if err := r.sink.Finish(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := r.sink.Close(); err != nil {
		t.Fatal(err)
	}
	return files(t, r.dir)
}

func files(t testing.TB, dir string) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		found[e.Name()] = string(content)
	}
	return found
}

func bin(tags ...uint64) string { return string(tag.AppendTags(nil, tags)) }

// ps of a nanosecond, the segment length of these tests.
const ns = 1000

func TestSegments(t *testing.T) {
	type block struct {
		kind        tag.Kind
		until, lost uint64
		tags        []uint64
	}
	data := func(tags ...uint64) block { return block{kind: tag.Data, tags: tags} }
	for _, tt := range []struct {
		name    string
		segment time.Duration
		blocks  []block
		want    map[string]string
		lost    []uint64 // by segment
	}{
		{"one file", 0, []block{data(1, 2), data(1 << 63), {kind: tag.End, until: 5 * ns}},
			map[string]string{"a-000000.bin": bin(1, 2, 1<<63)}, nil},
		{"cut at boundaries", time.Nanosecond, []block{data(0, 999, 1000, 1000, 1999, 2000), {kind: tag.End, until: 3 * ns}},
			map[string]string{"a-000000.bin": bin(0, 999), "a-000001.bin": bin(1000, 1000, 1999), "a-000002.bin": bin(2000)}, nil},
		{"no holes", time.Nanosecond, []block{data(3500), {kind: tag.End, until: 6 * ns}},
			map[string]string{"a-000000.bin": "", "a-000001.bin": "", "a-000002.bin": "", "a-000003.bin": bin(3500), "a-000004.bin": "", "a-000005.bin": ""}, nil},
		{"end within a segment", time.Nanosecond, []block{data(1), {kind: tag.End, until: 1*ns + 1}},
			map[string]string{"a-000000.bin": bin(1), "a-000001.bin": ""}, nil},
		{"tag at the end", time.Nanosecond, []block{data(1000), {kind: tag.End, until: 1 * ns}},
			map[string]string{"a-000000.bin": "", "a-000001.bin": bin(1000)}, nil},
		{"nothing at all", time.Nanosecond, []block{{kind: tag.End}},
			map[string]string{"a-000000.bin": ""}, nil},
		{"marks", time.Nanosecond, []block{{kind: tag.Mark, until: 999}, {kind: tag.Mark, until: 1000}, data(1000), {kind: tag.Mark, until: 3 * ns}, {kind: tag.End, until: 3 * ns}},
			map[string]string{"a-000000.bin": "", "a-000001.bin": bin(1000), "a-000002.bin": ""}, nil},
		{"a mark just before the boundary", time.Nanosecond, []block{{kind: tag.Mark, until: 999}, data(999), {kind: tag.End, until: 1000}},
			map[string]string{"a-000000.bin": bin(999)}, nil},
		{"losses", time.Nanosecond, []block{{kind: tag.Data, tags: []uint64{1}, lost: 1}, {kind: tag.Mark, until: 1000, lost: 2}, {kind: tag.Data, lost: 4, tags: []uint64{2500}}, {kind: tag.End, until: 3 * ns, lost: 8}},
			map[string]string{"a-000000.bin": bin(1), "a-000001.bin": "", "a-000002.bin": bin(2500)}, []uint64{3, 4, 8}},
		{"loss after the last mark", time.Nanosecond, []block{{kind: tag.Mark, until: 1000}, {kind: tag.End, until: 1000, lost: 5}},
			map[string]string{"a-000000.bin": "", "a-000001.bin": ""}, []uint64{0, 5}},
		{"late", 100 * 24 * time.Hour, []block{data(1<<53+1, 1<<63, math.MaxUint64), {kind: tag.End, until: math.MaxUint64}},
			map[string]string{"a-000000.bin": bin(1<<53 + 1), "a-000001.bin": bin(1 << 63), "a-000002.bin": bin(math.MaxUint64)}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := begin(t, t.TempDir(), tagfile.Bin, tt.segment, "a")
			for _, b := range tt.blocks {
				if err := r.write(t.Context(), b.kind, 0, b.until, b.lost, b.tags...); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(tt.want, r.finish(t)); diff != "" {
				t.Error(diff)
			}
			checkArtifacts(t, r)
			for i, lost := range tt.lost {
				if r.closed[i].Lost != lost {
					t.Errorf("segment %d: %d lost, want %d", i, r.closed[i].Lost, lost)
				}
			}
		})
	}
}

// checkArtifacts compares what the sink said of its files with the files.
func checkArtifacts(t testing.TB, r *recorder) {
	t.Helper()
	found := files(t, r.dir)
	if len(found) != len(r.closed) {
		t.Errorf("%d files, %d artifacts", len(found), len(r.closed))
	}
	next := map[uint16]int{}
	for _, a := range r.closed {
		content, there := found[a.Path]
		if !there || int64(len(content)) != a.Size || sha256.Sum256([]byte(content)) != a.SHA256 {
			t.Errorf("%s: the file is not what the artifact says: %+v", a.Path, a)
		}
		if a.Segment != next[a.Stream] {
			t.Errorf("%s: segment %d of stream %d, want %d", a.Path, a.Segment, a.Stream, next[a.Stream])
		}
		next[a.Stream]++
		tags, err := tagfile.ReadAll(filepath.Join(r.dir, a.Path), "", tagfile.OnlyChannel)
		if err != nil {
			t.Error(err)
		}
		var first, last uint64
		if n := len(tags); n > 0 {
			first, last = tags[0], tags[n-1]
		}
		if a.Tags != uint64(len(tags)) || a.First != first || a.Last != last {
			t.Errorf("%s: %d tags from %d to %d, the artifact says %+v", a.Path, len(tags), first, last, a)
		}
	}
}

// TestBlocksDoNotShowInFiles: however tags are cut into blocks and whatever
// marks come between, the files are those of one block.
func TestBlocksDoNotShowInFiles(t *testing.T) {
	base := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		format := rapid.SampledFrom([]string{tagfile.Bin, tagfile.Tags, tagfile.Txt, tagfile.Csv}).Draw(rt, "format")
		segment := rapid.SampledFrom([]time.Duration{0, 1, 3, 1000}).Draw(rt, "segment") * time.Nanosecond
		until := rapid.Uint64Range(0, 12*ns).Draw(rt, "until")
		tags := rapid.SliceOfN(rapid.Uint64Range(0, 12*ns), 0, 40).Draw(rt, "tags")
		slices.Sort(tags)
		record := func(write func(r *recorder) error) map[string]string {
			n++
			dir := filepath.Join(base, fmt.Sprint(n))
			if err := os.Mkdir(dir, 0o700); err != nil {
				rt.Fatal(err)
			}
			r := begin(t, dir, format, segment, "a")
			if err := write(r); err != nil {
				rt.Fatal(err)
			}
			if err := r.write(context.Background(), tag.End, 0, until, 0); err != nil {
				rt.Fatal(err)
			}
			found := r.finish(t)
			checkArtifacts(t, r)
			return found
		}
		whole := record(func(r *recorder) error { return r.write(context.Background(), tag.Data, 0, 0, 0, tags...) })
		dir := filepath.Join(base, fmt.Sprint(n))
		pieces := record(func(r *recorder) error {
			for rest := tags; len(rest) > 0; {
				k := rapid.IntRange(1, len(rest)).Draw(rt, "block")
				if err := r.write(context.Background(), tag.Data, 0, 0, 0, rest[:k]...); err != nil {
					return err
				}
				if rest = rest[k:]; len(rest) > 0 && rapid.Bool().Draw(rt, "mark") {
					if err := r.write(context.Background(), tag.Mark, 0, rapid.Uint64Range(0, rest[0]).Draw(rt, "promise"), 0); err != nil {
						return err
					}
				}
			}
			return nil
		})
		if diff := cmp.Diff(whole, pieces); diff != "" {
			rt.Fatal(diff)
		}
		var all []uint64
		for _, name := range slices.Sorted(maps.Keys(whole)) {
			part, err := tagfile.ReadAll(filepath.Join(dir, name), "", tagfile.OnlyChannel)
			if err != nil {
				rt.Fatal(err)
			}
			all = append(all, part...)
		}
		if !slices.Equal(all, tags) {
			rt.Fatal("the files together are not the tags")
		}
	})
}

// TestLongBlocks: a block of the largest size, in every format.
func TestLongBlocks(t *testing.T) {
	tags := make([]uint64, tag.MaxBlockTags)
	for i := range tags {
		tags[i] = uint64(i) * 7
	}
	for _, format := range []string{tagfile.Bin, tagfile.Tags, tagfile.Txt, tagfile.Csv} {
		r := begin(t, t.TempDir(), format, 0, "a")
		if err := r.write(t.Context(), tag.Data, 0, 0, 0, tags...); err != nil {
			t.Fatal(err)
		}
		r.finish(t)
		checkArtifacts(t, r)
		if len(r.closed) != 1 || r.closed[0].Tags != tag.MaxBlockTags {
			t.Errorf("%s: %+v", format, r.closed)
		}
	}
}

func TestStreamsAreSeparate(t *testing.T) {
	r := begin(t, t.TempDir(), tagfile.Txt, time.Nanosecond, "signal", "herald")
	for _, err := range []error{
		r.write(t.Context(), tag.Data, 1, 0, 0, 5),
		r.write(t.Context(), tag.Data, 0, 0, 0, 1500),
		r.write(t.Context(), tag.End, 0, 2000, 0),
		r.write(t.Context(), tag.Data, 1, 0, 0, 1001),
		r.write(t.Context(), tag.End, 1, 2000, 0),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[string]string{"signal-000000.txt": "", "signal-000001.txt": "0;1500\n", "herald-000000.txt": "1;5\n", "herald-000001.txt": "1;1001\n"}
	if diff := cmp.Diff(want, r.finish(t)); diff != "" {
		t.Error(diff)
	}
	checkArtifacts(t, r)
}

// TestSegmentsCloseWhileTheRunGoesOn: a full segment is reported before Finish.
func TestSegmentsCloseWhileTheRunGoesOn(t *testing.T) {
	dir := t.TempDir()
	closed := make(chan sdk.Artifact, 1)
	s := ofFormat(tagfile.Bin)
	err := s.Begin(t.Context(), sdk.Recording{Dir: dir, Segment: time.Nanosecond,
		Streams: []sdk.RecordedStream{{Name: "a"}}, Closed: func(a sdk.Artifact) { closed <- a }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Write(t.Context(), &tag.Block{Kind: tag.Data, Tags: []uint64{1, 1000}}); err != nil {
		t.Fatal(err)
	}
	select {
	case a := <-closed:
		if got := files(t, dir); got["a-000000.bin"] != bin(1) || got[".a-000001.bin.part"] != bin(1000) || a.Path != "a-000000.bin" {
			t.Errorf("%+v, %q", a, got)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the full segment was not closed")
	}
}

func TestFinishKeepsStreamsWithoutEnd(t *testing.T) {
	r := begin(t, t.TempDir(), tagfile.Bin, time.Nanosecond, "a", "b")
	if err := r.write(t.Context(), tag.Data, 0, 0, 0, 1, 1001); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"a-000000.bin": bin(1), "a-000001.bin": bin(1001), "b-000000.bin": ""}
	if diff := cmp.Diff(want, r.finish(t)); diff != "" {
		t.Error(diff)
	}
	checkArtifacts(t, r)
}
