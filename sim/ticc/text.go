package ticc

import (
	"fmt"
	"strings"
)

// decimals is how many places of a second a firmware writes.
func decimals(firmware string) int {
	if firmware == Firmware2017 {
		return 12
	}
	return 11
}

// header is the line before the time stamps.
func header(firmware string, wrongMode bool) string {
	switch {
	case wrongMode:
		return fmt.Sprintf("# time interval A->B (seconds with %d decimal places)\r\n", decimals(firmware))
	case firmware == Firmware2017:
		return "# timestamp (seconds)\r\n"
	}
	return fmt.Sprintf("# timestamp (seconds with %d decimal places)\r\n", decimals(firmware))
}

// banner is what a counter says of itself.
func banner(firmware, serial string) string {
	lines := []string{"# ", "# TAPR TICC Timestamping Counter", "# Copyright 2016-2025 N8UR, K9JM; SIMULATED " + serial, "# ", "#####################", "# TICC Configuration: "}
	clock := []string{"# Clock Speed: 10.000000 MHz", "# Coarse tick: 100.000000 usec", "# Cal Periods: 20"}
	end := []string{"# Timeout: 0x05", "# Time Dilation: 2500 (ch0), 2500 (ch1)", "# FIXED_TIME2: 0 (ch0), 0 (ch1)", "# FUDGE0: 0 (ch0), 0 (ch1)"}
	version := map[string]string{Firmware2017: "20170115.1", Firmware2020: "20200412.1", Firmware2025: "20250916.1 (BETA)"}[firmware]
	board := []string{"# EEPROM Version: 10 Board Version: D", "# Software Version: " + version, "# Board Serial Number: 5EA15EA1"}
	if firmware == Firmware2025 {
		lines = append(lines, board[1], board[0], board[2], "# Measurement Mode: Timestamp", "# Timestamp Wrap: 0", "# Output Decimal Places: 11",
			"# Trigger Edge: R (ch0), R (ch1)", "# SyncMode: M", "# Channel Names: A/B", "# Poll Character: none")
		lines = append(lines, clock...)
		lines = append(lines, "# PropDelay: 0 (ch0), 0 (ch1)")
	} else {
		lines = append(lines, "# Measurement Mode: Timestamp", "# Poll Character: none")
		lines = append(lines, board...)
		lines = append(lines, clock...)
		lines = append(lines, "# Timestamp Wrap: 0", "# SyncMode: M", "# Ch Names: A/B", "# PropDelay: 0 (ch0), 0 (ch1)", "# Trigger Edge: R (ch0), R (ch1)", "")
	}
	lines = append(append(lines, end...), "#####################", "# ")
	return strings.Join(lines, "\r\n") + "\r\n"
}

// stampText is the line of an event; ps is a whole number of the last place.
func stampText(firmware string, ps int64, input int) string {
	fraction := fmt.Sprintf("%012d", ps%1e12)[:decimals(firmware)]
	return fmt.Sprintf("%d.%s ch%c\r\n", ps/1e12, fraction, 'A'+rune(input-1))
}
