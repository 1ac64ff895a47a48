package realtime

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func realtime() int64  { return clockNow(unix.CLOCK_REALTIME) }
func monotonic() int64 { return clockNow(unix.CLOCK_MONOTONIC) }

// clockNow reads a clock in ns by a raw system call: the scheduler does not
// get a chance to take the thread away in between.
func clockNow(id uintptr) int64 {
	var ts unix.Timespec
	syscall.RawSyscall(unix.SYS_CLOCK_GETTIME, id, uintptr(unsafe.Pointer(&ts)), 0)
	return ts.Nano()
}

// sleepUntil sleeps until a CLOCK_MONOTONIC time in ns. Signals, which the Go
// runtime sends to its own threads, do not shorten it.
func sleepUntil(mono int64) {
	ts := unix.NsecToTimespec(mono)
	for {
		_, _, errno := syscall.Syscall6(unix.SYS_CLOCK_NANOSLEEP, unix.CLOCK_MONOTONIC,
			unix.TIMER_ABSTIME, uintptr(unsafe.Pointer(&ts)), 0, 0, 0)
		if errno != unix.EINTR {
			return
		}
	}
}
