//go:build !linux

package run

import (
	"os"
	"runtime"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// CheckSystem says why this operating system can execute no run.
func CheckSystem() error {
	return &sdk.Failure{Code: "needs-linux",
		Message: "a run needs Linux, and this is " + runtime.GOOS + ": only there can tsrun start devices at an instant, keep room on the disk, and end plugins whose parent has died",
		Hint:    "run the recipe on a Linux PC; what reads files and run directories works here too: tsrun help"}
}

// FreeSpace is not known here.
func FreeSpace(string) (quantity.Size, error) { return 0, CheckSystem() }

// FreeFiles is not known here.
func FreeFiles(string) (files int64, known bool) { return 0, false }

// Grow cannot promise room on the disk here.
func Grow(*os.File, int64) error { return CheckSystem() }

// WriteBack does nothing: on this system nothing is received.
func WriteBack(*os.File, int64, int64) {}

// Taken is not known here.
func Taken(*os.File) (int64, error) { return 0, CheckSystem() }

// Lock locks nothing here.
func Lock(*os.File) error { return CheckSystem() }

// SyncDir does nothing: not every system can make the names of a directory
// durable, and nothing is recorded on this one.
func SyncDir(string) error { return nil }
