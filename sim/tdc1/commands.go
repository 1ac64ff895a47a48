package tdc1

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tsrun/sim/sky"
)

// mode is what COUNTS? gives.
type mode int

const (
	singles mode = 0
	pairs   mode = 1
	stamps  mode = 3
)

const (
	longestGate    = 65535 // ms
	longestCommand = 256   // bytes
)

// reset is what *RST does.
func (d *Device) reset() {
	d.mode, d.time, d.level, d.refclk = singles, 1000, "NEG -0.5", "0"
}

// splitter cuts what comes into commands, which end with a semicolon or a line.
type splitter struct{ part []byte }

func (s *splitter) take(b []byte) (commands []string) {
	for _, c := range b {
		if c != ';' && c != '\r' && c != '\n' {
			if len(s.part) < longestCommand {
				s.part = append(s.part, c)
			}
			continue
		}
		if text := strings.TrimSpace(string(s.part)); text != "" {
			commands = append(commands, text)
		}
		s.part = s.part[:0]
	}
	return commands
}

// word takes a command apart: TIME400 and TIME 400 are the same.
func word(text string) (name, argument string) {
	text = strings.ToUpper(text)
	end := strings.IndexFunc(text, func(r rune) bool { return !(r >= 'A' && r <= 'Z' || r == '*' || r == '?') })
	if end < 0 {
		return text, ""
	}
	return text[:end], strings.TrimSpace(text[end:])
}

// perform does what a command says. While a gate is open, questions are passed
// over: what a real unit does then is not known.
func (d *Device) perform(ctx context.Context, c command) error {
	name, argument := word(c.text)
	if strings.HasSuffix(name, "?") {
		if d.gate != nil {
			return nil
		}
		if name == "COUNTS?" {
			d.begin(c.at)
			return nil
		}
		return d.reply(ctx, d.answer(name))
	}
	d.order(name, argument)
	if name == "HELP" && d.gate == nil {
		return d.reply(ctx, "TDC1 commands:\r\n*IDN? *RST MODE? SINGLES PAIRS TIMESTAMP TIME TIME? COUNTS? ABORT\r\nNIM TTL NEG POS LEVEL? REFCLK REFCLK? ECLOCK? INPKT")
	}
	return nil
}

func (d *Device) order(name, argument string) {
	to := func(m mode) {
		d.end(true)
		d.mode = m
	}
	switch name {
	case "*RST":
		d.end(true)
		d.reset()
	case "SINGLES":
		to(singles)
	case "PAIRS":
		to(pairs)
	case "TIMESTAMP":
		to(stamps)
	case "ABORT":
		d.end(true)
	case "TIME":
		if n, err := strconv.ParseInt(argument, 10, 64); err == nil && n >= 0 && n <= longestGate {
			d.time = n
		}
	case "NIM":
		d.level = "NEG -0.5"
	case "TTL":
		d.level = "POS 1.0"
	case "NEG", "POS":
		if v, err := strconv.ParseFloat(argument, 64); err == nil && v >= -3.3 && v <= 3.3 {
			d.level = name + " " + argument
		}
	case "REFCLK":
		if argument == "0" || argument == "1" || argument == "2" {
			d.refclk = argument
		}
	}
}

func (d *Device) answer(question string) string {
	switch question {
	case "*IDN?":
		if d.faults.wrongDevice {
			return "Unknown oscilloscope"
		}
		return "S-Fifteen Instruments TDC1 " + d.config.Serial + " simulated"
	case "MODE?":
		return strconv.Itoa(int(d.mode))
	case "TIME?":
		return strconv.Itoa(int(int16(d.time))) // some firmware counts in 16 bits
	case "LEVEL?":
		_, v, _ := strings.Cut(d.level, " ")
		return v + " V"
	case "REFCLK?":
		return d.refclk
	case "ECLOCK?":
		if d.referred() {
			return "1"
		}
		return "0"
	}
	return ""
}

// referred says that the reference is connected, and not lost yet.
func (d *Device) referred() bool {
	return d.config.Reference && !d.After(d.faults.referenceLost)
}

// begin opens the gate a start delay after the order came.
func (d *Device) begin(at time.Time) {
	if d.time == 0 && d.mode != stamps {
		return
	}
	start := sky.Unix(at.UnixNano(), 0).Add(int64(d.config.Controller.StartDelay))
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gate = newGate(d.Eye, d.truth.Acquisition+1, start, d.referred() && d.refclk != "2", d.time, d.mode == stamps, d.faults.losses)
	d.gate.room = d.link.room
	d.open = d.gate
}

// counts are the reply at the end of a gate.
func (g *gate) counts(m mode) string {
	var counts []string
	if m == stamps {
		return ""
	}
	for _, n := range g.singles {
		counts = append(counts, fmt.Sprint(n))
	}
	if m == pairs {
		for _, n := range g.pairs {
			counts = append(counts, fmt.Sprint(n))
		}
	}
	return strings.Join(counts, " ")
}
