package zmtp

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"
	"unicode"
)

// Security protects connections with TLS 1.3, below ZMTP: both ends show a
// certificate, and nothing of ZMTP is said before both have been checked. Who
// is turned away is told why.
type Security struct {
	// Certificate returns what is shown to a peer. It is asked for each connection.
	Certificate func() *tls.Certificate
	// Verify returns the name that a peer's certificates give it, the peer's own
	// first, or why it is turned away. The peer has proven that the first is its own.
	Verify func(chain []*x509.Certificate) (name string, err error)
	// Still returns why a peer that was verified may not stay. A Listener asks it of
	// each connection, every few seconds, and closes those that may not: a peer that
	// dials again is told why. nil: all may.
	Still func(chain []*x509.Certificate) error
}

var (
	// ErrPeerPlain reports a peer that speaks without TLS where this end wants it.
	ErrPeerPlain = errors.New("the other end speaks without TLS")
	// ErrPeerSecure reports a peer that wants TLS where this end speaks without.
	ErrPeerSecure = errors.New("the other end wants TLS")
)

// CertificateError reports a certificate that was turned away, by this end or by the peer.
type CertificateError struct {
	ByPeer bool
	Reason string // printable
}

func (r *CertificateError) Error() string {
	if r.ByPeer {
		return "the other end turns this certificate away: " + r.Reason
	}
	return "the other end's certificate is turned away: " + r.Reason
}

const (
	application = "tsrun-zmtp/1" // of ALPN: a certificate is of no use in another protocol
	maxVerdict  = 1024           // bytes of a reason
	// closeTimeout bounds the wait for room for the last word of TLS.
	closeTimeout = 20 * time.Millisecond
	batchSize    = 64 << 10 // bytes of records that are written at once

	recordAlert, recordHandshake = 0x15, 0x16
)

func (s *Security) config() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{*s.Certificate()}, NextProtos: []string{application},
		// Verify decides, after the handshake on both ends, so that it can say why.
		ClientAuth: tls.RequireAnyClientCert, InsecureSkipVerify: true,
		SessionTicketsDisabled: true, // each connection is verified anew
	}
}

// secure protects a fresh connection, under the deadline that it has, and
// returns what is to be used in its place and the peer's name.
func (s *Security) secure(nc net.Conn, server bool) (*secureConn, string, error) {
	c := &secureConn{batch: &batch{Conn: nc}}
	if server {
		c.Conn = tls.Server(c.batch, s.config())
	} else {
		c.Conn = tls.Client(c.batch, s.config())
	}
	if err := c.Handshake(); err != nil {
		return nil, "", explainHandshake(err, nc, server)
	}
	if server { // which hears the client's verdict first, so that the client has checked it
		if err := readVerdict(c); err != nil {
			return nil, "", err
		}
	}
	name, refusal := s.Verify(c.ConnectionState().PeerCertificates)
	if err := writeVerdict(c, refusal); err != nil && refusal == nil {
		return nil, "", fmt.Errorf("exchange certificates: %w", err)
	}
	if refusal != nil {
		return nil, "", &CertificateError{Reason: printable(refusal.Error())}
	}
	if !server {
		if err := readVerdict(c); err != nil {
			return nil, "", err
		}
	}
	return c, name, nil
}

// explainHandshake says plainly what a failed handshake was about, and tells a
// peer without TLS that TLS is wanted.
func explainHandshake(err error, nc net.Conn, server bool) error {
	var header tls.RecordHeaderError
	switch {
	case errors.As(err, &header) && header.RecordHeader[0] == 0xff: // a greeting
		if server {
			alert := make([]byte, greetingSize) // as long as what the peer waits for
			copy(alert, []byte{recordAlert, 3, 3, 0, 2, 2, 70})
			nc.Write(alert)
		}
		return ErrPeerPlain
	case errors.As(err, &header):
		return fmt.Errorf("start TLS: %w: the peer speaks another protocol", ErrProtocol)
	}
	return fmt.Errorf("start TLS: %w", err)
}

// isTLS reports whether b begins as a record of TLS does that opens a connection.
func isTLS(b []byte) bool {
	return len(b) > 1 && (b[0] == recordAlert || b[0] == recordHandshake) && b[1] == 3
}

// A verdict is the length of a text in 2 bytes, big-endian, and the text: why the
// peer's certificate is turned away, or nothing where it is good.
func writeVerdict(w io.Writer, refusal error) error {
	var text string
	if refusal != nil {
		text = printable(refusal.Error())
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(text))), text...))
	return err
}

func readVerdict(r io.Reader) error {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return fmt.Errorf("exchange certificates: %w", inside(err))
	}
	n := binary.BigEndian.Uint16(size[:])
	if n == 0 {
		return nil
	}
	if n > maxVerdict {
		return fmt.Errorf("exchange certificates: %w: a verdict of %d bytes", ErrProtocol, n)
	}
	text := make([]byte, n)
	if _, err := io.ReadFull(r, text); err != nil {
		return fmt.Errorf("exchange certificates: %w", inside(err))
	}
	return &CertificateError{ByPeer: true, Reason: printable(string(text))}
}

// printable returns text without what a terminal obeys, and no longer than a verdict.
func printable(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
	return strings.ToValidUTF8(text[:min(len(text), maxVerdict)], "")
}

// secureConn is a connection under TLS whose messages leave in few writes.
type secureConn struct {
	*tls.Conn
	batch *batch
}

// writeMessage writes parts as one message.
func (c *secureConn) writeMessage(parts *net.Buffers) error {
	c.batch.hold()
	_, err := parts.WriteTo(c.Conn)
	return errors.Join(err, c.batch.release())
}

// Close says that this is the end, where there is room for it, and closes.
func (c *secureConn) Close() error {
	c.batch.close()
	return c.Conn.Close()
}

// batch collects the records of one message: TLS writes each of at most 16 KiB by itself.
type batch struct {
	net.Conn

	mu      sync.Mutex
	held    bool
	closing bool
	buf     bytes.Buffer
}

func (b *batch) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closing {
		_ = b.Conn.SetWriteDeadline(time.Now().Add(closeTimeout)) // who does not read holds up nobody
	}
	if !b.held {
		return b.Conn.Write(p)
	}
	b.buf.Write(p)
	if b.buf.Len() < batchSize {
		return len(p), nil
	}
	return len(p), b.flush()
}

// flush writes what was collected. The caller holds b.mu.
func (b *batch) flush() error {
	_, err := b.buf.WriteTo(b.Conn)
	return err
}

func (b *batch) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = true
}

func (b *batch) release() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held = false
	return b.flush()
}

// close lets nothing be held any more. A write that is under way has b.mu: the
// connection is closed below it then.
func (b *batch) close() {
	if !b.mu.TryLock() {
		b.Conn.Close()
		return
	}
	defer b.mu.Unlock()
	b.held, b.closing = false, true
}
