package align_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/internal/pairs"
	"tsrun/pipeline/align"
	"tsrun/sdk/quantity"
)

// BenchmarkAlign reports medians of several runs: seconds, and the same over
// the time this machine takes, in the same run, to read 1 GiB with one core.
func BenchmarkAlign(b *testing.B) {
	tests := []struct {
		name   string
		e      pairs.Experiment
		search int64
		drift  quantity.Drift
		runs   int
	}{
		{"1s", pairs.Experiment{Seconds: 1, Frequency: 1e-7}, align.DefaultSearch, align.DefaultMaxDrift, 9},
		{"12s", pairs.Experiment{Seconds: 12, Frequency: 1e-7}, align.DefaultSearch, align.DefaultMaxDrift, 9},
		{"60s-within-3s", pairs.Experiment{Seconds: 60, Frequency: 1e-5, Offset: 1_500_345_678_901}, 3 * second, align.DefaultMaxDrift, 5},
		{"wandering-60s", pairs.Experiment{Seconds: 60, WhiteFM: 1e-10, RandomWalkFM: 1e-10}, align.DefaultSearch, align.DefaultMaxDrift, 3},
		{"refused", pairs.Experiment{Seconds: 2, Pairs: -1}, align.DefaultSearch, align.DefaultMaxDrift, 5},
		{"refused-12s", pairs.Experiment{Seconds: 12, Pairs: -1}, align.DefaultSearch, align.DefaultMaxDrift, 3},
	}
	for i, test := range tests {
		b.Run(test.name, func(b *testing.B) {
			test.e.Seed = uint64(3 + i)
			x, y, truth := test.e.Make()
			o := align.Options{Search: test.search, MaxDrift: test.drift}
			var took, reads []float64
			var off float64
			for b.Loop() {
				for range test.runs {
					begin := time.Now()
					r, err := align.Align(context.Background(), x, y, o)
					took = append(took, time.Since(begin).Seconds())
					if (err == nil) != (truth.Recorded > 0) {
						b.Fatalf("%+v, %v", r, err)
					}
					reads = append(reads, readGiB())
					off = r.Offset.Minus(truth.OffsetAt(r.Reference))
				}
			}
			b.ReportMetric(median(took), "s/align")
			b.ReportMetric(median(took)/median(reads), "GiB-reads/align")
			if truth.Recorded > 0 {
				b.ReportMetric(off, "ps-off")
				b.ReportMetric(off/truth.OffsetBound(truth.From/2+truth.To/2), "bounds-off")
			}
		})
	}
}

// BenchmarkAlignMemory reports the most memory that a process takes to read
// and align a pair of records.
func BenchmarkAlignMemory(b *testing.B) {
	for _, test := range []struct {
		name   string
		e      pairs.Experiment
		search int64
	}{
		{"12s", pairs.Experiment{Seed: 4, Seconds: 12, Frequency: 1e-7}, align.DefaultSearch},
		{"60s-within-3s", pairs.Experiment{Seed: 5, Seconds: 60, Frequency: 1e-5, Offset: 1_500_345_678_901}, 3 * second},
	} {
		b.Run(test.name, func(b *testing.B) {
			var megabytes float64
			for b.Loop() {
				megabytes = memoryToAlign(b, test.e, test.search)
			}
			b.ReportMetric(megabytes, "MB")
		})
	}
}

// TestLongMemory wants the memory of an alignment bounded by its records.
func TestLongMemory(t *testing.T) {
	need.Long(t)
	got := memoryToAlign(t, pairs.Experiment{Seed: 4, Seconds: 12, Frequency: 1e-7}, align.DefaultSearch)
	t.Logf("%.1f MB", got)
	if got > 120 { // of which the tags are 19
		t.Errorf("%.1f MB to align 2 x 1.2 M tags, want at most 120", got)
	}
}

// alignOnce, in the environment, makes the test binary the process that is
// measured: it names both files of tags and the search.
const alignOnce = "TSRUN_TEST_ALIGN_ONCE"

func TestMain(m *testing.M) {
	if args := strings.Split(os.Getenv(alignOnce), "|"); len(args) == 3 {
		fmt.Println(peakOf(args[0], args[1], args[2]))
		return
	}
	os.Exit(m.Run())
}

// memoryToAlign returns the peak, in MB, of a process that aligns an experiment.
func memoryToAlign(t testing.TB, e pairs.Experiment, search int64) float64 {
	t.Helper()
	a, b, _ := e.Make()
	dir := t.TempDir()
	paths := []string{filepath.Join(dir, "a"), filepath.Join(dir, "b")}
	for i, tags := range [][]uint64{a, b} {
		raw, err := binary.Append(nil, binary.LittleEndian, tags)
		if err == nil {
			err = os.WriteFile(paths[i], raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s|%s|%d", alignOnce, paths[0], paths[1], search))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	kilobytes, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	if err != nil {
		t.Fatalf("the child says %q", out)
	}
	return kilobytes * 1024 / 1e6
}

// peakOf aligns two files and returns the kB that /proc says this process took
// at most, or what went wrong.
func peakOf(fileA, fileB, search string) string {
	reach, _ := strconv.ParseInt(search, 10, 64)
	var tags [2][]uint64
	for i, path := range []string{fileA, fileB} {
		f, err := os.Open(path)
		if err != nil {
			return err.Error()
		}
		info, err := f.Stat()
		if err != nil {
			return err.Error()
		}
		tags[i] = make([]uint64, info.Size()/8)
		for rest := tags[i]; len(rest) > 0 && err == nil; {
			n := min(len(rest), 1<<13)
			err, rest = binary.Read(f, binary.LittleEndian, rest[:n]), rest[n:]
		}
		if err != nil {
			return err.Error()
		}
		f.Close()
	}
	if _, err := align.Align(context.Background(), tags[0], tags[1], align.Options{Search: reach, MaxDrift: align.DefaultMaxDrift}); err != nil {
		return err.Error()
	}
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return err.Error()
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	return strings.Fields(after)[0]
}

// words is memory beyond every cache.
var words = sync.OnceValue(func() []uint64 {
	w := make([]uint64, 1<<25)
	for i := range w {
		w[i] = uint64(i)
	}
	return w
})

// readGiB returns the seconds one core takes to read 1 GiB of memory.
func readGiB() float64 {
	w, sum := words(), [4]uint64{}
	begin := time.Now()
	for range (1 << 30) / (8 * len(w)) {
		for i := 0; i < len(w); i += 4 {
			sum[0], sum[1], sum[2], sum[3] = sum[0]+w[i], sum[1]+w[i+1], sum[2]+w[i+2], sum[3]+w[i+3]
		}
	}
	w[0] = sum[0] + sum[1] + sum[2] + sum[3]
	return time.Since(begin).Seconds()
}

func median(v []float64) float64 {
	slices.Sort(v)
	return v[len(v)/2]
}
