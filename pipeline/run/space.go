package run

import (
	"fmt"
	"math/bits"

	"golang.org/x/sys/unix"

	"tsrun/pipeline/quantity"
	"tsrun/sdk"
)

// FreeSpace is how many bytes a user may still write where path is.
func FreeSpace(path string) (quantity.Size, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return 0, fmt.Errorf("ask for free space of %s: %w", path, err)
	}
	hi, lo := bits.Mul64(s.Bavail, uint64(s.Bsize))
	if hi > 0 || lo > maxInt64 {
		return maxInt64, nil
	}
	return quantity.Size(lo), nil
}

// CheckSpace refuses a place with less than need bytes left.
func CheckSpace(path string, need quantity.Size) error {
	free, err := FreeSpace(path)
	if err != nil {
		return err
	}
	if free < need {
		return &sdk.Failure{
			Code:    "disk-full",
			Message: fmt.Sprintf("%s has %d MiB left, the recipe wants %d MiB", path, free>>20, need>>20),
			Hint:    "free some space, choose another place with --runs, or lower faults.disk_below",
			Field:   "faults.disk_below",
		}
	}
	return nil
}
