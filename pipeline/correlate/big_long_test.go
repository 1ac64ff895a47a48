package correlate_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/internal/need"
	"tsrun/pipeline/correlate"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// childFiles names, in the environment of a process of its own, the pair of
// files to correlate.
const childFiles = "TSRUN_TEST_BIG_FILES"

var bigOptions = correlate.HistogramOptions{Range: 100_000, Bin: 1000}

// TestLongFilesLargerThanMemory correlates a pair of files in a process of its
// own, by what `tsrun histogram` does, and asks the kernel how much memory that
// took at most. TSRUN_TEST_BIG is how many bytes both files have together.
func TestLongFilesLargerThanMemory(t *testing.T) {
	need.Long(t)
	if files := os.Getenv(childFiles); files != "" {
		correlateBig(t, filepath.SplitList(files))
		return
	}
	size := uint64(1 << 30)
	if text := os.Getenv("TSRUN_TEST_BIG"); text != "" {
		var err error
		if size, err = strconv.ParseUint(text, 10, 50); err != nil || size < 1<<24 {
			t.Fatalf("TSRUN_TEST_BIG is %q; it must be a number of bytes from %d up", text, 1<<24)
		}
	}
	dir := t.TempDir()
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		t.Fatal(err)
	}
	if free := disk.Bavail * uint64(disk.Bsize); free < size+1<<30 {
		t.Skipf("%s has %d bytes free, the files take %d and should leave 1 GiB; set TMPDIR or TSRUN_TEST_BIG", dir, free, size)
	}
	a, b := filepath.Join(dir, "a.bin"), filepath.Join(dir, "b.bin")
	want := writeBig(t, a, b, size)

	cmd := exec.Command(os.Args[0], "-test.run=^TestLongFilesLargerThanMemory$", "-test.v")
	cmd.Env = append(os.Environ(), childFiles+"="+a+string(filepath.ListSeparator)+b)
	begin := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	took := time.Since(begin)
	var got correlate.Histogram
	var peak int
	line := out[max(0, bytes.Index(out, []byte("counted "))):]
	if _, err := fmt.Sscanf(string(line), "counted %d %d %d peak %d", &got.TagsA, &got.TagsB, &got.Pairs, &peak); err != nil {
		t.Fatalf("%v in\n%s", err, out)
	}
	if got.TagsA != want.TagsA || got.TagsB != want.TagsB || got.Pairs != want.Pairs {
		t.Errorf("%d and %d tags, %d pairs; want %d, %d, %d", got.TagsA, got.TagsB, got.Pairs, want.TagsA, want.TagsB, want.Pairs)
	}
	if peak >= 300_000 {
		t.Errorf("%d kB at most, want below 300 MB", peak)
	}
	t.Logf("%.1f GB in %.1f s, %.0f Mtags/s, %d MB at most", float64(size)/1e9, took.Seconds(), float64(size)/8e6/took.Seconds(), peak/1000)
}

// correlateBig prints what it counted and the most memory it held.
func correlateBig(t *testing.T, files []string) {
	var streams []tagfile.ReadCloser
	for _, path := range files {
		r, _, err := tagfile.Open(path, "", tagfile.OnlyChannel)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		streams = append(streams, r)
	}
	h, err := correlate.CountStreams(streams[0], streams[1], bigOptions)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("counted %d %d %d peak %d kB\n", h.TagsA, h.TagsB, h.Pairs, peakMemory(t))
}

// peakMemory is the largest resident set of this process so far, in kB.
func peakMemory(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(status)) {
		var kB int
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kB); err == nil {
			return kB
		}
	}
	t.Fatalf("no VmHWM in %s", status)
	return 0
}

// writeBig writes one block of tags again and again, later each time by more
// than the range, so that the pairs are those of one block as often.
func writeBig(t *testing.T, pathA, pathB string, size uint64) (want correlate.Histogram) {
	t.Helper()
	const n = 1 << 20
	a, b := poissonTags(n, 1), poissonTags(n, 2)
	one, err := correlate.Count(a, b, bigOptions)
	if err != nil {
		t.Fatal(err)
	}
	if one.Pairs == 0 {
		t.Fatal("a block without pairs proves nothing")
	}
	first := min(a[0], b[0])
	period := max(a[n-1], b[n-1]) - first + 2*uint64(bigOptions.Range)
	times := (size/tag.Size + 2*n - 1) / (2 * n)
	for path, tags := range map[string][]uint64{pathA: a, pathB: b} {
		if err := writeRepeated(path, tags, period, times); err != nil {
			t.Fatal(err)
		}
	}
	return correlate.Histogram{TagsA: times * n, TagsB: times * n, Pairs: times * one.Pairs}
}

func writeRepeated(path string, tags []uint64, period, times uint64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	out := bufio.NewWriterSize(f, 1<<20)
	later := make([]uint64, len(tags))
	for k := range times {
		for i, t := range tags {
			later[i] = t + k*period
		}
		if _, err := out.Write(tag.AsBytes(later)); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return f.Close()
}
