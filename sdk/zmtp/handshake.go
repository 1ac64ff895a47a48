package zmtp

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/security/null"
)

// HandshakeTimeout bounds a handshake on either side; an honest peer needs a
// few round trips, each of which may take 2 s.
const HandshakeTimeout = 10 * time.Second

const (
	greetingSize = 64   // bytes (RFC 23, section 2.1)
	maxReady     = 1024 // bytes of a READY command; libzmq sends about 50
)

// open performs the handshake on a fresh connection. It takes nc: on failure
// nc is closed.
func open(ctx context.Context, nc net.Conn, typ zmq4.SocketType, server bool, o Options) (*Conn, error) {
	deadline, ok := ctx.Deadline()
	if limit := time.Now().Add(HandshakeTimeout); !ok || limit.Before(deadline) {
		deadline = limit
	}
	c := &Conn{nc: nc, raw: nc, maxFrame: o.MaxFrame}
	s := &screen{own: typ}
	err := nc.SetDeadline(deadline)
	if err == nil {
		wake := context.AfterFunc(ctx, func() { nc.SetDeadline(time.Unix(1, 0)) })
		err = c.greet(s, server, o.Security)
		if !wake() && err == nil {
			err = context.Cause(ctx) // its deadline may be on nc already
		}
	}
	if err == nil {
		err = nc.SetDeadline(time.Time{})
	}
	if err != nil {
		nc.Close()
		if s.err != nil {
			err = s.err // plainer than what zmq4 makes of it
		}
		return nil, err
	}
	if u, ok := nc.(*net.UnixConn); ok {
		_ = u.SetWriteBuffer(sendBuffer) // where the kernel grants less, it is only slower
	}
	c.peer, c.r = s.peer, bufio.NewReaderSize(c.nc, readAhead)
	return c, nil
}

// greet performs the handshakes: that of TLS, where there is one, and that of ZMTP.
func (c *Conn) greet(s *screen, server bool, security *Security) error {
	if security != nil {
		secure, name, err := security.secure(c.raw, server)
		if err != nil {
			return err
		}
		c.nc, c.name = secure, name
	}
	s.Conn = c.nc
	_, err := zmq4.Open(s, null.Security(), s.own, nil, server, nil)
	return err
}

// screen stands between zmq4's handshake and a stranger. zmq4 v0.17.0 believes
// every length it reads, and panics in a goroutine of its own on a READY that
// is cut short or names an unknown socket type. So the stranger's greeting and
// READY are read and checked here, and zmq4 is shown only flawless ones
// written here. Exactly the bytes of the handshake are taken from the
// connection, so the next read finds the first frame.
type screen struct {
	net.Conn
	own     zmq4.SocketType
	peer    zmq4.SocketType
	pending []byte // checked, and not yet read by zmq4
	greeted bool
	err     error // why the peer was refused
}

