package drill

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// running is a process of a run.
type running struct {
	pid, parent int
	command     []string
}

// processesOf finds the processes of a run by its directory of temporary files,
// which no other has. Plugins have directories of their own below it.
func processesOf(tmp string) (found []running) {
	entries, _ := os.ReadDir("/proc") // without it nothing is found
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		environment, err := os.ReadFile(filepath.Join(dir, "environ"))
		if err != nil || !keepsBelow(environment, tmp) {
			continue // another's, or it has ended
		}
		command, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		status, also := os.ReadFile(filepath.Join(dir, "stat"))
		if err != nil || also != nil {
			continue
		}
		p := running{pid: pid, parent: parentIn(status)}
		for word := range bytes.SplitSeq(bytes.TrimRight(command, "\x00"), []byte{0}) {
			p.command = append(p.command, string(word))
		}
		found = append(found, p)
	}
	return found
}

// keepsBelow says whether an environment has its temporary files in a directory or
// below it.
func keepsBelow(environment []byte, dir string) bool {
	for variable := range bytes.SplitSeq(environment, []byte{0}) {
		if own, ok := bytes.CutPrefix(variable, []byte("TMPDIR=")); ok {
			rest, ok := bytes.CutPrefix(own, []byte(dir))
			return ok && (len(rest) == 0 || rest[0] == filepath.Separator)
		}
	}
	return false
}

// parentIn reads a process's parent from its stat: "pid (name) state parent ...".
func parentIn(stat []byte) int {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 2 {
		return 0
	}
	parent, _ := strconv.Atoi(string(fields[1])) // the kernel writes numbers
	return parent
}

func kill(pid int) error { return signal(pid, syscall.SIGKILL) }
func stop(pid int) error { return signal(pid, syscall.SIGSTOP) }
func cont(pid int) error { return signal(pid, syscall.SIGCONT) }
func term(pid int) error { return signal(pid, syscall.SIGTERM) }

// dumpStacks lets a process of tsrun write what its goroutines wait for, and end.
func dumpStacks(pid int) error { return signal(pid, syscall.SIGABRT) }

func signal(pid int, s syscall.Signal) error {
	if pid <= 1 {
		return errNotThere
	}
	if err := syscall.Kill(pid, s); err != nil {
		return fmt.Errorf("send %v to process %d: %w", s, pid, err)
	}
	return nil
}

// limitFiles lets no file of a process grow beyond some bytes; negative: lets them.
func limitFiles(pid int, most int64) error {
	if pid <= 1 {
		return errNotThere
	}
	limit := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, nil, &limit); err != nil {
		return fmt.Errorf("read the limit of files of process %d: %w", pid, err)
	}
	if limit.Cur = limit.Max; most >= 0 {
		limit.Cur = min(uint64(most), limit.Max)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_FSIZE, &limit, nil); err != nil {
		return fmt.Errorf("limit the files of process %d: %w", pid, err)
	}
	return nil
}

var errNotThere = errors.New("it does not run")
