// Package zmtp speaks ZMTP 3.0, the protocol of ZeroMQ (RFC 23, with PING of
// RFC 37), one connection at a time.
//
//	Dial ───────────────▶ Conn ── Send ──▶ one message, one writev
//	Listen ── Accept ───▶ Conn ── ReadFrame, or NextFrame and Read ──▶ frames
//
// A Conn is one connection and not a ZeroMQ socket: it queues nothing, chooses
// no peer and does not reconnect, so back-pressure is that of the kernel and
// nothing is lost unseen. On the wire it is the socket type it was given, and
// any libzmq socket of a matching type can be the other end. Sending and
// receiving allocate nothing.
//
// Peers are strangers until their greeting and READY have been read and
// checked, which happens within HandshakeTimeout and beside all other peers.
package zmtp

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-zeromq/zmq4"
)

// Frame flags (RFC 23, section 2.2): the first byte of every frame.
const (
	flagMore    = 1 << 0 // another frame of the same message follows
	flagLong    = 1 << 1 // the length is 8 bytes, big-endian, instead of 1
	flagCommand = 1 << 2 // the frame is for ZMTP itself, not for its user
)

const (
	// DefaultMaxFrame bounds the length a peer may announce for one frame when
	// Options name no other. Nothing is ever allocated from that length.
	DefaultMaxFrame = 1 << 30

	maxCommand     = 512 // bytes; PING, the only one answered, has at most 23
	commandTimeout = time.Second
	readAhead      = 512 // enough for the headers of a block, so that they cost no read of their own

	// sendBuffer is what the kernel keeps of a unix socket's unread bytes: a driver's
	// longest block, so that its sender is not woken several times a block.
	sendBuffer = 1 << 20
)

// ErrFrameTooLarge reports a frame longer than the reader's buffer or limit.
// The Conn is closed: what follows such a frame cannot be found.
var ErrFrameTooLarge = errors.New("zmtp frame too large")

// ErrProtocol reports bytes that are not ZMTP 3. The Conn is closed.
var ErrProtocol = errors.New("not zmtp 3")

// began is what times are counted from that a step of the PC's clock must not reach.
var began = time.Now()

// Conn is one ZMTP connection after its handshake.
//
// One goroutine at a time may read, and any number may send: messages do not
// mix. Close may be called from anywhere, more than once, and wakes both.
type Conn struct {
	nc       net.Conn
	raw      net.Conn // nc, or what is below its TLS
	dialled  string   // the address; "": the peer has dialled, or it is of this PC
	name     string   // of the peer's certificate
	peer     zmq4.SocketType
	maxFrame uint64

	r       *bufio.Reader
	head    [9]byte
	heard   atomic.Int64 // when the peer last began a frame, ns since began
	left    uint64       // bytes of the frame announced by NextFrame that Read has not given out yet
	command [maxCommand]byte

	sending sync.Mutex
	heads   []byte      // frame headers of the message being sent, reused
	vec     net.Buffers // what writev gets; consumed by it, so parts keeps the memory
	parts   [][]byte

	closing sync.Once
	closed  func()             // gives the listener its place back; may be nil
	keep    func(owner string) // nil: nobody listened
	owner   string             // the listener's lock guards it
	late    *time.Timer        // ends a stranger's connection; nil: none does
}

// Dial connects to a ZeroMQ socket that listens at addr of network "tcp" or
// "unix" and plays a socket of type typ. It fails after HandshakeTimeout at
// the latest, or when ctx ends.
func Dial(ctx context.Context, network, addr string, typ zmq4.SocketType) (*Conn, error) {
	return DialSecure(ctx, network, addr, typ, nil)
}

