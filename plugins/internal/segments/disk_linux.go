package segments

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// writeBack lets the kernel begin to write a part of a file to the disk. It is
// a hint; what went wrong with the disk is told by the sync at the end.
func writeBack(f *os.File, from, length int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, length, unix.SYNC_FILE_RANGE_WRITE)
}

// space says how much room the disk that holds dir has left.
func space(dir string) string {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return "free space unknown"
	}
	free, all := st.Bavail*uint64(st.Bsize), st.Blocks*uint64(st.Bsize)
	return fmt.Sprintf("%d of %d MiB free", free>>20, all>>20)
}
