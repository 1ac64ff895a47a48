package main

import (
	"cmp"
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

const (
	psPerSecond = 1_000_000_000_000
	// ticcMostSeconds bounds times, which have to fit 64 bits of ps: 208 days.
	ticcMostSeconds = 18_000_000
	ticcInputs      = 2
	ticcTimestamp   = "Timestamp"
)

// ticcText is what a TICC has said of itself and of its lines. Firmwares say it
// in different orders, so it is read by name.
type ticcText struct {
	Firmware string `json:"firmware,omitempty"`
	Serial   string `json:"serial,omitempty"`
	Names    string `json:"names"`              // of the channels, one character each
	Wrap     int    `json:"wrap,omitempty"`     // times begin again after 10^Wrap s; 0: never
	Decimals int    `json:"decimals,omitempty"` // of a second; 0: not known yet
	Header   string `json:"header,omitempty"`   // the line before the time stamps
	Mode     string `json:"mode,omitempty"`     // what it measures; not known of one that was not reset
	Poll     string `json:"poll,omitempty"`     // it writes a line only when this was sent; "": always
}

var (
	ticcNamed       = regexp.MustCompile(`^# *([A-Za-z][A-Za-z ]*): *(.*)$`)
	ticcHeader      = regexp.MustCompile(`^# (timestamp|time interval|period|time1|null output)[^:]*$`)
	ticcPlacesSaid  = regexp.MustCompile(`with (\d+) decimal places`)
	ticcDone        = regexp.MustCompile(`^# OK -- (?:Mode set to (\w+)|Places \d+ -> (\d{1,2}))$`)
	ticcNoReference = regexp.MustCompile(`(?i)^#.*(reference lost|no coarse_clock)`)
	ticcStamp       = regexp.MustCompile(`^(\d{1,10})\.(\d{1,12}) ?ch([!-~])$`)
)

// comment reads a line that begins with #; it says whether that is the header.
func (t *ticcText) comment(line string) (header bool) {
	if ticcHeader.MatchString(line) {
		t.Header, t.Mode = line, line
		if strings.HasPrefix(line, "# timestamp (") { // with TimeLab, three kinds of lines follow
			t.Mode = ticcTimestamp
		}
		t.Decimals = 12 // of firmware that does not say it
		if m := ticcPlacesSaid.FindStringSubmatch(line); m != nil {
			t.Decimals, _ = strconv.Atoi(m[1])
		}
		return true
	}
	if m := ticcDone.FindStringSubmatch(line); m != nil {
		t.Mode = cmp.Or(m[1], t.Mode)
		if n, err := strconv.Atoi(m[2]); err == nil && n <= 12 {
			t.Decimals = n
		}
		return false
	}
	m := ticcNamed.FindStringSubmatch(line)
	if m == nil {
		return false
	}
	switch value := strings.TrimSpace(m[2]); strings.ToLower(strings.TrimSpace(m[1])) {
	case "software version":
		t.Firmware = value
	case "board serial number":
		t.Serial = value
	case "channel names", "ch names":
		if a, b, two := strings.Cut(value, "/"); two && len(a) == 1 && len(b) == 1 {
			t.Names = a + b
		}
	case "measurement mode":
		t.Mode = value
	case "poll character":
		t.Poll = strings.TrimPrefix(value, "none")
	case "output decimal places":
		if n, err := strconv.Atoi(value); err == nil && n >= 0 && n <= 12 {
			t.Decimals = n
		}
	case "timestamp wrap":
		if n, err := strconv.Atoi(value); err == nil && n >= 0 && n <= 10 {
			t.Wrap = n
		}
	}
	return false
}

// stamp reads the line of a time stamp: exactly, from its digits. A line that
// has lost some is none.
func (t *ticcText) stamp(line string) (ps uint64, input int, ok bool) {
	m := ticcStamp.FindStringSubmatch(line)
	if m == nil || t.Decimals > 0 && len(m[2]) != t.Decimals || t.Wrap > 0 && len(m[1]) != t.Wrap {
		return 0, 0, false
	}
	seconds, _ := strconv.ParseUint(m[1], 10, 64)
	fraction, _ := strconv.ParseUint((m[2] + "000000000000")[:12], 10, 64)
	input = strings.Index(t.Names, m[3]) + 1
	if input == 0 || seconds > ticcMostSeconds {
		return 0, 0, false
	}
	if t.Decimals == 0 {
		t.Decimals = len(m[2])
	}
	return seconds*psPerSecond + fraction, input, true
}

// unwrapped is the time nearest to one before, of those that a time which
// begins again may stand for.
func (t *ticcText) unwrapped(ps, before uint64) uint64 {
	if t.Wrap == 0 || t.Wrap > 7 { // longer than 64 bits tell
		return ps
	}
	period := uint64(psPerSecond)
	for range t.Wrap {
		period *= 10
	}
	if before > ps+period/2 {
		ps += (before - ps + period/2) / period * period
	}
	return ps
}

// timestamps says that the lines are time stamps, as far as is known.
func (t *ticcText) timestamps() bool { return t.Mode == "" || t.Mode == ticcTimestamp }

// settable says that the menu is one that tsrun knows how to use.
func (t *ticcText) settable() bool { return strings.HasPrefix(t.Firmware, "2025") }

// orders are those that make it write time stamps; none where it does.
func (t *ticcText) orders() (orders string) {
	if !t.timestamps() {
		orders = "A1;"
	}
	if t.settable() && t.Mode != "" && t.Decimals < ticcPlaces {
		orders += fmt.Sprintf("C%d;", ticcPlaces)
	}
	return orders
}

// places is how many decimal places there will be.
func (t *ticcText) places() int {
	if strings.Contains(t.orders(), "C") {
		return ticcPlaces
	}
	return t.Decimals
}
