package slave

import (
	"errors"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// watchdog tells the service manager that has started this process (sd_notify) that it
// is ready, at work, and about to end. Where there is none nothing is told.
type watchdog struct {
	socket string
	every  time.Duration // between two signs of life; 0: nobody waits for them
	told   atomic.Int64  // when the last was sent, by the monotonic clock
	begun  time.Time
}

// newWatchdog reads what the service manager has set, as sd_notify(3) and
// sd_watchdog_enabled(3) describe it.
func newWatchdog(getenv func(string) string, pid int) *watchdog {
	w := &watchdog{socket: getenv("NOTIFY_SOCKET"), begun: time.Now()}
	if !strings.HasPrefix(w.socket, "/") && !strings.HasPrefix(w.socket, "@") {
		w.socket = ""
	}
	limit, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	if of := getenv("WATCHDOG_PID"); err == nil && limit > 0 && limit < int64(24*time.Hour/time.Microsecond) && (of == "" || of == strconv.Itoa(pid)) {
		w.every = time.Duration(limit) * time.Microsecond / 4
	}
	return w
}

// alive is called by what must not stand still: the loop that asks for a place in a
// run, and the heartbeat of one. It tells no more often than needed.
func (w *watchdog) alive() {
	if w.socket == "" || w.every == 0 {
		return
	}
	now, told := int64(time.Since(w.begun)), w.told.Load()
	if told == 0 || now-told >= int64(w.every) {
		if w.told.CompareAndSwap(told, max(now, 1)) {
			_ = w.tell("WATCHDOG=1") // the manager notices what does not come
		}
	}
}

// during shows life while do is at work, whose waits all have deadlines of their own.
func (w *watchdog) during(do func() error) error {
	if w.socket == "" || w.every == 0 {
		return do()
	}
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		tick := time.NewTicker(w.every)
		defer tick.Stop()
		for {
			w.alive()
			select {
			case <-ended:
				return
			case <-tick.C:
			}
		}
	}()
	return do()
}

// tell sends a state; it never waits.
func (w *watchdog) tell(state string) error {
	if w.socket == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: w.socket, Net: "unixgram"})
	if err != nil {
		return err
	}
	err = conn.SetWriteDeadline(time.Now().Add(time.Second))
	if err == nil {
		_, err = conn.Write([]byte(state))
	}
	return errors.Join(err, conn.Close())
}

// ofThisProcess is the watchdog of the service manager that has started it.
func ofThisProcess() *watchdog { return newWatchdog(os.Getenv, os.Getpid()) }
