package main

import (
	"bytes"
	"crypto/sha256"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/apache/arrow-go/v18/parquet/file"

	"tsrun/internal/need"
	"tsrun/sdk"
	"tsrun/sdk/tag"
)

// TestLongBytesATag records 100 million tags at 100 kcps as a run does, in segments of 60 s: at
// most 3.5 bytes a tag, equal by another reader, in bounded memory.
func TestLongBytesATag(t *testing.T) {
	n := need.LongTrials(t, 100_000_000, 5_000_000)
	dir := t.TempDir()
	written, read := sha256.New(), sha256.New()
	s, err := open(t.Context(), sdk.Env{Instance: "alice.raw"}, defaults())
	var names []string
	kept, size := uint64(0), int64(0)
	if err == nil {
		err = s.Begin(t.Context(), sdk.Recording{Dir: dir, Segment: time.Minute, Streams: []sdk.RecordedStream{{Name: "signal"}},
			Closed: func(a sdk.Artifact) { names, size = append(names, a.Path), size+a.Size }, Kept: func(_ uint16, n uint64) { kept = n }})
	}
	random, at, most := rand.New(rand.NewPCG(1, 2)), 0.0, uint64(0)
	tags := make([]uint64, 1<<16)
	for done, seq := 0, uint64(0); err == nil && done < n; seq++ {
		part := tags[:min(len(tags), n-done)]
		for i := range part {
			at += random.ExpFloat64() * 1e7
			part[i] = uint64(at)
		}
		written.Write(tag.AsBytes(part))
		done += len(part)
		err = s.Write(t.Context(), &tag.Block{Kind: tag.Data, Seq: seq, Tags: part, Until: part[len(part)-1]})
		if seq%64 == 0 {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapInuse)
		}
	}
	if err == nil {
		err = s.Finish(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		r, err := file.OpenParquetFile(filepath.Join(dir, name), false)
		if err != nil {
			t.Fatal(err)
		}
		for g := range r.NumRowGroups() {
			column, err := r.RowGroup(g).Column(0)
			if err != nil {
				t.Fatal(err)
			}
			values := make([]int64, 1<<16)
			for column.HasNext() {
				_, k, err := column.(*file.Int64ColumnChunkReader).ReadBatch(int64(len(values)), values, nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				for i, v := range values[:k] {
					tags[i] = uint64(v)
				}
				read.Write(tag.AsBytes(tags[:k]))
			}
		}
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	each := float64(size) / float64(n)
	t.Logf("%d tags in %d files: %.3f bytes a tag, at most %d MiB of heap", n, len(names), each, most>>20)
	if each > 3.5 || kept != uint64(n) || most > 256<<20 || !bytes.Equal(written.Sum(nil), read.Sum(nil)) {
		t.Errorf("%d tags kept; the other reader has the same: %v", kept, bytes.Equal(written.Sum(nil), read.Sum(nil)))
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
