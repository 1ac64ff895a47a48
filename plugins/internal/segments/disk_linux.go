package segments

import (
	"fmt"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// writeBack lets the kernel begin to write a part of a file to the disk. It is
// a hint; what went wrong with the disk is told by the sync at the end.
func writeBack(f *os.File, from, length int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, length, unix.SYNC_FILE_RANGE_WRITE)
}

// reserve keeps room of the disk for bytes to come; the file does not become longer.
// Where the file system cannot, or has no more, writing goes on without.
func reserve(f *os.File, from, length int64) bool {
	return unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, from, length) == nil
}

// free returns how many bytes the disk of a file has left for this user; 0: that is unknown.
func free(f *os.File) int64 {
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &st); err != nil {
		return 0
	}
	return int64(min(st.Bavail, math.MaxInt64/uint64(st.Bsize)) * uint64(st.Bsize))
}

// space says how much room the disk that holds dir has left.
func space(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "free space unknown"
	}
	if st.Files > 0 && st.Ffree == 0 {
		return fmt.Sprintf("it has all the %d files (inodes) it can have", st.Files)
	}
	free, all := st.Bavail*uint64(st.Bsize), st.Blocks*uint64(st.Bsize)
	return fmt.Sprintf("%d of %d MiB free", free>>20, all>>20)
}
