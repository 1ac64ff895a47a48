package need

import (
	"testing"

	"golang.org/x/sys/unix"
)

// Disk needs a small file system of its own, such as of size "2m", and returns
// where it is; it is gone when the test ends. Root of a container may not be
// allowed to mount one.
func Disk(t testing.TB, size string) string {
	t.Helper()
	Root(t)
	dir := t.TempDir()
	switch err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err {
	case nil:
	case unix.EPERM, unix.EACCES:
		Mounts(t)
	default:
		t.Fatalf("mount a tmpfs of %s: %v", size, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, 0); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}
