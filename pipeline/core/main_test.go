package core_test

import (
	"os"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// The test binary plays the plugins of the benchmarks: a link to it with a
// plugin's name is that plugin.
func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == benchPlugin {
		servePlugin()
	}
	goleak.VerifyTestMain(m)
}
