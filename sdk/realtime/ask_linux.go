package realtime

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Probe asks for everything by doing it, on a thread that ends afterwards, and
// says what was granted. What concerns the whole process, its memory, stays.
func (s Settings) Probe() []Grant {
	grants := make(chan []Grant)
	go func() {
		runtime.LockOSThread() // and never unlocks it: the thread ends with what it was given
		grants <- s.probe()
	}()
	return <-grants
}

func (s Settings) probe() (grants []Grant) {
	if len(s.Cores) > 0 {
		grants = append(grants, granted(Core, words(s.Cores), keepTo(s.Cores), coreRemedy))
	}
	if s.LockMemory {
		grants = append(grants, granted(LockMemory, "on", lockMemory(), memoryRemedy))
	}
	if s.Priority > 0 {
		got, err := s.prefer()
		g := granted(Priority, strconv.Itoa(s.Priority), err, priorityRemedy)
		if err == nil && got != s.Priority {
			g.Got = strconv.Itoa(got)
		}
		grants = append(grants, g)
	}
	return grants
}

// Enter makes the calling thread one that waits well, as far as the system grants
// it, and returns what undoes that. The goroutine is locked to the thread.
func (s Settings) Enter() (leave func()) {
	var undo []func()
	if slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err == nil {
		// Without it the kernel may wake the thread up to 50 us later than named.
		_ = unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0)
		undo = append(undo, func() { _ = unix.Prctl(unix.PR_SET_TIMERSLACK, uintptr(slack), 0, 0, 0) })
	}
	if len(s.Cores) > 0 {
		var before unix.CPUSet
		if unix.SchedGetaffinity(0, &before) == nil && keepTo(s.Cores) == nil {
			undo = append(undo, func() { _ = unix.SchedSetaffinity(0, &before) })
		}
	}
	if s.Priority > 0 {
		if _, err := s.prefer(); err == nil {
			// Without the flag only root may take it away again.
			undo = append(undo, func() { _ = schedule(unix.SCHED_NORMAL, 0) })
		}
	}
	return func() {
		for i := len(undo) - 1; i >= 0; i-- {
			undo[i]()
		}
	}
}

// prefer gives the calling thread the priority, or the highest that its user may
// have, and returns which.
func (s Settings) prefer() (got int, err error) {
	if err = schedule(unix.SCHED_FIFO, s.Priority); err == nil {
		return s.Priority, nil
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_RTPRIO, &limit) == nil && limit.Cur > 0 && limit.Cur < uint64(s.Priority) {
		if schedule(unix.SCHED_FIFO, int(limit.Cur)) == nil {
			return int(limit.Cur), nil
		}
	}
	return 0, err
}

// schedule sets the calling thread's policy. Threads that are made by it do not
// inherit that.
func schedule(policy, priority int) error {
	const resetOnFork = 0x40000000
	param := struct{ priority int32 }{int32(priority)}
	_, _, errno := unix.RawSyscall(unix.SYS_SCHED_SETSCHEDULER, 0, uintptr(policy|resetOnFork), uintptr(unsafe.Pointer(&param)))
	if errno != 0 {
		return errno
	}
	return nil
}

func keepTo(cores []int) error {
	var set unix.CPUSet
	for _, c := range cores {
		set.Set(c)
	}
	return unix.SchedSetaffinity(0, &set)
}

// lockMemory keeps what is in memory there, and what comes into the regions that
// the process has by now. What it maps later is not locked: a limit would then
// make that fail.
func lockMemory() error {
	const onFault = 4 // MCL_ONFAULT
	return unix.Mlockall(unix.MCL_CURRENT | onFault)
}

// HoldDMALatency asks the processors not to sleep so deeply that waking them takes
// longer than some us, until it is closed; nil where that is not granted.
func HoldDMALatency(us int64) (Grant, io.Closer) {
	file, err := os.OpenFile("/dev/cpu_dma_latency", os.O_WRONLY, 0)
	if err == nil {
		if _, err = file.Write(binary.NativeEndian.AppendUint32(nil, uint32(us))); err != nil {
			file.Close()
		}
	}
	g := granted(DMALatency, fmt.Sprintf("%d us", us), err, latencyRemedy)
	if err != nil {
		return g, nil
	}
	return g, file
}

// PollBusily asks that the kernel looks for packets of a socket for some us itself before
// a thread that waits for one sleeps. It reads back what the kernel took.
func PollBusily(socket syscall.Conn, us int) Grant {
	raw, err := socket.SyscallConn()
	got := 0
	if err == nil {
		failed := raw.Control(func(fd uintptr) {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BUSY_POLL, us); err == nil {
				got, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BUSY_POLL)
			}
		})
		err = errors.Join(failed, err)
	}
	g := granted(BusyPoll, fmt.Sprintf("%d us", us), err, pollRemedy)
	if err == nil && got != us {
		g.Got = fmt.Sprintf("%d us", got)
	}
	return g
}

func granted(what, asked string, err error, remedy func(error) string) Grant {
	g := Grant{What: what, Asked: asked, Granted: err == nil}
	if err != nil {
		g.Why, g.Remedy = err.Error(), remedy(err)
		var errno unix.Errno
		if errors.As(err, &errno) {
			g.Errno, g.Why = unix.ErrnoName(errno), errno.Error()
		}
	}
	return g
}

func words(cores []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(cores), " ", ","), "[]")
}