// DialSecure is Dial with TLS; nil: without.
func DialSecure(ctx context.Context, network, addr string, typ zmq4.SocketType, security *Security) (*Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
	defer cancel()
	dialer := net.Dialer{KeepAliveConfig: keepAlive}
	if network == "tcp" {
		dialer.Control = shorten(narrow.limit(addr, time.Now()))
	}
	nc, err := dialer.DialContext(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", addr, err)
	}
	c, err := open(ctx, nc, typ, false, Options{MaxFrame: DefaultMaxFrame, Security: security})
	var late net.Error
	if errors.As(err, &late) && late.Timeout() && network == "tcp" {
		narrow.stuck(addr, time.Now())
	}
	if err == nil && network == "tcp" {
		c.dialled = addr
	}
	if err != nil {
		return nil, fmt.Errorf("greet %s: %w", addr, err)
	}
	return c, nil
}

// PeerType returns the socket type the peer announced, such as "PULL".
func (c *Conn) PeerType() string { return string(c.peer) }

// PeerName returns the name that the peer's certificate gives it; it is empty without TLS.
func (c *Conn) PeerName() string { return c.name }

// LocalAddr returns this end's address.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr returns the peer's address; a unix peer has an empty one.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// SetReadDeadline bounds reads from now on; the zero time removes the bound. A
// read that ran into it leaves the stream in the middle of a frame: close.
func (c *Conn) SetReadDeadline(t time.Time) error { return c.nc.SetReadDeadline(t) }

// SetWriteDeadline moves the end of a Send that is under way.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.nc.SetWriteDeadline(t) }

