//go:build !linux

package need

import "testing"

// Disk needs a small file system of its own, which only Linux can make of memory.
func Disk(t testing.TB, _ string) string {
	t.Helper()
	missing(t, "needs to mount a tmpfs; run on Linux")
	return ""
}
