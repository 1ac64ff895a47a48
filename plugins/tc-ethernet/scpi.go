package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
)

// errorMark is in the reply to most commands that failed. What follows it is a
// name that differs between firmwares.
const errorMark = "SCPI_ERR_"

// acknowledgement begins the reply to a setting that was made.
const acknowledgement = "VALUE SET TO"

// scpi speaks the command language of the Time Controller.
type scpi struct{ *instrument.Client }

// do carries out commands in one message. Each starts at the root of the
// command tree, because what a bare ";" continues at depends on the firmware.
func (s scpi) do(ctx context.Context, commands ...string) error {
	_, err := s.order(ctx, commands)
	return err
}

// now carries out a command, or asks, from a thread whose time counts.
func (s scpi) now(ctx context.Context, command string) error {
	reply, err := s.AskNow(ctx, command)
	if err != nil {
		return err
	}
	return checkReply([]string{command}, reply)
}

// replies are what the device answered to the commands of one message.
type replies []string

// to returns the reply to a command, or all when it is not known which is its.
func (r replies) to(n int) string {
	if n < len(r) {
		return r[n]
	}
	return strings.Join(r, "\n")
}

// order carries out commands as do does, and returns the replies.
func (s scpi) order(ctx context.Context, commands []string) (replies, error) {
	reply, err := s.Ask(ctx, strings.Join(commands, ";:"))
	if err != nil {
		return nil, err
	}
	if err := checkReply(commands, reply); err != nil {
		return nil, err
	}
	if lines := linesOf(reply); len(lines) == len(commands) {
		return lines, nil
	}
	return make(replies, 0), nil
}

// read asks for many values at once. One that the device refuses to tell is
// empty. A device that does not answer with a line for each is asked for one
// after the other.
func (s scpi) read(ctx context.Context, headers []string) ([]string, error) {
	values := make([]string, len(headers))
	if len(headers) == 0 {
		return values, nil
	}
	question := strings.Join(headers, "?;:") + "?"
	reply, err := s.Query(ctx, question)
	if err != nil {
		return nil, err
	}
	lines := linesOf(reply)
	if len(lines) != len(headers) {
		lines = lines[:0]
		for _, h := range headers {
			value, err := s.query(ctx, h+"?")
			if err != nil && !isRefusal(err) {
				return nil, err
			}
			if err != nil {
				value = ""
			}
			lines = append(lines, value)
		}
	}
	for i, line := range lines {
		if !refuses(line) {
			values[i] = clip(line)
		}
	}
	return values, nil
}

func linesOf(reply string) []string {
	lines := strings.Split(strings.TrimRight(reply, "\r\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimSpace(line)
	}
	return lines
}

// clip cuts what the device says it is set to, which the report keeps.
func clip(text string) string { return instrument.Clip(text, 64) }

// query asks for one value.
func (s scpi) query(ctx context.Context, question string) (string, error) {
	reply, err := s.Query(ctx, question)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(reply), checkReply([]string{question}, reply)
}

// count asks for a whole number that is not negative; a unit behind it is
// passed over.
func (s scpi) count(ctx context.Context, question string) (int64, error) {
	reply, err := s.query(ctx, question)
	if err != nil {
		return 0, err
	}
	n, err := parseCount(reply)
	if err != nil {
		return 0, fmt.Errorf("ask the %s %q: %w", s.Name, question, err)
	}
	return n, nil
}

// parseCount reads "13" or "13TB"; TB is the device's name for 1 ps.
func parseCount(reply string) (int64, error) {
	digits := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(reply), "TB"))
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("the reply %s is not a count", instrument.Quote(reply))
	}
	return n, nil
}

// commandError is a command that the Time Controller refused, or did not
// carry out.
type commandError struct {
	command, reply string
	instead        string // what it is set to; empty: not known
}

func (e *commandError) Error() string {
	if e.instead != "" {
		return fmt.Sprintf("the Time Controller did not carry out %q: it answered %s and is set to %s", e.command, instrument.Quote(e.reply), instrument.Quote(e.instead))
	}
	return fmt.Sprintf("the Time Controller refused %q: %s", e.command, instrument.Quote(e.reply))
}

// refuses reports whether a reply says no. Firmwares do so in several ways: with
// an error name anywhere, or in words such as "No connection possible".
func refuses(reply string) bool {
	text := strings.ToUpper(strings.TrimSpace(reply))
	if strings.Contains(text, errorMark) || strings.Contains(text, "NO CONNECTION") {
		return true
	}
	first, _, _ := strings.Cut(text, " ")
	switch strings.TrimRight(first, ":,.!") {
	case "NO", "NOT", "ERROR", "INVALID", "UNKNOWN", "FAILED", "CANNOT", "DENIED", "REFUSED":
		return true
	}
	return false
}

// acknowledges reports whether a reply says in known words that a setting was
// made. Some firmwares say nothing.
func acknowledges(reply string) bool {
	text := strings.ToUpper(strings.TrimSpace(reply))
	return text == "" || strings.HasPrefix(text, acknowledgement)
}

// checkReply looks for refused commands in the reply to a message. A message
// of several commands is answered with a line for each that has something to
// say; when all have, the line tells which command was refused.
func checkReply(commands []string, reply string) error {
	lines := linesOf(reply)
	for i, line := range lines {
		if !refuses(line) {
			continue
		}
		if len(lines) == len(commands) {
			return &commandError{command: commands[i], reply: line}
		}
		return &commandError{command: strings.Join(commands, ";:"), reply: strings.TrimSpace(reply)}
	}
	return nil
}

// refused turns a command that the device refused into a failure with a hint;
// other errors pass.
func refused(err error, hint string) error {
	var refusal *commandError
	if !errors.As(err, &refusal) {
		return err
	}
	return &sdk.Failure{Code: "device-refused", Message: err.Error(), Hint: hint}
}
