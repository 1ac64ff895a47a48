//go:build !linux

package host

import (
	"io/fs"
	"os/exec"

	"tsrun/pipeline/run"
)

// executable tells whether a file can be a plugin, of which only the description
// is read here; some systems have no sign of a program.
func executable(info fs.FileInfo) bool { return info.Mode().IsRegular() }

// Spawn starts nothing: this system has no signal for the child of a process
// that has died, so a plugin could be left alone with its device.
func Spawn(*exec.Cmd) error { return run.CheckSystem() }

func spawnOn(cmd *exec.Cmd, _ func()) error { return Spawn(cmd) }

// KillGroup has no group to end: Spawn starts nothing.
func KillGroup(int) {}

// awaitExit has nothing to wait for: Spawn starts nothing.
func awaitExit(int) {}

// endMarked has nothing to end: Spawn starts nothing.
func endMarked(string) []int { return nil }

// anyoneWrites tells whether every user of the PC may write to a file or
// directory; systems other than Linux run no plugins.
func anyoneWrites(fs.FileInfo) bool { return false }
