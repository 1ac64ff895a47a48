package tagfile

import (
	"io"
	"path/filepath"
	"testing"

	"tsrun/sdk/tag"
)

// BenchmarkReadAll reads ten million tags of each format that is written.
func BenchmarkReadAll(b *testing.B) {
	const n = 10_000_000
	tags := make([]uint64, n)
	for i := range tags {
		tags[i] = uint64(i) * 1_000_003
	}
	for _, format := range []string{Bin, Tags, Txt, QuTAG, PTU} {
		path := filepath.Join(b.TempDir(), "x."+format)
		if err := WriteFile(path, format, 1, tags); err != nil {
			b.Fatal(err)
		}
		b.Run("whole/"+format, func(b *testing.B) {
			for b.Loop() {
				if _, err := ReadAll(path, "", OnlyChannel); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds()/1e6, "Mtags/s")
		})
		b.Run("pieces/"+format, func(b *testing.B) {
			for b.Loop() {
				r, _, err := Open(path, "", OnlyChannel)
				if err == nil {
					err = discard(r)
				}
				if err != nil || r.Close() != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds()/1e6, "Mtags/s")
		})
	}
}

func discard(r tag.Reader) error {
	buf := make([]uint64, 1<<15)
	for {
		if _, err := r.Next(buf); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
	}
}
