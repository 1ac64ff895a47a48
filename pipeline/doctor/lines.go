package doctor

import (
	"bytes"
	"context"
	"fmt"
	"regexp"

	"tsrun/sdk/quantity"
)

// line is something that a service writes into its log, and what to do then.
type line struct {
	pattern       *regexp.Regexp
	what, why, do string
}

// lines are those that people meet with linuxptp and chrony.
var lines = []line{
	{regexp.MustCompile(`timed out while polling for tx timestamp|increasing tx_timestamp_timeout`), "transmit stamp too late",
		"the card gave the stamp of a packet later than ptp4l waits, and ptp4l starts its port anew", "[global] tx_timestamp_timeout 50 in ptp4l.conf (ms; 10 is usual with newer releases, 1 with older), then 100"},
	{regexp.MustCompile(`(?i)clockcheck: clock (jumped|running)|clock jumped (forward|backward)`), "clock moved by another",
		"two services steer one clock, mostly NTP and PTP", "systemctl disable --now chronyd ntpd systemd-timesyncd, or start phc2sys with -E ntpshm"},
	{regexp.MustCompile(`(?i)(extts|external time ?stamp|\bpps\b).*(time.?out|timed out|lost|miss|unexpected|ignor)`), "PPS stamps lost",
		"some cards lose the stamp of a pulse while their clock is read", "let phc2sys read less often (-R 1 -N 1), or give the pulse to a card that nothing else reads"},
	{regexp.MustCompile(`does not support requested timestamping mode|failed to (create|enable) .*time ?stamp|ioctl SIOCSHWTSTAMP failed`), "no stamps as asked",
		"the card, its driver or the kernel makes no such time stamps", "ptp4l -S (time stamps of software), or another card; ethtool -T IFACE lists what it can"},
	{regexp.MustCompile(`(?i)operation not permitted|permission denied`), "not allowed",
		"the service runs without the right to set a clock or to open its device", "run it as root, or as a service with CAP_SYS_TIME and CAP_NET_RAW"},
	{regexp.MustCompile(`ANNOUNCE_RECEIPT_TIMEOUT_EXPIRES|to LISTENING`), "grandmaster lost",
		"nothing is heard of it; ptp4l goes on showing its last offset", "look at the cable, the domainNumber and whether the switch passes multicast"},
	{regexp.MustCompile(`FAULT_DETECTED|SYNCHRONIZATION_FAULT`), "port in fault",
		"the port starts anew and the clock runs free meanwhile", "look at the lines before it; at the cable, at tx_timestamp_timeout"},
	{regexp.MustCompile(`(?i)no selectable sources|can't synchronise`), "no NTP source",
		"chrony trusts no server that it hears", "chronyc sources -v says why; look at the network and at the servers' names"},
	{regexp.MustCompile(`System clock (wrong by|was stepped)`), "clock was set",
		"a run during which a clock is set is TAINTED", "let chrony step at its start only: makestep 1.0 3"},
}

// logs looks for known lines in logs.
func logs(_ context.Context, o Options) (found []Finding) {
	for _, l := range o.Logs {
		known := len(found)
		for _, k := range lines {
			count, last := 0, []byte(nil)
			for text := range bytes.Lines(l.Lines) {
				if k.pattern.Match(text) {
					count++
					last = bytes.TrimSpace(text)
				}
			}
			if count > 0 {
				found = append(found, Finding{About: "log", What: k.what, State: Notable, Why: k.why, Do: k.do,
					Measured: fmt.Sprintf("%s: %s, the last: %.200q", l.Name, quantity.Counted(count, "line"), last)})
			}
		}
		if len(found) == known {
			found = append(found, Finding{About: "log", What: "known lines", State: Good, Measured: l.Name + ": none that means trouble"})
		}
	}
	return found
}
