//go:build !linux

package sdktest

import (
	"errors"
	"os"
	"os/exec"
)

var errSystem = errors.New("plugins can be checked on Linux only")

func apart(*exec.Cmd) error { return errSystem }
func killGroup(int)         {}
func terminate(int)         {}
func freeze(int)            {}
func thaw(int)              {}
func groupLeft(int) bool    { return false }
func fullDisk(int) error    { return errSystem }

func endedByFault(*os.ProcessState) bool { return false }
