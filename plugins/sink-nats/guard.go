package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
)

const (
	// mostGreeting is what a server may say before it has let this PC in, in bytes.
	mostGreeting = 1 << 20
	// mostLine is the longest line of the protocol that is read: a server tells of all
	// servers of its cluster in one.
	mostLine = 2 * mostGreeting // of the greeting it is said what it is
	// mostMessage is the longest message that is read: no server can be set to take a
	// longer one (max_payload), and its headers count.
	mostMessage = 64 << 20
)

// greeter dials connections on which a server may say only so much before it has let this
// PC in, and on which nothing is announced that is longer than a server may take: the
// client keeps each line whole, however long, and makes room for what is announced.
type greeter struct{ over atomic.Bool }

func (g *greeter) Dial(network, address string) (net.Conn, error) {
	conn, err := net.DialTimeout(network, address, dialWithin)
	if err != nil {
		return nil, err
	}
	return &guarded{Conn: conn, over: &g.over, left: mostGreeting}, nil
}

// guarded is a connection to a server. Where it becomes a TLS connection only its greeting
// is bounded: who is at the other end has proven who it is.
type guarded struct {
	net.Conn
	over  *atomic.Bool // the server has let this PC in
	left  int          // of the greeting; one goroutine reads
	wrote bool
	tls   atomic.Bool
	words protocol
}

var errGreeting = errors.New("it says more than a NATS server before it lets anybody in")

func (g *guarded) Read(b []byte) (int, error) {
	if !g.over.Load() && g.left <= 0 {
		return 0, errGreeting
	}
	n, err := g.Conn.Read(b)
	if g.left > 0 {
		g.left -= n
	}
	if !g.tls.Load() {
		if wrong := g.words.read(b[:n]); wrong != nil {
			return 0, wrong
		}
	}
	return n, err
}

// Write sees what the client begins with: a handshake of TLS, or its own first word.
func (g *guarded) Write(b []byte) (int, error) {
	const handshake = 0x16 // the type of the first record
	if !g.wrote && len(b) > 0 {
		g.wrote = true
		g.tls.Store(b[0] == handshake)
	}
	return g.Conn.Write(b)
}

// protocol follows what a server says, line by line and message by message, exactly as
// the client does: a line that the two could understand differently is an error.
type protocol struct {
	line    []byte // of one that has begun
	payload int    // of a message, still to come
	ending  bool   // the end of a line follows a payload
}

func (p *protocol) read(b []byte) error {
	for len(b) > 0 {
		if p.payload > 0 {
			n := min(p.payload, len(b))
			p.payload, b = p.payload-n, b[n:]
			continue
		}
		part, rest, whole := bytes.Cut(b, []byte("\n"))
		b = rest
		if !p.ending {
			if len(p.line)+len(part) > mostLine {
				return fmt.Errorf("the server says a line of more than %d bytes: it is broken, or no NATS server", mostLine)
			}
			p.line = append(p.line, part...)
		}
		if !whole {
			return nil
		}
		if !p.ending {
			if err := p.announced(); err != nil {
				return err
			}
		} else {
			p.ending = false
		}
		p.line = p.line[:0]
	}
	return nil
}

// announced looks at a whole line.
func (p *protocol) announced() error {
	text, ended := bytes.CutSuffix(p.line, []byte("\r"))
	fields := bytes.FieldsFunc(text, func(r rune) bool { return r == ' ' || r == '\t' })
	if len(fields) == 0 || !bytes.EqualFold(fields[0], []byte("MSG")) && !bytes.EqualFold(fields[0], []byte("HMSG")) {
		return nil
	}
	size, err := strconv.ParseUint(string(fields[len(fields)-1]), 10, 32)
	switch {
	case err != nil, !ended, bytes.ContainsRune(text, '\r'):
		return fmt.Errorf("the server announces a message as %.100q: it is broken, or no NATS server", text)
	case size > mostMessage:
		return fmt.Errorf("the server announces a message of %d bytes, and none may have more than %d: it is broken, or no NATS server", size, mostMessage)
	}
	p.payload, p.ending = int(size)+1, true // of the end of its line the client takes a byte unseen
	return nil
}
