package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"tsrun/sdk"
	"tsrun/sdk/instrument"
)

const (
	chunkSize = 64 << 10
	// chunks is how many reads may wait: some MB, which lets tsrun pause for
	// some 100 ms at full rate while the device goes on.
	chunks = 2048
	// longestLine bounds what a device may answer, in bytes.
	longestLine = 4096
	// lineFull is how many bytes the kernel gives at once of a line that has no room
	// left. It keeps 4095 and stops the device when there is room for less than 128.
	lineFull = 4095 - 128
	// unreadMost is how long a line may be not read without a word.
	unreadMost = 10 * time.Millisecond
)

// chunk is what one read gave; without bytes and error it was a pause.
type chunk struct {
	at     time.Time // when it was read
	b      []byte
	err    error
	filled bool // the line was not read until it had no room left, so that the device may have been kept waiting
}

// listen reads the line in a goroutine of its own until stop is called, so that
// the device is never kept waiting.
func (p *port) listen() (<-chan chunk, func()) {
	p.unread.Store(0)
	came, done, ended := make(chan chunk, chunks), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(came)
		buf := make([]byte, chunkSize)
		var before time.Duration // between the two reads before
		for last := time.Now(); ; {
			asked := time.Now()
			n, err := p.read(buf)
			now := time.Now()
			since := now.Sub(last)
			unread := asked.Sub(last) + max(now.Sub(asked)-readSlice, 0) // a read waits for so long itself
			p.unread.Store(max(p.unread.Load(), int64(unread/time.Millisecond)))
			select {
			case came <- chunk{now, bytes.Clone(buf[:n]), err, n >= lineFull && max(since, before) >= unreadMost}:
			case <-done:
				return
			}
			if last, before = now, since; err != nil {
				return
			}
		}
	}()
	var once sync.Once
	return came, func() {
		once.Do(func() { close(done) })
		<-ended
	}
}

// ask sends a question and reads the line that answers it.
func (p *port) ask(ctx context.Context, question string) (string, error) {
	if err := p.write(question + "\r\n"); err != nil {
		return "", err
	}
	var text []byte
	buf := make([]byte, longestLine)
	for end := time.Now().Add(p.timeout); time.Now().Before(end); {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		n, err := p.read(buf)
		if err != nil {
			return "", err
		}
		text = append(text, buf[:n]...)
		if line, _, whole := strings.Cut(string(text), "\n"); whole {
			return strings.TrimSpace(line), nil
		}
		if len(text) > longestLine {
			break
		}
	}
	return "", &sdk.Failure{Code: "device-timeout", Field: "port",
		Message: fmt.Sprintf("ask the %s %q: no reply within %v, only %s", p.name, question, p.timeout, instrument.Quote(string(text))),
		Hint:    "check that model says what device this is; unplug it and plug it in again, or raise timeout"}
}

// drain reads and forgets until nothing comes for a moment; it returns whether
// anything came.
func (p *port) drain(ctx context.Context) (came bool, err error) {
	buf := make([]byte, chunkSize)
	for end := time.Now().Add(p.timeout); time.Now().Before(end) && ctx.Err() == nil; came = true {
		if n, err := p.read(buf); err != nil || n == 0 {
			return came, err
		}
	}
	return came, context.Cause(ctx)
}
