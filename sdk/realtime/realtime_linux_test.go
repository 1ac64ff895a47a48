package realtime

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unprivileged calls f on a thread that has no capability and ends afterwards.
func unprivileged(t *testing.T, f func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
		var none [2]unix.CapUserData
		_, _, errno := unix.RawSyscall(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0)
		if errno == 0 {
			f()
			done <- nil
			return
		}
		done <- errno
	}()
	if err := <-done; err != nil {
		t.Fatal("give up capabilities:", err)
	}
}

func find(grants []Grant, what string) Grant {
	if i := slices.IndexFunc(grants, func(g Grant) bool { return g.What == what }); i >= 0 {
		return grants[i]
	}
	return Grant{}
}

func TestWithoutPrivilegesEachLossHasItsRemedy(t *testing.T) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_RTPRIO, &limit); err != nil || limit.Cur > 0 {
		t.Skipf("any user may have a real-time priority here: %+v %v", limit, err)
	}
	unprivileged(t, func() {
		grants := Settings{Priority: 50, LockMemory: true}.probe()
		priority, memory := find(grants, Priority), find(grants, LockMemory)
		if priority.Granted || priority.Errno != "EPERM" || !strings.Contains(priority.Remedy, "rtprio") || !strings.Contains(priority.Remedy, "LimitRTPRIO") {
			t.Errorf("priority: %+v", priority)
		}
		if unix.Getrlimit(unix.RLIMIT_MEMLOCK, &limit) == nil && limit.Cur < 1<<30 && // a Go process maps more than its limit
			(memory.Granted || memory.Errno != "ENOMEM" && memory.Errno != "EPERM" || !strings.Contains(memory.Remedy, "memlock")) {
			t.Errorf("memory: %+v", memory)
		}
		Settings{Priority: 50, Cores: []int{0}, LockMemory: true}.Enter()() // must do no harm
		if _, err := Await(t.Context(), time.Now().Add(3*time.Millisecond).UnixNano()); err != nil {
			t.Error(err)
		}
	})
}

func TestACoreThatIsNotThereIsRefused(t *testing.T) {
	g := find(Settings{Cores: []int{1000}}.Probe(), Core)
	if g.Granted || g.Errno != "EINVAL" || !strings.Contains(g.Remedy, "may use") {
		t.Errorf("%+v", g)
	}
	for _, impossible := range []int{-1, 1 << 20} { // outside of the set: the kernel is asked for none
		if g := find(Settings{Cores: []int{impossible}}.Probe(), Core); g.Granted {
			t.Errorf("core %d: %+v", impossible, g)
		}
	}
}

// What is granted to a thread is taken from it again, and no thread that it makes
// has it.
func TestEnterIsUndone(t *testing.T) {
	s := Settings{Priority: 30}
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		policy := func() int {
			p, _, _ := unix.RawSyscall(unix.SYS_SCHED_GETSCHEDULER, 0, 0, 0)
			return int(p) &^ 0x40000000
		}
		before := policy()
		leave := s.Enter()
		if within, granted := policy(), find(s.probe(), Priority).Granted; granted != (within == unix.SCHED_FIFO) {
			t.Errorf("policy %d, granted: %v", within, granted)
		}
		leave()
		// probe gave it again to this thread, which ends here.
		_ = schedule(unix.SCHED_NORMAL, 0)
		if after := policy(); after != before {
			t.Errorf("policy %d before, %d after", before, after)
		}
		if slack, err := unix.PrctlRetInt(unix.PR_GET_TIMERSLACK, 0, 0, 0, 0); err != nil || slack == 1 {
			t.Errorf("timer slack %d, %v", slack, err)
		}
	}()
	<-done
}

func TestQuietenCountsWhoWantsIt(t *testing.T) {
	before := debug.SetGCPercent(100)
	defer debug.SetGCPercent(before)
	first, second := Quieten(time.Second), Quieten(0)
	first()
	first()
	if got := debug.SetGCPercent(-1); got != -1 {
		t.Errorf("the collector runs at %d although one still wants it quiet", got)
	}
	second()
	if got := debug.SetGCPercent(100); got != 100 {
		t.Errorf("the collector is set to %d afterwards, want 100", got)
	}
}

// TestBusyPollSaysWhatItGot: what is granted is on the socket, and what is not has a remedy.
func TestBusyPollSaysWhatItGot(t *testing.T) {
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	on := func() (us int) {
		raw, err := conn.SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { us, _ = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BUSY_POLL) })
		return us
	}
	before := on()
	g := PollBusily(conn, 73)
	switch {
	case g.What != BusyPoll || g.Asked != "73 us":
		t.Errorf("%+v", g)
	case g.Granted && on() != 73 && g.Got == "", !g.Granted && (on() != before || g.Errno == "" || g.Remedy == ""):
		t.Errorf("%+v, on the socket: %d us, before: %d us", g, on(), before)
	}
	unprivileged(t, func() {
		if g := PollBusily(conn, 5000); !g.Granted && (g.Errno != "EPERM" || !strings.Contains(g.Remedy, "busy_read")) {
			t.Errorf("without privileges: %+v", g)
		}
	})
	conn.Close()
	if g := PollBusily(conn, 50); g.Granted || g.Why == "" || g.Remedy == "" {
		t.Errorf("of a socket that is closed: %+v", g)
	}
}

func TestDMALatencySaysWhatItGot(t *testing.T) {
	g, hold := HoldDMALatency(0)
	if g.Granted != (hold != nil) || !g.Granted && (g.Why == "" || g.Remedy == "") {
		t.Errorf("%+v, held: %v", g, hold != nil)
	}
	if hold != nil {
		hold.Close()
	}
	if _, err := os.Stat(filepath.Join("/dev", "cpu_dma_latency")); os.IsNotExist(err) && g.Errno != "ENOENT" {
		t.Errorf("%+v", g)
	}
}
