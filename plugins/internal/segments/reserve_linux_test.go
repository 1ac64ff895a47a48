package segments

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tsrun/internal/need"
	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile"
)

// longBlock is block n of a recording of whose blocks each is hashed in pieces.
func longBlock(n uint64) []uint64 {
	tags := make([]uint64, 100_003)
	for i := range tags {
		tags[i] = n*1e6 + uint64(i)
	}
	return tags
}

const longBlocks = 24 // 19 MB: more than two hints

func recordLong(t *testing.T, r *recorder) (want []uint64) {
	t.Helper()
	for n := range uint64(longBlocks) {
		want = append(want, longBlock(n)...)
		if err := r.write(t.Context(), tag.Data, 0, 0, 0, longBlock(n)...); err != nil {
			t.Fatal(err)
		}
	}
	return want
}

// onDisk is what a file takes of its disk, in bytes.
func onDisk(t *testing.T, path string) (size, blocks int64) {
	t.Helper()
	var st unix.Stat_t
	if err := unix.Stat(path, &st); err != nil {
		t.Fatal(err)
	}
	return st.Size, st.Blocks * 512
}

// TestReservedRoomIsGivenBack: a long segment reserves room while it grows, and has no
// more than it needs when it is whole, and when it is given up.
func TestReservedRoomIsGivenBack(t *testing.T) {
	for _, finished := range []bool{true, false} {
		dir := need.Disk(t, "512m")
		r := begin(t, dir, tagfile.Bin, time.Hour, "a")
		want := recordLong(t, r)
		g := r.sink.streams[0].segment
		g.hints.Wait()
		part := filepath.Join(dir, ".a-000000.bin.part")
		if size, room := onDisk(t, part); g.reserved <= size || room < g.reserved {
			t.Errorf("of %d bytes nothing is reserved: %d, %d on the disk", size, g.reserved, room)
		}
		name := part
		if finished {
			r.finish(t)
			checkArtifacts(t, r)
			name = filepath.Join(dir, "a-000000.bin")
		} else if err := r.sink.Close(); err != nil {
			t.Fatal(err)
		}
		size, room := onDisk(t, name)
		if page := int64(os.Getpagesize()); size != int64(len(want))*tag.Size || room > (size+page-1)/page*page {
			t.Errorf("finished %v: %d bytes take %d", finished, size, room)
		}
		got, err := tagfile.ReadAll(copyAs(t, name, "a.bin"), "", tagfile.OnlyChannel)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("finished %v: %d tags, %v", finished, len(got), err)
		}
	}
}

// copyAs copies a file, as its name says nothing of its format.
func copyAs(t *testing.T, path, name string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestNothingIsReservedOfANarrowDisk: what is left is for all who write there.
func TestNothingIsReservedOfANarrowDisk(t *testing.T) {
	r := begin(t, need.Disk(t, "64m"), tagfile.Bin, time.Hour, "a")
	recordLong(t, r)
	g := r.sink.streams[0].segment
	g.hints.Wait()
	if g.reserved != 0 {
		t.Errorf("%d bytes are reserved of a disk of 64 MiB", g.reserved)
	}
	r.finish(t)
	checkArtifacts(t, r)
}

// TestNoRoomToReserve records where the file system knows no reservation.
func TestNoRoomToReserve(t *testing.T) {
	dir := filepath.Join(need.Disk(t, "1m"), "ram")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("ramfs", dir, "ramfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	}()
	r := begin(t, dir, tagfile.Bin, time.Hour, "a")
	recordLong(t, r)
	g := r.sink.streams[0].segment
	if reserve(g.file, 0, mostReserved) {
		t.Error("ramfs reserves room")
	}
	r.finish(t)
	checkArtifacts(t, r)
}
