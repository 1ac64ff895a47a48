package clock

import (
	"fmt"
	"math"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cardOffset reads how far this PC's clock is ahead of that of a network card (its
// PHC), in ns, and what that may be off by. The card's clock shows TAI where ptp4l
// keeps it: on all PCs of one grandmaster, so that it cancels between them.
func cardOffset(device string) (offset, doubt int64, err error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolTsInfo(fd, strings.TrimRight(device, "\x00"))
	if err != nil {
		return 0, 0, fmt.Errorf("ask which clock %s has: %w", device, err)
	}
	if info.Phc_index < 0 {
		return 0, 0, fmt.Errorf("%s has no clock", device)
	}
	f, err := os.Open(fmt.Sprintf("/dev/ptp%d", info.Phc_index))
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	read, err := unix.IoctlPtpSysOffsetExtended(int(f.Fd()), 10)
	if err != nil {
		return 0, 0, fmt.Errorf("read the clock of %s: %w", device, err)
	}
	doubt = math.MaxInt64
	for i := range min(int(read.Samples), len(read.Ts)) { // before, the card's, after
		before, card, after := nanoseconds(read.Ts[i][0]), nanoseconds(read.Ts[i][1]), nanoseconds(read.Ts[i][2])
		if half := (after - before + 1) / 2; half >= 0 && half < doubt {
			offset, doubt = before+half-card, half
		}
	}
	if doubt > int64(time.Second) {
		return 0, 0, fmt.Errorf("read the clock of %s: no time came", device)
	}
	return offset, doubt, nil
}

func nanoseconds(t unix.PtpClockTime) int64 { return t.Sec*1e9 + int64(t.Nsec) }
