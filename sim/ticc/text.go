package ticc

import (
	"fmt"
	"strings"
)

// Modes of measurement.
const (
	timestamp = "Timestamp"
	interval  = "Interval"
)

var modes = []string{timestamp, interval, "Period", "TimeLab", "Debug", "Null"}

// settings are what the menu sets.
type settings struct {
	mode         string
	wrap, places int
	edges, names [channels]byte
	sync         byte
}

// defaults are those of a new counter.
func defaults(firmware string) settings {
	s := settings{mode: timestamp, places: 11, edges: [channels]byte{'R', 'R'}, names: [channels]byte{'A', 'B'}, sync: 'M'}
	if firmware == Firmware2017 {
		s.places = 12
	}
	return s
}

// place is the last decimal place, in ps.
func (s settings) place() int64 {
	place := int64(1)
	for range 12 - s.places {
		place *= 10
	}
	return place
}

// number is a time; ps is a whole number of the last place.
func (s settings) number(ps int64) string {
	sign := ""
	if ps < 0 {
		sign, ps = "-", -ps
	}
	seconds := ps / 1e12
	if s.wrap > 0 {
		period := int64(1)
		for range s.wrap {
			period *= 10
		}
		seconds %= period
	}
	return strings.TrimSuffix(fmt.Sprintf("%s%0*d.%s", sign, s.wrap, seconds, fmt.Sprintf("%012d", ps%1e12)[:s.places]), ".")
}

// stamp is the line of an event.
func (s settings) stamp(e event) string {
	return fmt.Sprintf("%s ch%c\r\n", s.number(e.at), s.names[e.input-1])
}

// header is the line before the time stamps.
func (d *Device) header() string {
	places := fmt.Sprintf("(seconds with %d decimal places)", d.set.places)
	if d.config.Firmware == Firmware2017 {
		places = "(seconds)"
	}
	return map[string]string{timestamp: "# timestamp " + places, interval: "# time interval A->B " + places, "Period": "# period " + places,
		"TimeLab": "# timestamp chA, chB; interval chA->B " + places, "Debug": "# time1 time2 clock1 cal1 cal2 PICstop tof timestamp",
		"Null": "# null output mode - no data"}[d.set.mode] + "\r\n"
}

// banner is what a counter says of itself.
func (d *Device) banner() string {
	lines := []string{"# ", "# TAPR TICC Timestamping Counter", "# Copyright 2016-2025 N8UR, K9JM; SIMULATED " + d.Serial, "# ", "#####################", "# TICC Configuration: "}
	clock := []string{"# Clock Speed: 10.000000 MHz", "# Coarse tick: 100.000000 usec", "# Cal Periods: 20"}
	end := []string{"# Timeout: 0x05", "# Time Dilation: 2500 (ch0), 2500 (ch1)", "# FIXED_TIME2: 0 (ch0), 0 (ch1)", "# FUDGE0: 0 (ch0), 0 (ch1)"}
	version := map[string]string{Firmware2017: "20170115.1", Firmware2020: "20200412.1", Firmware2025: "20250916.1 (BETA)"}[d.config.Firmware]
	board := []string{"# EEPROM Version: 10, Board Version: D", "# Software Version: " + version, "# Board Serial Number: 5EA15EA1"}
	mode, wrap, sync := "# Measurement Mode: "+d.set.mode, fmt.Sprintf("# Timestamp Wrap: %d", d.set.wrap), fmt.Sprintf("# SyncMode: %c", d.set.sync)
	if d.set.mode == interval {
		mode = "# Measurement Mode: Time Interval A->B"
	}
	edges := fmt.Sprintf("# Trigger Edge: %c (ch0), %c (ch1)", d.set.edges[0], d.set.edges[1])
	if d.config.Firmware == Firmware2025 {
		lines = append(lines, board[1], board[0], board[2], mode, wrap, fmt.Sprintf("# Output Decimal Places: %d", d.set.places),
			edges, sync, "# Channel Names: "+pair(d.set.names), "# Poll Character: none")
		lines = append(lines, clock...)
		lines = append(lines, "# PropDelay: 0 (ch0), 0 (ch1)")
	} else {
		lines = append(lines, mode, "# Poll Character: none")
		lines = append(lines, board...)
		lines = append(lines, clock...)
		lines = append(lines, wrap, sync, "# Ch Names: "+pair(d.set.names), "# PropDelay: 0 (ch0), 0 (ch1)", edges, "")
	}
	lines = append(append(lines, end...), "#####################", "# ")
	return strings.Join(lines, "\r\n") + "\r\n"
}
