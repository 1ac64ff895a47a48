package host

import (
	"errors"
	"io/fs"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// executable tells whether a file can be a plugin.
func executable(info fs.FileInfo) bool {
	return info.Mode().IsRegular() && info.Mode().Perm()&0o111 != 0
}

// anyoneWrites tells whether every user of the PC may write to a file or directory.
func anyoneWrites(info fs.FileInfo) bool { return info.Mode().Perm()&0o002 != 0 }

// Spawn starts cmd as the leader of a process group of its own and sees to it
// that the kernel signals it when this process dies: with SIGTERM, so that it
// can leave its device safe, unless cmd asks for another signal.
//
// The kernel sends that signal when the thread that started the child ends,
// and Go ends threads now and then. So Spawn starts cmd on a thread that stays
// until the child has ended.
func Spawn(cmd *exec.Cmd) error { return spawnOn(cmd, nil) }

// spawnOn is Spawn on a thread that first does something with itself, such as to
// give rights away; nil: nothing. Then the thread ends with the child.
func spawnOn(cmd *exec.Cmd, before func()) error {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
	if cmd.SysProcAttr.Pdeathsig == 0 {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		if before == nil {
			defer runtime.UnlockOSThread()
		} else {
			before()
		}
		err := cmd.Start()
		started <- err
		if err == nil {
			awaitExit(cmd.Process.Pid)
		}
	}()
	return <-started
}

// KillGroup ends the process group of a child that Spawn has started.
func KillGroup(pid int) { _ = syscall.Kill(-pid, syscall.SIGKILL) }

// awaitExit returns when a child has ended; it stays a zombie for whoever
// waits for it, so its process id and group cannot be another's yet.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
