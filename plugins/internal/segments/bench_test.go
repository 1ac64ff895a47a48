package segments

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

const (
	benchBlock  = 1 << 16 // tags: 512 KiB
	benchBlocks = 512     // 256 MiB
)

// BenchmarkSink writes 256 MiB of tags, durable at the end, through the sink
// and beside it the same bytes in the same pieces to a plain file, in turns.
// The ratio is the plain file's time over the sink's.
func BenchmarkSink(b *testing.B) {
	for _, format := range []string{tagfile.Bin, tagfile.Tags, tagfile.Txt} {
		b.Run(format, func(b *testing.B) {
			dir := b.TempDir()
			tags := make([]uint64, benchBlock)
			encoder, err := tagfile.NewEncoder(format, 0)
			if err != nil {
				b.Fatal(err)
			}
			var sink, plain time.Duration
			for b.Loop() {
				start := time.Now()
				benchSink(b, dir, format, tags)
				middle := time.Now()
				encoded, err := encoder.Append(nil, tags)
				if err != nil {
					b.Fatal(err)
				}
				benchPlain(b, dir, encoded)
				sink += middle.Sub(start)
				plain += time.Since(middle)
			}
			b.ReportMetric(float64(b.N*benchBlock*benchBlocks)/sink.Seconds()/1e6, "Mtags/s")
			b.ReportMetric(plain.Seconds()/sink.Seconds(), "ratio")
		})
	}
}

func benchSink(b *testing.B, dir, format string, tags []uint64) {
	ctx := context.Background()
	s := ofFormat(format)
	err := s.Begin(ctx, sdk.Recording{Dir: dir, Segment: time.Second,
		Streams: []sdk.RecordedStream{{Name: "a"}}, Closed: func(a sdk.Artifact) {
			if err := os.Remove(filepath.Join(dir, a.Path)); err != nil {
				b.Error(err)
			}
		}})
	if err != nil {
		b.Fatal(err)
	}
	t := uint64(0)
	for range benchBlocks {
		for i := range tags {
			tags[i] = t
			t += 100_000 // 10 Mtags/s: a segment is 80 MB
		}
		if err := s.Write(ctx, &tag.Block{Kind: tag.Data, Tags: tags}); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Finish(ctx); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
}

func benchPlain(b *testing.B, dir string, piece []byte) {
	f, err := os.Create(filepath.Join(dir, "plain"))
	if err != nil {
		b.Fatal(err)
	}
	for range benchBlocks {
		if _, err := f.Write(piece); err != nil {
			b.Fatal(err)
		}
	}
	if err := f.Sync(); err != nil {
		b.Fatal(err)
	}
	if err := f.Close(); err != nil {
		b.Fatal(err)
	}
	if err := os.Remove(f.Name()); err != nil {
		b.Fatal(err)
	}
}
