package doctor

import (
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// synchronised says what the kernel thinks of its clock.
func synchronised() Finding {
	f := Finding{About: "clock", What: "kernel", State: Good, Wanted: "synchronised", Why: "clock.source: none takes this clock as it is"}
	var t unix.Timex // asks, and sets nothing
	state, err := unix.Adjtimex(&t)
	switch {
	case err != nil:
		f.State, f.Measured = Notable, err.Error()
	case state == unix.TIME_ERROR || t.Status&unix.STA_UNSYNC != 0:
		f.Measured = "not synchronised"
		f.Do = "nothing, where clock.source is probe or auto; else run chrony, or ptp4l with phc2sys"
	default:
		f.Measured = fmt.Sprintf("synchronised, off by at most %s as it thinks", micro(int64(t.Maxerror)*1000))
	}
	return f
}

// stamps says which time stamps a network interface makes.
func stamps(name string) Finding {
	f := Finding{About: "clock", What: "stamps of " + name, State: Good, Wanted: "hardware, for ptp4l", Why: "PTP with stamps of software is good to some 10 us"}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		f.State, f.Measured = Notable, err.Error()
		return f
	}
	defer unix.Close(fd)
	info, err := unix.IoctlGetEthtoolTsInfo(fd, name)
	switch {
	case err != nil:
		f.Measured = "the interface does not say: " + err.Error()
	case info.Phc_index < 0:
		f.Measured, f.Do = "software; the card has no clock", "nothing with clock.source: probe; ptp4l needs -S here"
	default:
		f.Measured = fmt.Sprintf("hardware, clock /dev/ptp%d", info.Phc_index)
	}
	return f
}

const (
	writeSize  = 16 << 20
	writeLimit = 3 * time.Second
)

// writeSpeed writes a file that has no name, so that nothing is left of it, and
// returns bytes per second.
func writeSpeed(dir string) (float64, error) {
	fd, err := unix.Open(dir, unix.O_TMPFILE|unix.O_WRONLY|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return 0, err
	}
	file := os.NewFile(uintptr(fd), dir)
	defer file.Close()
	block := make([]byte, 1<<20)
	for i := range block {
		block[i] = byte(i * 31 >> 3) // no disk takes it for nothing
	}
	began, written := time.Now(), 0
	for written < writeSize && time.Since(began) < writeLimit {
		n, err := file.Write(block)
		if written += n; err != nil {
			return 0, err
		}
	}
	if err := unix.Fdatasync(fd); err != nil {
		return 0, err
	}
	return float64(written) / time.Since(began).Seconds(), nil
}

// interfaceOf returns the interface that has an address; nil: none of this PC.
func interfaceOf(ip net.IP) *net.Interface {
	all, _ := net.Interfaces() // none: it is on none
	for _, i := range all {
		addresses, _ := i.Addrs()
		for _, a := range addresses {
			if n, is := a.(*net.IPNet); is && n.IP.Equal(ip) {
				return &i
			}
		}
	}
	return nil
}
