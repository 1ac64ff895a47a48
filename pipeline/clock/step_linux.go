package clock

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"

	"tsrun/sdk/realtime"
)

// listen calls set when the kernel says that the clock was set, until ctx ends. Where
// the kernel gives no such timer, it returns: the clock is looked at all the same.
func listen(ctx context.Context, set func()) {
	timer, err := newSetTimer()
	if err != nil {
		return
	}
	stop := context.AfterFunc(ctx, func() { timer.Close() })
	defer stop()
	defer timer.Close()
	listenTo(timer, set)
}

// listenTo reads a timer that is cancelled when the clock is set.
func listenTo(timer io.Reader, set func()) {
	var expired [8]byte
	for {
		_, err := timer.Read(expired[:])
		switch {
		case errors.Is(err, unix.ECANCELED):
			set()
		case err != nil:
			return
		}
	}
}

// newSetTimer makes a timer of CLOCK_REALTIME that the kernel cancels when that clock is
// set. It is for a moment that never comes.
func newSetTimer() (*os.File, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, err
	}
	const century = 100 * 365 * 24 * 3600e9 // ns
	never := unix.ItimerSpec{Value: unix.NsecToTimespec(realtime.ReadClock().Real + century)}
	if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "timer of the clock"), nil
}
