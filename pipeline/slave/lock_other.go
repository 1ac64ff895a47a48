//go:build !linux

package slave

import (
	"os"

	"tsrun/pipeline/run"
)

func openLock(string) (*os.File, error) { return nil, run.CheckSystem() }