// Close ends the connection. What a Send that returned nil has written still
// reaches the peer.
func (c *Conn) Close() error {
	if c.dialled != "" && undelivered(c.raw) {
		narrow.stuck(c.dialled, time.Now())
	}
	err := c.nc.Close()
	c.closing.Do(func() {
		err = nil
		if c.closed != nil {
			c.closed()
		}
	})
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// Send writes one message of one frame or more with a single writev and
// returns when the kernel has all of it, or with an error after timeout. A
// message that was cut short makes the stream useless, so an error closes the
// Conn. The frames are the caller's again when Send returns.
func (c *Conn) Send(timeout time.Duration, frames ...[]byte) error {
	if len(frames) == 0 {
		return errors.New("send message: it has no frames")
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	last := len(frames) - 1
	c.heads = c.heads[:0]
	for i, f := range frames {
		c.heads = appendHead(c.heads, len(f), i < last)
	}
	// The headers are complete before any is referred to, because growing
	// heads would move them.
	c.parts = c.parts[:0]
	rest := c.heads
	for _, f := range frames {
		n := headSize(len(f))
		c.parts = append(c.parts, rest[:n], f)
		rest = rest[n:]
	}
	c.vec = c.parts
	return c.write(timeout)
}

// write sends vec; the caller holds sending.
func (c *Conn) write(timeout time.Duration) error {
	err := c.nc.SetWriteDeadline(time.Now().Add(timeout))
	if secure, ok := c.nc.(*secureConn); ok && err == nil {
		err = secure.writeMessage(&c.vec)
	} else if err == nil {
		_, err = c.vec.WriteTo(c.nc)
	}
	clear(c.parts) // the caller's frames are not kept alive
	if err != nil {
		c.Close()
		return fmt.Errorf("send message: %w", err)
	}
	return nil
}

func headSize(n int) int {
	if n > 255 {
		return 9
	}
	return 2
}

func appendHead(b []byte, n int, more bool) []byte {
	var flags byte
	if more {
		flags = flagMore
	}
	if n > 255 {
		return binary.BigEndian.AppendUint64(append(b, flags|flagLong), uint64(n))
	}
	return append(b, flags, byte(n))
}

// ReadFrame reads the next frame into buf and returns the part it fills, and
// whether more frames of the same message follow. It answers PING itself and
// passes over other commands. Any error is final and closes the Conn; io.EOF
// means that the peer left between two frames.
func (c *Conn) ReadFrame(buf []byte) (frame []byte, more bool, err error) {
	size, more, err := c.NextFrame()
	if err != nil {
		return nil, false, err
	}
	if size > uint64(len(buf)) {
		return nil, false, c.broken(fmt.Errorf("read frame of %d bytes: %w: at most %d are expected", size, ErrFrameTooLarge, len(buf)))
	}
	frame = buf[:size]
	if err := c.readFull(frame); err != nil {
		return nil, false, err
	}
	c.left = 0
	return frame, more, nil
}

// NextFrame reads the header of the next frame. Its size bytes must then be
// fetched with Read before the next frame can be asked for; it serves frames
// too large for one buffer. Errors are as those of ReadFrame.
func (c *Conn) NextFrame() (size uint64, more bool, err error) {
	if c.left > 0 {
		return 0, false, fmt.Errorf("read frame: %d bytes of the one before it are still unread", c.left)
	}
	for {
		flags, size, err := c.readHead()
		if err != nil {
			return 0, false, c.broken(err)
		}
		if flags&flagCommand == 0 {
			if size > c.maxFrame {
				return 0, false, c.broken(fmt.Errorf("read frame of %d bytes: %w: the limit is %d", size, ErrFrameTooLarge, c.maxFrame))
			}
			c.left = size
			c.heard.Store(int64(time.Since(began)))
			return size, flags&flagMore != 0, nil
		}
		if size > maxCommand || flags&flagMore != 0 {
			return 0, false, c.broken(fmt.Errorf("read command of %d bytes: %w", size, ErrProtocol))
		}
		body := c.command[:size]
		if err := c.readFull(body); err != nil {
			return 0, false, err
		}
		if err := c.obey(body); err != nil {
			return 0, false, err
		}
	}
}

// Read fills p with bytes of the frame that NextFrame announced, and returns
// io.EOF after its last one. Unlike a plain Reader it fills p unless the frame ends.
func (c *Conn) Read(p []byte) (int, error) {
	if c.left == 0 {
		return 0, io.EOF
	}
	if uint64(len(p)) > c.left {
		p = p[:c.left]
	}
	if err := c.readFull(p); err != nil {
		return 0, err
	}
	c.left -= uint64(len(p))
	return len(p), nil
}

// readHead reads flags and length of one frame (RFC 23, section 2.2).
func (c *Conn) readHead() (flags byte, size uint64, err error) {
	h := c.head[:]
	if _, err := io.ReadFull(c.r, h[:2]); err != nil {
		return 0, 0, err
	}
	flags, size = h[0], uint64(h[1])
	if flags&^(flagMore|flagLong|flagCommand) != 0 {
		return 0, 0, fmt.Errorf("read frame with flags %#02x: %w", flags, ErrProtocol)
	}
	if flags&flagLong != 0 {
		if _, err := io.ReadFull(c.r, h[2:]); err != nil {
			return 0, 0, inside(err)
		}
		size = binary.BigEndian.Uint64(h[1:])
	}
	return flags, size, nil
}

// obey carries out a command of the peer. PING (RFC 37, section 2.4: a 2-byte
// time to live and up to 16 bytes of context) wants PONG with that context.
func (c *Conn) obey(body []byte) error {
	const ping, pong, maxContext = "\x04PING", "\x04PONG", 16
	if len(body) < len(ping)+2 || string(body[:len(ping)]) != ping {
		return nil
	}
	context := body[len(ping)+2:]
	if len(context) > maxContext {
		return c.broken(fmt.Errorf("read PING of %d bytes: %w", len(body), ErrProtocol))
	}
	c.sending.Lock()
	defer c.sending.Unlock()
	c.heads = append(c.heads[:0], flagCommand, byte(len(pong)+len(context)))
	c.heads = append(append(c.heads, pong...), context...)
	c.parts = append(c.parts[:0], c.heads)
	c.vec = c.parts
	return c.write(commandTimeout)
}

// readFull reads len(p) bytes inside a frame, where the end of the stream is a cut.
func (c *Conn) readFull(p []byte) error {
	if _, err := io.ReadFull(c.r, p); err != nil {
		return c.broken(inside(err))
	}
	return nil
}

func inside(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// broken closes the Conn because of err and returns it; io.EOF stays bare.
func (c *Conn) broken(err error) error {
	c.Close()
	return err
}
