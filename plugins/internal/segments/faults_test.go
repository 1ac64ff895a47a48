package segments

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/sdk"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

const errNoSpace = syscall.ENOSPC

// TestDiskFull fills a small disk: the error says so, and what was closed
// before is whole.
func TestDiskFull(t *testing.T) {
	dir := need.Disk(t, "2m")
	r := begin(t, dir, tagfile.Bin, time.Microsecond, "a")
	block := make([]uint64, 8192)
	var err error
	for n := uint64(0); err == nil && n < 1000; n++ {
		for i := range block {
			block[i] = n*100_000 + uint64(i) // ten blocks a segment of 640 KiB
		}
		err = r.write(t.Context(), tag.Data, 0, 0, 0, block...)
	}
	var f *sdk.Failure
	if !errors.As(err, &f) || f.Code != "disk-full" || !strings.Contains(f.Hint, "free some space") || !strings.Contains(f.Message, "of 2 MiB free") {
		t.Fatalf("%+v", err)
	}
	if err := r.sink.Close(); err != nil {
		t.Error(err)
	}
	found := files(t, dir)
	names := slices.Sorted(maps.Keys(found))
	if !slices.Equal(names, []string{".a-000003.bin.part", "a-000000.bin", "a-000001.bin", "a-000002.bin"}) {
		t.Errorf("files %v", names)
	}
	delete(found, ".a-000003.bin.part")
	if err := os.Remove(filepath.Join(dir, ".a-000003.bin.part")); err != nil {
		t.Fatal(err)
	}
	checkArtifacts(t, r)
	for name, content := range found {
		if len(content) != 10*8192*8 {
			t.Errorf("%s has %d bytes", name, len(content))
		}
	}
}

// TestDirectoryGoesAway: what the host is told is a failure, and no file is
// claimed.
func TestDirectoryGoesAway(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	r := begin(t, dir, tagfile.Bin, time.Nanosecond, "a")
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	err := r.write(t.Context(), tag.Data, 0, 0, 0, 1, 1001)
	var f *sdk.Failure
	if !errors.As(err, &f) || f.Code != "write-failed" || !strings.Contains(f.Hint, "was removed") {
		t.Errorf("%v", err)
	}
	if err := r.sink.Finish(t.Context()); err == nil {
		t.Error("finished without a directory")
	}
	_ = r.sink.Close() // the empty file cannot be removed again
	if len(r.closed) != 0 {
		t.Errorf("%+v", r.closed)
	}
}

const endlessDir = "TSRUN_SINK_FILE_ENDLESS"

// endlessBlock is block n of a recording that another process can predict.
func endlessBlock(n uint64) []uint64 {
	tags := make([]uint64, 1000)
	for i := range tags {
		tags[i] = n*100 + uint64(i)/10
	}
	return tags
}

// recordEndlessly records until it is killed and tells of each closed segment.
func recordEndlessly(dir string) {
	s := ofFormat(tagfile.Bin)
	err := s.Begin(context.Background(), sdk.Recording{Dir: dir, Segment: 10 * time.Nanosecond,
		Streams: []sdk.RecordedStream{{Name: "a"}}, Closed: func(a sdk.Artifact) { fmt.Println(a.Path) }})
	for n := uint64(0); err == nil; n++ {
		err = s.Write(context.Background(), &tag.Block{Kind: tag.Data, Seq: n, Tags: endlessBlock(n)})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// TestKilled kills a recording process: every file with a name of something
// whole is whole, and each file it had told of is there.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), endlessDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(time.Minute, func() { cmd.Process.Kill() })
	defer watchdog.Stop()
	var told []string
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if told = append(told, lines.Text()); len(told) == 20 {
			if err := cmd.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	var exit *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &exit) || exit.ExitCode() != -1 || len(told) < 20 {
		t.Fatalf("it was not killed: %v after %d segments", err, len(told))
	}
	found := files(t, dir)
	for _, path := range told {
		if _, there := found[path]; !there {
			t.Errorf("%s was told of and is not there", path)
		}
	}
	for name, content := range found {
		if strings.HasPrefix(name, ".") {
			continue
		}
		var index uint64
		if _, err := fmt.Sscanf(name, "a-%06d.bin", &index); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		var want []uint64
		for n := index * 100; n < (index+1)*100; n++ { // 100 blocks of 100 ps a segment
			want = append(want, endlessBlock(n)...)
		}
		if content != bin(want...) {
			t.Errorf("%s has %d bytes and is not whole", name, len(content))
		}
	}
}

// TestCancelledWhileTheDiskIsBehind: waiting for the disk ends with the context.
func TestCancelledWhileTheDiskIsBehind(t *testing.T) {
	stop := errors.New("the run was stopped")
	ctx, cancel := context.WithCancelCause(t.Context())
	free := make(chan struct{})
	behind := func(sdk.Artifact) { // no segment leaves the queue after the first
		cancel(stop)
		<-free
	}
	s := ofFormat(tagfile.Bin)
	err := s.Begin(ctx, sdk.Recording{Dir: t.TempDir(), Segment: time.Nanosecond,
		Streams: []sdk.RecordedStream{{Name: "a"}}, Closed: behind})
	if err != nil {
		t.Fatal(err)
	}
	err = s.Write(ctx, &tag.Block{Kind: tag.Mark, Until: 10 * pending * ns})
	if !errors.Is(err, stop) {
		t.Errorf("write: %v", err)
	}
	if err := s.Finish(ctx); !errors.Is(err, stop) {
		t.Errorf("finish: %v", err)
	}
	close(free)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
