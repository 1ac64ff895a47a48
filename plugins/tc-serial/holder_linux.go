package main

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lock takes a serial line for this process. A program that has it is named, as far
// as this process may know it; the others are kept out by a lock and, once the line
// is open, by the kernel.
func lock(path string) (unlock func(), err error) {
	if by := owner(path); by != "" {
		return nil, &busyError{by}
	}
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err == nil {
		if err = syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err == nil {
			withdraw := announce(path)
			return func() { withdraw(); syscall.Close(fd) }, nil
		}
		syscall.Close(fd)
	} else if !errors.Is(err, syscall.EBUSY) {
		return nil, err
	}
	return nil, &busyError{cmp.Or(owner(path), "another program")}
}

// owner names who has a device; "" is nobody that this process may know of.
func owner(path string) string {
	if by := holder(path); by != "" {
		return by
	}
	switch pid := announcer(path); pid {
	case 0:
		return ""
	case os.Getpid():
		return fmt.Sprintf("another controller of %s (process %d)", program(pid), pid)
	default:
		return fmt.Sprintf("%s (process %d)", program(pid), pid)
	}
}

// announce lets other drivers find out which process has a device. A process that is
// confined cannot see what others have open, but can ask who listens at a name. Where
// the name is taken the device is this process's all the same.
func announce(path string) (withdraw func()) {
	if name := nameOf(path); name != "" {
		if l, err := net.Listen("unix", name); err == nil {
			return func() { l.Close() }
		}
	}
	return func() {}
}

// announcer is the process that has announced that it has a device; 0: none.
func announcer(path string) (pid int) {
	name := nameOf(path)
	if name == "" {
		return 0
	}
	c, err := net.DialTimeout("unix", name, time.Second)
	if err != nil {
		return 0
	}
	defer c.Close()
	raw, err := c.(*net.UnixConn).SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) {
		if who, err := syscall.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, syscall.SO_PEERCRED); err == nil {
			pid = int(who.Pid)
		}
	})
	return pid
}

// nameOf is the name of a device in the abstract namespace of unix sockets, which is
// gone with its process; "" of one that is not there.
func nameOf(path string) string {
	var device syscall.Stat_t
	if syscall.Stat(path, &device) != nil {
		return ""
	}
	if device.Rdev != 0 { // of whatever path
		return fmt.Sprintf("@tsrun/device/%x", device.Rdev)
	}
	return fmt.Sprintf("@tsrun/file/%x/%x", device.Dev, device.Ino)
}

// holder names another process that has a device open; "" is none that this
// user may see.
func holder(path string) string {
	var device syscall.Stat_t
	if syscall.Stat(path, &device) != nil || device.Mode&syscall.S_IFMT != syscall.S_IFCHR {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*")
	for _, link := range links {
		target, err := os.Readlink(link)
		if err != nil || !strings.HasPrefix(target, "/dev/") {
			continue
		}
		var open syscall.Stat_t
		pid, _ := strconv.Atoi(strings.Split(link, "/")[2])
		if pid != os.Getpid() && syscall.Stat(link, &open) == nil && open.Rdev == device.Rdev && open.Mode&syscall.S_IFMT == syscall.S_IFCHR {
			return fmt.Sprintf("%s (process %d)", program(pid), pid)
		}
	}
	return ""
}

// program is the name of a process.
func program(pid int) string {
	name, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
	if err != nil {
		return "a program"
	}
	return strings.TrimSpace(string(name))
}
