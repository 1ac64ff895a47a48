package sdktest

import (
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// apart lets cmd run in a process group of its own, which ends with this process.
func apart(cmd *exec.Cmd) error {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return nil
}

func killGroup(leader int)      { _ = syscall.Kill(-leader, syscall.SIGKILL) }
func terminate(pid int)         { _ = syscall.Kill(pid, syscall.SIGTERM) }
func freeze(leader int)         { _ = syscall.Kill(-leader, syscall.SIGSTOP) }
func thaw(leader int)           { _ = syscall.Kill(-leader, syscall.SIGCONT) }
func groupLeft(leader int) bool { return syscall.Kill(-leader, 0) == nil }

// endedByFault tells whether a process was ended for touching memory that it must not.
func endedByFault(state *os.ProcessState) bool {
	status, ok := state.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && (status.Signal() == syscall.SIGSEGV || status.Signal() == syscall.SIGBUS)
}

// fullDisk makes every write of a process to a file fail from now on, as on a
// disk that is full.
func fullDisk(pid int) error {
	none := unix.Rlimit{}
	return unix.Prlimit(pid, unix.RLIMIT_FSIZE, &none, nil)
}
