package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
	"unicode/utf8"

	"tsrun/sdk"
)

// What a plugin may take and say to check a configuration. It is a function
// without effects, so anything longer is a fault of the plugin.
const (
	checkWithin = 20 * time.Second
	maxAnswer   = 64 << 10 // bytes
	maxMistakes = 100
	maxWords    = 1000 // bytes of a field, a message or a hint
)

// Check asks a plugin for the mistakes in a configuration, and in the channels
// it is for, that its schema does not tell: none, where its description promises
// no check. It runs the program with --check, which opens no device. The error
// says why there is no answer.
func (c Component) Check(ctx context.Context, r sdk.CheckRequest) ([]sdk.CheckMistake, error) {
	if c.Description == nil {
		return nil, nil
	}
	offer, named := c.Description.Driver(c.Name), &r.Driver
	if r.Sink != "" {
		offer, named = c.Description.Sink(c.Name), &r.Sink
	}
	if offer == nil || !checks(offer, r) {
		return nil, nil
	}
	*named = offer.Name
	if !offer.Simulated(r.Config) {
		r.Simulation = nil
	}
	request, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write request: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, checkWithin, fmt.Errorf("it has not answered within %v", checkWithin))
	defer cancel()
	answer, err := ask(ctx, command(c.Path, "--check"), bytes.NewReader(request), maxAnswer, nil)
	if err != nil {
		return nil, err
	}
	return readAnswer(answer)
}

// checks says whether the program of a plugin finds mistakes in what is asked about.
func checks(offer *sdk.Offer, r sdk.CheckRequest) bool {
	switch {
	case r.Results:
		return offer.Results != nil && offer.Results.Checks
	case r.Merged:
		return offer.Merged != nil && offer.Merged.Checks
	}
	return offer.Checks
}

// ask has a program answer what it reads, within ctx and in so many bytes. Before is
// done on the thread that starts it, see [spawnOn]: with it, the program may write files,
// and what it has started ends with it.
func ask(ctx context.Context, cmd *exec.Cmd, request io.Reader, most int, before func()) ([]byte, error) {
	answer, complaints := &limitedBuffer{most: most}, &limitedBuffer{most: maxWords}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = request, answer, complaints
	cmd.WaitDelay = time.Second // a child of it may hold the pipes
	kill := func() { KillGroup(cmd.Process.Pid) }
	answer.full = kill
	if err := spawnOn(cmd, before); err != nil {
		return nil, err
	}
	unhook := context.AfterFunc(ctx, kill)
	if before != nil {
		awaitExit(cmd.Process.Pid)
		kill() // while the zombie still holds the number
		endMarked(cmd.Env[0])
	}
	err := cmd.Wait()
	if !unhook() {
		return nil, context.Cause(ctx)
	}
	switch {
	case answer.spilt:
		return nil, fmt.Errorf("its answer is longer than %d bytes", most)
	case err != nil:
		return nil, errors.Join(err, firstLine(complaints.text))
	}
	return answer.text, nil
}

func firstLine(text []byte) error {
	line, _, _ := strings.Cut(strings.TrimSpace(strings.ToValidUTF8(string(text), "?")), "\n")
	if line == "" {
		return nil
	}
	return errors.New(line)
}

// readAnswer cuts what a plugin said to what a person can read.
func readAnswer(text []byte) ([]sdk.CheckMistake, error) {
	var a sdk.CheckAnswer
	if err := json.Unmarshal(text, &a); err != nil {
		return nil, fmt.Errorf("its answer cannot be read: %w", err)
	}
	mistakes := a.Mistakes[:min(len(a.Mistakes), maxMistakes)]
	for i := range mistakes {
		m := &mistakes[i]
		m.Field, m.Message, m.Hint = cut(m.Field), cut(m.Message), cut(m.Hint)
		if m.Message == "" {
			m.Message = "the plugin does not say what is wrong"
		}
	}
	return mistakes, nil
}

func cut(text string) string {
	if len(text) <= maxWords {
		return text
	}
	end := maxWords
	for end > 0 && !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end] + "…"
}

// limitedBuffer keeps the first bytes of what is written to it. When there is
// more it calls full, if there is one, and takes and drops the rest.
type limitedBuffer struct {
	text  []byte
	most  int
	spilt bool
	full  func()
}

func (b *limitedBuffer) Write(p []byte) (int, error) {
	room := b.most - len(b.text)
	if len(p) > room && !b.spilt {
		b.spilt = true
		if b.full != nil {
			b.full()
		}
	}
	b.text = append(b.text, p[:min(len(p), room)]...)
	return len(p), nil
}
