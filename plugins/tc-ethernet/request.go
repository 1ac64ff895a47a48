package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/zmtp"
	"tsrun/sdk"
)

// maxReply bounds one reply, in bytes. The longest one expected, a status with
// errors, has some hundred.
const maxReply = 1 << 20

// errNoReply marks a request that was sent and not answered in time. What it
// asked for may or may not have happened.
var errNoReply = errors.New("no reply")

// requester is the REQ end of a ZeroMQ request-reply connection. It connects
// when it is first used and again after any failure: a REQ socket that missed
// a reply is of no use, and a late reply must not be taken for that of the
// next request.
//
// Requests may be made from several goroutines; they take turns.
type requester struct {
	name    string // who is at the other end, for errors
	addr    string
	timeout time.Duration

	mu    sync.Mutex
	conn  *zmtp.Conn
	reply []byte // buffer, maxReply long
}

func newRequester(name, addr string, timeout time.Duration) *requester {
	return &requester{name: name, addr: addr, timeout: timeout, reply: make([]byte, maxReply)}
}

// ask sends one request and returns its reply. It is never sent twice.
func (r *requester) ask(ctx context.Context, request string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if r.conn == nil {
		conn, err := zmtp.Dial(ctx, "tcp", r.addr, zmq4.Req)
		if err != nil {
			return "", &sdk.Failure{Code: "device-unreachable", Message: fmt.Sprintf("reach the %s: %v", r.name, err),
				Hint: "check that it is switched on, connected, and that nothing but it answers at " + r.addr}
		}
		r.conn = conn
	}
	text, err := r.exchange(ctx, request)
	if err != nil && r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
	return text, err
}

// exchange sends request on the open connection and reads its reply: an empty
// delimiter frame, then the text (RFC 28).
func (r *requester) exchange(ctx context.Context, request string) (string, error) {
	conn := r.conn
	unhook := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() {
		if !unhook() {
			r.conn = nil // closed, perhaps after the reply had come
		}
	}()
	err := conn.Send(r.timeout, nil, []byte(request))
	if err == nil {
		err = conn.SetReadDeadline(time.Now().Add(r.timeout))
	}
	var text []byte
	if err == nil {
		text, err = readReply(conn, r.reply)
	}
	switch {
	case err == nil:
		return string(text), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("ask the %s %q: %w", r.name, request, context.Cause(ctx))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", &timeoutError{name: r.name, request: request, after: r.timeout}
	}
	return "", fmt.Errorf("ask the %s %q: %w; the next request opens a new connection", r.name, request, err)
}

// readReply reads one message of two frames into buf.
func readReply(conn *zmtp.Conn, buf []byte) ([]byte, error) {
	delimiter, more, err := conn.ReadFrame(buf)
	if err != nil {
		return nil, err
	}
	if len(delimiter) != 0 || !more {
		return nil, errors.New("the reply has no delimiter")
	}
	text, more, err := conn.ReadFrame(buf)
	if err == nil && more {
		err = errors.New("the reply has more than one part")
	}
	return text, err
}

func (r *requester) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conn != nil {
		r.conn.Close()
		r.conn = nil
	}
}

// timeoutError is a reply that did not come.
type timeoutError struct {
	name, request string
	after         time.Duration
}

func (e *timeoutError) Error() string {
	return fmt.Sprintf("ask the %s %q: no reply within %v; its connection was closed and the next request opens a new one",
		e.name, e.request, e.after)
}

func (e *timeoutError) Is(target error) bool { return target == errNoReply }

// reachable makes a plain TCP connection and drops it, which tells a device
// that is off from one that does not understand.
func reachable(ctx context.Context, addr string, timeout time.Duration) error {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}
