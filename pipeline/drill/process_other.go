//go:build !linux

package drill

import (
	"errors"
)

// running is a process of a run.
type running struct {
	pid, parent int
	command     []string
}

// Other systems run no recipes, so there is nothing to find or to break.

func processesOf(string) []running { return nil }
func kill(int) error               { return errNotThere }
func stop(int) error               { return errNotThere }
func cont(int) error               { return errNotThere }
func term(int) error               { return errNotThere }
func dumpStacks(int) error         { return errNotThere }
func limitFiles(int, int64) error  { return errNotThere }

var errNotThere = errors.New("it does not run")
