//go:build !linux

package need

import "testing"

// Networks needs to make networks of its own, which only Linux can.
func Networks(t testing.TB) {
	t.Helper()
	missing(t, "needs to make network namespaces; run on Linux")
}
