// Package instrument has what a driver needs to ask a device over ZeroMQ: one
// connection for requests and replies with a deadline for each, and ways to
// repeat a device's words in messages.
//
//	Client ──▶ Ask      an order: sent once, never again
//	           AskNow   one whose time counts
//	           Query    a question: asked once more when no reply came
//	           Close
//
// A device may say anything. [Quote] and [Clip] make its words fit for a
// message and for a report, and [Mistake] is what a driver says about its own
// configuration.
package instrument

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk"
	"tsrun/sdk/zmtp"
)

// MaxReply bounds one reply, in bytes. What devices answer has some hundred.
const MaxReply = 1 << 20

// ErrNoReply marks a request that was sent and not answered in time. What it
// asked for may or may not have happened.
var ErrNoReply = errors.New("no reply")

// Client is the REQ end of a ZeroMQ request-reply connection. It connects when
// it is first used and again after any failure: a REQ socket that missed a
// reply is of no use, and a late reply must not be taken for that of the next
// request.
//
// Requests may be made from several goroutines; they take turns.
type Client struct {
	Name    string        // who is at the other end, for errors: "Time Controller at 10.0.0.7:5555"
	Addr    string        // host:port
	Timeout time.Duration // for one reply

	mu    sync.Mutex
	conn  *zmtp.Conn
	reply []byte // buffer, MaxReply long
}

// Query asks a question. Asking changes nothing, so a question that was not
// answered is asked once more, on a new connection.
func (c *Client) Query(ctx context.Context, question string) (string, error) {
	reply, err := c.Ask(ctx, question)
	if errors.Is(err, ErrNoReply) {
		reply, err = c.Ask(ctx, question)
	}
	return reply, err
}

// Ask sends one request and returns its reply. It is never sent twice. The
// error is [ErrNoReply] when the reply did not come in time, a [sdk.Failure]
// when nothing can be reached, and the cause of ctx when that ended.
func (c *Client) Ask(ctx context.Context, request string) (string, error) {
	return c.ask(ctx, request, false)
}

// AskNow is [Client.Ask] for what is asked of a thread whose time counts: that thread waits
// for the reply in the kernel itself, with the priority that it has, and no other
// need be woken for it.
func (c *Client) AskNow(ctx context.Context, request string) (string, error) {
	return c.ask(ctx, request, true)
}

func (c *Client) ask(ctx context.Context, request string, now bool) (string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if c.conn == nil {
		conn, err := zmtp.Dial(ctx, "tcp", c.Addr, zmq4.Req)
		if err != nil {
			return "", &sdk.Failure{Code: "device-unreachable", Message: fmt.Sprintf("reach the %s: %v", c.Name, err),
				Hint: "check that it is switched on, connected, and that nothing but it answers at " + c.Addr}
		}
		c.conn = conn
		if c.reply == nil {
			c.reply = make([]byte, MaxReply)
		}
	}
	text, err := c.exchange(ctx, request, now)
	if err != nil && c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
	return text, err
}

// exchange sends request on the open connection and reads its reply: an empty
// delimiter frame, then the text (RFC 28).
func (c *Client) exchange(ctx context.Context, request string, now bool) (string, error) {
	conn := c.conn
	unhook := context.AfterFunc(ctx, func() { conn.Close() })
	defer func() {
		if !unhook() {
			c.conn = nil // closed, perhaps after the reply had come
		}
	}()
	err := conn.Send(c.Timeout, nil, []byte(request))
	deadline := time.Now().Add(c.Timeout)
	if err == nil && now {
		conn.AwaitInKernel(deadline)
	}
	if err == nil {
		err = conn.SetReadDeadline(deadline)
	}
	var text []byte
	if err == nil {
		text, err = readReply(conn, c.reply)
	}
	switch {
	case err == nil:
		return string(text), nil
	case ctx.Err() != nil:
		return "", fmt.Errorf("ask the %s %q: %w", c.Name, request, context.Cause(ctx))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "", &timeoutError{name: c.Name, request: request, after: c.Timeout}
	}
	return "", fmt.Errorf("ask the %s %q: %w; the next request opens a new connection", c.Name, request, err)
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

// Close drops the connection. The next request opens another.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
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

func (e *timeoutError) Is(target error) bool { return target == ErrNoReply }

// Reach makes a plain TCP connection and drops it, which tells a device that is
// off from one that does not understand.
func Reach(ctx context.Context, addr string, timeout time.Duration) error {
	dialer := net.Dialer{Timeout: timeout}
	conn, err := dialer.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return conn.Close()
}