// Read gives zmq4 the next checked bytes of the handshake.
func (s *screen) Read(p []byte) (int, error) {
	if s.err == nil && len(s.pending) == 0 {
		s.err = s.advance()
	}
	if s.err != nil {
		return 0, s.err
	}
	n := copy(p, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

// advance reads the peer's greeting, then its READY, then refuses to go on.
func (s *screen) advance() error {
	switch {
	case !s.greeted:
		var g [greetingSize]byte
		if n, err := io.ReadFull(s.Conn, g[:]); err != nil && !isTLS(g[:n]) {
			return fmt.Errorf("read greeting: %w", inside(err))
		}
		if err := checkGreeting(g[:]); err != nil {
			return err
		}
		s.greeted, s.pending = true, plainGreeting()
		return nil
	case s.peer == "":
		body, err := readReady(s.Conn)
		if err != nil {
			return err
		}
		peer, err := parseReady(body)
		if err != nil {
			return err
		}
		if !peer.IsCompatible(s.own) {
			return fmt.Errorf("refuse peer: it is a %s socket, which does not talk to %s", peer, s.own)
		}
		s.peer, s.pending = peer, plainReady(peer)
		return nil
	}
	return errors.New("read past the handshake")
}

// checkGreeting checks a greeting for ZMTP 3 with the NULL mechanism (RFC 23,
// section 2.1): signature FF … 7F, version, mechanism of 20 bytes, as-server.
func checkGreeting(g []byte) error {
	switch mechanism, _, _ := strings.Cut(string(g[12:32]), "\x00"); {
	case isTLS(g):
		return ErrPeerSecure
	case g[0] != 0xff || g[9] != 0x7f:
		return fmt.Errorf("check greeting: %w: the peer is no ZeroMQ socket", ErrProtocol)
	case g[10] < 3:
		return fmt.Errorf("check greeting: %w: the peer speaks version %d", ErrProtocol, g[10])
	case mechanism != "NULL":
		return fmt.Errorf("check greeting: the peer wants security mechanism %q, this socket has none", mechanism)
	}
	return nil
}

func plainGreeting() []byte {
	g := make([]byte, greetingSize)
	g[0], g[9], g[10] = 0xff, 0x7f, 3
	copy(g[12:], "NULL")
	return g
}

// readReady reads the body of the command frame that must follow the greeting.
func readReady(r io.Reader) ([]byte, error) {
	var h [9]byte
	if _, err := io.ReadFull(r, h[:2]); err != nil {
		return nil, fmt.Errorf("read READY: %w", inside(err))
	}
	size := uint64(h[1])
	switch h[0] {
	case flagCommand:
	case flagCommand | flagLong:
		if _, err := io.ReadFull(r, h[2:]); err != nil {
			return nil, fmt.Errorf("read READY: %w", inside(err))
		}
		size = binary.BigEndian.Uint64(h[1:])
	default:
		return nil, fmt.Errorf("read READY: %w: flags %#02x", ErrProtocol, h[0])
	}
	if size > maxReady {
		return nil, fmt.Errorf("read READY of %d bytes: %w: the limit is %d", size, ErrFrameTooLarge, maxReady)
	}
	body := make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return nil, fmt.Errorf("read READY: %w", inside(err))
	}
	return body, nil
}

// parseReady finds the socket type in the body of a READY command (RFC 23,
// sections 2.2 and 2.6): the name with its length in 1 byte, then properties,
// each a name with its length in 1 byte and a value with its length in 4.
func parseReady(body []byte) (zmq4.SocketType, error) {
	const name = "\x05READY"
	bad := func(why string) (zmq4.SocketType, error) {
		return "", fmt.Errorf("check READY: %w: %s", ErrProtocol, why)
	}
	if len(body) < len(name) || string(body[:len(name)]) != name {
		return bad("another command came first")
	}
	var peer zmq4.SocketType
	for rest := body[len(name):]; len(rest) > 0; {
		n := int(rest[0])
		if n == 0 || len(rest) < 1+n+4 {
			return bad("a property is cut short")
		}
		key, value := string(rest[1:1+n]), rest[1+n+4:]
		size := uint64(binary.BigEndian.Uint32(rest[1+n:]))
		if size > uint64(len(value)) {
			return bad("a property is cut short")
		}
		if strings.EqualFold(key, "Socket-Type") {
			if peer != "" {
				return bad("two socket types")
			}
			peer = zmq4.SocketType(value[:size])
			if !known(peer) {
				return bad("unknown socket type")
			}
		}
		rest = value[size:]
	}
	if peer == "" {
		return bad("no socket type")
	}
	return peer, nil
}

func known(t zmq4.SocketType) bool {
	switch t {
	case zmq4.Pair, zmq4.Pub, zmq4.Sub, zmq4.Req, zmq4.Rep, zmq4.Dealer, zmq4.Router, zmq4.Pull, zmq4.Push, zmq4.XPub, zmq4.XSub:
		return true
	}
	return false
}

// plainReady is the READY command frame of a peer that says only its type.
func plainReady(t zmq4.SocketType) []byte {
	body := append([]byte("\x05READY"), "\x0bSocket-Type"...)
	body = binary.BigEndian.AppendUint32(body, uint32(len(t)))
	body = append(body, t...)
	return append([]byte{flagCommand, byte(len(body))}, body...)
}
