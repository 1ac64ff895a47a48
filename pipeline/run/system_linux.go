package run

import (
	"errors"
	"fmt"
	"math"
	"math/bits"
	"os"

	"golang.org/x/sys/unix"

	"tsrun/pipeline/journal"
	"tsrun/sdk/quantity"
)

// CheckSystem says why this operating system can execute no run; Linux can.
func CheckSystem() error { return nil }

// FreeSpace is how many bytes a user may still write where path is.
func FreeSpace(path string) (quantity.Size, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("ask for free space of %s: %w", path, err)
	}
	hi, lo := bits.Mul64(s.Bavail, uint64(s.Bsize))
	if hi > 0 || lo > math.MaxInt64 {
		return math.MaxInt64, nil
	}
	return quantity.Size(lo), nil
}

// FreeFiles is how many files can still be made where path is; many file systems
// have no limit of that, and then it is not known.
func FreeFiles(path string) (files int64, known bool) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil || s.Files == 0 {
		return 0, false
	}
	return int64(min(s.Ffree, math.MaxInt64)), true
}

// Grow makes a file at least size bytes long, with room for them on the disk
// where its file system can promise that.
func Grow(f *os.File, size int64) error {
	for {
		switch err := unix.Fallocate(int(f.Fd()), 0, 0, size); {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EOPNOTSUPP): // a file system that cannot promise space
			return nil
		default:
			return err
		}
	}
}

// WriteBack has the kernel begin to write a part of a file to the disk, so that
// little is left for a sync. It is a hint: what goes wrong is told by that sync.
func WriteBack(f *os.File, from, length int64) {
	_ = unix.SyncFileRange(int(f.Fd()), from, length, unix.SYNC_FILE_RANGE_WRITE)
}

// Taken is how much of the disk a file takes, in bytes.
func Taken(f *os.File) (int64, error) {
	var s unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &s); err != nil {
		return 0, fmt.Errorf("ask for the room of %s: %w", f.Name(), err)
	}
	return s.Blocks * 512, nil // whatever the blocks of the disk are
}

// Lock locks a file; journal.ErrLocked says that somebody else has locked it.
func Lock(f *os.File) error {
	err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		return journal.ErrLocked
	}
	return err
}

// SyncDir makes names of a directory durable.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
