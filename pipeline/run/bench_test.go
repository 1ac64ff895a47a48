package run_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// BenchmarkVerify proves runs of many small segments and of few large ones, and
// compares that with reading and hashing the same files, in the same round.
func BenchmarkVerify(b *testing.B) {
	for _, c := range []struct{ segments, tags int }{{2000, 360}, {4, 4_000_000}} {
		b.Run(fmt.Sprintf("%dx%d", c.segments, c.tags), func(b *testing.B) {
			d := runtest.NewDirectory(b)
			m := &run.Manifest{Name: "pairs", Started: runtest.Noon, Ended: runtest.Noon.Add(1), Nodes: map[string]*run.Node{}}
			segments, at := make([][]uint64, c.segments), uint64(0)
			for i := range segments {
				for range c.tags {
					at += 1_000_003
					segments[i] = append(segments[i], at)
				}
			}
			runtest.WriteChannel(b, d, m, "alice", "signal", segments)
			if err := d.Seal(m); err != nil {
				b.Fatal(err)
			}
			var proving, hashing time.Duration
			for b.Loop() {
				begin := time.Now()
				v, err := run.Verify(d.Path())
				if err != nil || v.Tags != uint64(c.segments*c.tags) {
					b.Fatalf("%+v, %v", v, err)
				}
				proving += time.Since(begin)
				begin = time.Now()
				if err := hashAll(d.Path()); err != nil {
					b.Fatal(err)
				}
				hashing += time.Since(begin)
			}
			b.ReportMetric(proving.Seconds()*1e3/float64(b.N*c.segments), "ms/segment")
			b.ReportMetric(hashing.Seconds()/proving.Seconds(), "of-reading-and-hashing")
		})
	}
}

// hashAll reads and hashes the raw files.
func hashAll(dir string) error {
	return filepath.WalkDir(filepath.Join(dir, run.RawDir), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		raw, err := os.ReadFile(path)
		sha256.Sum256(raw)
		return err
	})
}
