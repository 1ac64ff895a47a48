package run_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tsrun/pipeline/run"
	"tsrun/pipeline/run/runtest"
)

// BenchmarkVerify proves runs of many small segments and of few large ones, and
// compares that with reading and hashing the same files, in the same round; medians
// of rounds, and the least.
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
			const rounds = 7
			var proving, ratios []float64
			for b.Loop() {
				for range rounds {
					begin := time.Now()
					v, err := run.Verify(d.Path())
					if err != nil || v.Tags != uint64(c.segments*c.tags) {
						b.Fatalf("%+v, %v", v, err)
					}
					took := time.Since(begin).Seconds()
					begin = time.Now()
					if err := hashAll(d.Path()); err != nil {
						b.Fatal(err)
					}
					proving, ratios = append(proving, took), append(ratios, time.Since(begin).Seconds()/took)
				}
			}
			slices.Sort(proving)
			slices.Sort(ratios)
			b.ReportMetric(proving[len(proving)/2]*1e3/float64(c.segments), "ms/segment")
			b.ReportMetric(ratios[len(ratios)/2], "of-reading-and-hashing")
			b.ReportMetric(ratios[0], "least-of-reading-and-hashing")
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
