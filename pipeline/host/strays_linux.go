package host

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

const (
	// mostLooks bounds how often processes are looked for: one may start another meanwhile.
	mostLooks = 20
	// longestEnvironment bounds what is read of a process.
	longestEnvironment = 4 << 20
)

// endMarked ends every process that was started with a mark in its environment, and
// returns their numbers. What a plugin has started has its mark, also in a group or a
// session of its own; nobody else has it.
func endMarked(mark string) (ended []int) {
	for range mostLooks {
		before := len(ended)
		environments, _ := filepath.Glob("/proc/[0-9]*/environ") // the pattern is right
		for _, name := range environments {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			if err == nil && !slices.Contains(ended, pid) && endIfMarked(pid, name, mark) {
				ended = append(ended, pid)
			}
		}
		if len(ended) == before {
			break
		}
	}
	return ended
}

// endIfMarked ends one process if it has the mark. Its number may become another's at any
// time: what was opened before it was looked at stays the process that it was.
func endIfMarked(pid int, environment, mark string) bool {
	fd, err := unix.PidfdOpen(pid, 0)
	known := err == nil
	if known {
		defer unix.Close(fd)
	} else if !errors.Is(err, unix.ENOSYS) { // before Linux 5.3
		return false
	}
	if !hasMark(environment, mark) {
		return false
	}
	if known {
		return unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil
	}
	return unix.Kill(pid, unix.SIGKILL) == nil
}

// hasMark tells whether one of the variables of a process is the mark. Those of another
// user, and of one that has ended, cannot be read.
func hasMark(environment, mark string) bool {
	f, err := os.Open(environment)
	if err != nil {
		return false
	}
	defer f.Close()
	text, _ := io.ReadAll(io.LimitReader(f, longestEnvironment)) // what could be read counts
	return slices.ContainsFunc(bytes.Split(text, []byte{0}), func(v []byte) bool { return string(v) == mark })
}
