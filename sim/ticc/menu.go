package ticc

import (
	"context"
	"fmt"
	"strconv"
	"strings"
)

// menu is that of firmware of 2025, or of older ones, whose keys do nothing here
// but leave it.
func (d *Device) menu(ctx context.Context) error {
	before := d.set
	if d.config.Firmware != Firmware2025 {
		for key := byte(0); key != '3'; {
			var err error
			if key, err = d.wait(ctx); err != nil {
				return err
			}
		}
		return errRestart
	}
	err := d.send(ctx, d.choices())
	for leave := false; !leave && err == nil; {
		var line string
		if line, err = d.line(ctx); err != nil {
			return err
		}
		for command := range strings.SplitSeq(line, ";") {
			var reply string
			if reply, leave = d.command(strings.TrimSpace(command)); reply != "" {
				err = d.send(ctx, reply)
			}
			if leave || err != nil {
				break
			}
		}
	}
	switch {
	case err != nil:
		return err
	case d.set.edges != before.edges || d.set.sync != before.sync:
		if err := d.send(ctx, "# Configuration changes require restart. Restarting...\r\n"); err != nil {
			return err
		}
		return errRestart
	case d.set != before:
		err = d.send(ctx, "# Applying configuration changes...\r\n# Resuming operation with new settings.\r\n# (Changes are temporary - will revert on restart)\r\n")
	default:
		err = d.send(ctx, "# No changes made, resuming operation\r\n")
	}
	if err == nil {
		err = d.send(ctx, "# Restarting measurements...\r\n")
	}
	return err
}

// line prompts, and reads a line, which it echoes.
func (d *Device) line(ctx context.Context) (string, error) {
	if err := d.send(ctx, "# > "); err != nil {
		return "", err
	}
	var line []byte
	for {
		key, err := d.wait(ctx)
		if err != nil {
			return "", err
		}
		switch {
		case key == '\r' || key == '\n':
			return string(line), d.send(ctx, "\r\n")
		case key == '\b':
			line = line[:max(len(line)-1, 0)]
		case len(line) < 95:
			line = append(line, key)
		}
		if err := d.send(ctx, string(rune(key))); err != nil {
			return "", err
		}
	}
}

// command does what a command of the menu says.
func (d *Device) command(text string) (reply string, leave bool) {
	if text == "" {
		return "", false
	}
	letter, argument := strings.ToUpper(text[:1]), strings.TrimSpace(text[1:])
	number, err := strconv.Atoi(argument)
	two := len(argument) == 3 && argument[1] == '/'
	switch {
	case strings.Contains("123", letter) && argument == "":
		return "", true
	case letter == "4":
		d.eeprom = defaults(d.config.Firmware)
		d.set = d.eeprom
		d.set.sync = 0 // so that it restarts
		return "# Defaults written. Restarting...\r\n", true
	case letter == "I":
		return d.banner(), false
	case letter == "M":
		return d.choices(), false
	case letter == "W":
		d.eeprom = d.set
		return "# OK -- Saved\r\n", false
	case letter == "A" && err == nil && number >= 1 && number <= len(modes):
		d.set.mode = modes[number-1]
		return fmt.Sprintf("# OK -- Mode set to %s\r\n", d.set.mode), false
	case letter == "B" && err == nil && number >= 0 && number <= 10:
		old := d.set.wrap
		d.set.wrap = number
		return fmt.Sprintf("# OK -- Wrap %d -> %d\r\n", old, number), false
	case letter == "C" && err == nil && number >= 0 && number <= 12:
		old := d.set.places
		d.set.places = number
		return fmt.Sprintf("# OK -- Places %d -> %d\r\n", old, number), false
	case letter == "D" && two:
		d.set.edges = [channels]byte{argument[0], argument[2]}
		return "# OK -- Edges\r\n", false
	case letter == "E" && (argument == "M" || argument == "C"):
		d.set.sync = argument[0]
		return "# OK -- Sync\r\n", false
	case letter == "F" && two:
		d.set.names = [channels]byte{argument[0], argument[2]}
		return "# OK -- Names\r\n", false
	case strings.Contains("ABCDEF", letter):
		return "# Invalid\r\n", false
	}
	return "# ? Unknown command\r\n", false
}

// choices is what the menu offers.
func (d *Device) choices() string {
	return fmt.Sprintf("# \r\n# == TICC Configuration ==\r\n# A - Mode (currently: %s)\r\n# B - Timestamp Wrap digits (currently: %d)\r\n"+
		"# C - Output Decimal Places (currently: %d)\r\n# D - Trigger Edge A/B (currently: %s)\r\n# E - Master/Client (currently: %c)\r\n"+
		"# F - Channel Names (currently: %s)\r\n# \r\n# M - Show this menu again\r\n# I - Show startup info\r\n"+
		"# W - Write changes to EEPROM (persist across restarts)\r\n# \r\n# 1 - Discard changes and exit\r\n"+
		"# 2 - Apply changes and restart\r\n# 3 - Apply changes and resume operation\r\n# 4 - Reset all to defaults and restart\r\n",
		d.set.mode, d.set.wrap, d.set.places, pair(d.set.edges), d.set.sync, pair(d.set.names))
}

func pair(of [channels]byte) string { return fmt.Sprintf("%c/%c", of[0], of[1]) }
