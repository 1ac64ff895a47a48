//go:build !linux

package host

import (
	"io/fs"
	"os"

	"tsrun/pipeline/run"
)

func openLock(string) (*os.File, error) { return nil, run.CheckSystem() }

// isOurs says whether a file belongs to the user of this process; here nothing is removed.
func isOurs(fs.FileInfo) bool { return false }
