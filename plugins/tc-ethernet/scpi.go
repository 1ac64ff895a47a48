package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"tsrun/sdk"
)

// errorMark is in every reply to a command that failed. What follows it is a
// name that differs between firmwares.
const errorMark = "SCPI_ERR_"

// scpi speaks the command language of the Time Controller.
type scpi struct{ *requester }

// do carries out commands in one message. Each starts at the root of the
// command tree, because what a bare ";" continues at depends on the firmware.
func (s scpi) do(ctx context.Context, commands ...string) error {
	reply, err := s.ask(ctx, strings.Join(commands, ";:"))
	if err != nil {
		return err
	}
	return checkReply(commands, reply)
}

// query asks for one value. Asking changes nothing, so a question that was not
// answered is asked once more, on a new connection.
func (s scpi) query(ctx context.Context, question string) (string, error) {
	reply, err := s.ask(ctx, question)
	if errors.Is(err, errNoReply) {
		reply, err = s.ask(ctx, question)
	}
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
		return 0, fmt.Errorf("ask the %s %q: %w", s.name, question, err)
	}
	return n, nil
}

// parseCount reads "13" or "13TB"; TB is the device's name for 1 ps.
func parseCount(reply string) (int64, error) {
	digits := strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(reply), "TB"))
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("the reply %s is not a count", quote(reply))
	}
	return n, nil
}

// commandError is a command that the Time Controller refused.
type commandError struct {
	command, reply string
}

func (e *commandError) Error() string {
	return fmt.Sprintf("the Time Controller refused %q: %s", e.command, quote(e.reply))
}

// checkReply looks for refused commands in the reply to a message. A message
// of several commands is answered with a line for each that has something to
// say; when all have, the line tells which command was refused.
func checkReply(commands []string, reply string) error {
	if !strings.Contains(reply, errorMark) {
		return nil
	}
	lines := strings.Split(strings.TrimRight(reply, "\r\n"), "\n")
	if len(lines) == len(commands) {
		for i, line := range lines {
			if strings.Contains(line, errorMark) {
				return &commandError{command: commands[i], reply: strings.TrimSpace(line)}
			}
		}
	}
	return &commandError{command: strings.Join(commands, ";:"), reply: strings.TrimSpace(reply)}
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

// quote shows a text from outside, cut to a readable length.
func quote(text string) string {
	const longest = 200
	if len(text) > longest {
		return strconv.QuoteToASCII(text[:longest]) + "…"
	}
	return strconv.QuoteToASCII(text)
}
