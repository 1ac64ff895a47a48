package segments

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/internal/need"
	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// limitDir, limitFormat and limitBytes tell a process what [recordToTheLimit] does.
const (
	limitDir    = "TSRUN_SINK_FILE_LIMIT_DIR"
	limitFormat = "TSRUN_SINK_FILE_LIMIT_FORMAT"
	limitBytes  = "TSRUN_SINK_FILE_LIMIT_BYTES"
)

// unevenBlock is block n of a recording in which gaps differ, a segment of 2 us.
func unevenBlock(n uint64) []uint64 {
	tags := make([]uint64, 10_000)
	for i := range tags {
		tags[i] = n*2_000_000 + uint64(i)*200 + uint64(i*i)%191
	}
	return tags
}

// recordToTheLimit records until a write fails and tells of each closed segment.
// When there are three, no file may become longer than the limit any more.
func recordToTheLimit() int {
	var limit unix.Rlimit
	limit.Cur, _ = strconv.ParseUint(os.Getenv(limitBytes), 10, 64)
	limit.Max = limit.Cur
	s, closed := ofFormat(os.Getenv(limitFormat)), 0
	err := s.Begin(context.Background(), sdk.Recording{Dir: os.Getenv(limitDir), Segment: 2 * time.Microsecond,
		Streams: []sdk.RecordedStream{{Name: "a"}}, Closed: func(a sdk.Artifact) {
			fmt.Println(a.Path)
			if closed++; closed == 3 {
				if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
					panic(err)
				}
			}
		}})
	for n := uint64(0); err == nil && n < 1000; n++ {
		err = s.Write(context.Background(), &tag.Block{Kind: tag.Data, Seq: n, Tags: unevenBlock(n)})
	}
	_ = s.Finish(context.Background()) // names no file that is not whole
	_ = s.Close()
	var f *sdk.Failure
	if !errors.As(err, &f) {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stderr, f.Code)
	return 3
}

// TestFilesMayNotGrow stops writes in the middle of a file of each format: what has
// the name of something whole is whole, and what was told of is there.
func TestFilesMayNotGrow(t *testing.T) {
	for _, format := range []string{tagfile.Bin, tagfile.Tags, tagfile.Txt} {
		for _, limit := range []int{0, 1, 15, 1000, 8191} {
			t.Run(fmt.Sprintf("%s/%d", format, limit), func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^$")
				cmd.Env = append(os.Environ(), limitDir+"="+dir, limitFormat+"="+format, limitBytes+"="+strconv.Itoa(limit))
				var said strings.Builder
				cmd.Stderr = &said
				out, err := cmd.Output()
				var exit *exec.ExitError
				if !errors.As(err, &exit) || exit.ExitCode() != 3 || strings.TrimSpace(said.String()) != "file-too-large" {
					t.Fatalf("%v, %q", err, said.String())
				}
				checkWhole(t, dir, strings.Fields(string(out)))
			})
		}
	}
}

// checkWhole checks files of a recording of uneven blocks, one a segment, of which
// some were told of.
func checkWhole(t *testing.T, dir string, told []string) {
	t.Helper()
	names := []string{}
	for name := range files(t, dir) {
		if strings.HasPrefix(name, ".") {
			if !strings.HasSuffix(name, ".part") {
				t.Errorf("%s is neither whole nor partial", name)
			}
			continue
		}
		names = append(names, name)
		var index uint64
		if _, err := fmt.Sscanf(name, "a-%06d.", &index); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		tags, err := tagfile.ReadAll(filepath.Join(dir, name), "", tagfile.OnlyChannel)
		if err != nil || !slices.Equal(tags, unevenBlock(index)) {
			t.Errorf("%s has %d tags, %v", name, len(tags), err)
		}
	}
	for _, path := range told {
		if !slices.Contains(names, path) {
			t.Errorf("%s was told of and is not there", path)
		}
	}
	if len(told) < 3 {
		t.Errorf("told of %v", told)
	}
}

// TestDiskWithoutFiles: a disk that can have no more files is told so, and not that
// most of it is free.
func TestDiskWithoutFiles(t *testing.T) {
	dir := need.Disk(t, "8m,nr_inodes=20")
	var err error
	for i := 0; err == nil && i < 100; i++ {
		err = os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), nil, 0o600)
	}
	if told := failure(dir, err).Error(); !errors.Is(err, unix.ENOSPC) || !strings.Contains(told, "20 files") || strings.Contains(told, "MiB free") {
		t.Errorf("%v is told as: %s", err, told)
	}
}
