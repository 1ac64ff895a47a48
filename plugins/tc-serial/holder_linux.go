package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// lock takes a serial line for this process. A program that has it open is
// named, as far as this user may see it; the others are kept out by a lock and,
// once the line is open, by the kernel.
func lock(path string) (unlock func(), err error) {
	if by := holder(path); by != "" {
		return nil, &busyError{by}
	}
	fd, err := syscall.Open(path, syscall.O_RDWR|syscall.O_NOCTTY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err != nil {
		if errors.Is(err, syscall.EBUSY) {
			return nil, &busyError{"another program"}
		}
		return nil, err
	}
	if err := syscall.Flock(fd, syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		syscall.Close(fd)
		if by := holder(path); by != "" {
			return nil, &busyError{by}
		}
		return nil, &busyError{fmt.Sprintf("another controller of %s (process %d)", program(os.Getpid()), os.Getpid())}
	}
	return func() { syscall.Close(fd) }, nil
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
