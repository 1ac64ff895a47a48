package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/pipeline/zmtp"
)

// maxPeers bounds the peers of one port; an experiment has a handful.
const maxPeers = 64

// rules say what one kind of peer may send, and how long it may keep us waiting.
type rules struct {
	send     time.Duration // a message that takes longer ends the connection
	frames   int           // frames of each message from the peer
	maxBytes int           // of one frame
	messages int           // in the life of a connection; 0: any number
	check    func(frames [][]byte) error
	name     bool // put the peer's address before the last frame
}

// pipe is one peer as zmq4 sees it: a connection on which every message is
// whole and keeps the rules. What breaks them ends the connection before zmq4
// has seen a byte of it. The other way it sends each message with one writev.
//
// To zmq4 it looks like a peer that has just connected, so that the handshake,
// which package zmtp has done already, is played once more.
type pipe struct {
	link *link
	conn *zmtp.Conn

	unread   []byte // for zmq4
	message  []byte // memory of unread
	messages int

	writing sync.Mutex
	written []byte // by zmq4, not yet a whole message
	greeted bool
}

func newPipe(l *link, c *zmtp.Conn) *pipe {
	return &pipe{link: l, conn: c, unread: zmtp.Hello(zmq4.SocketType(c.PeerType()))}
}

// Read gives zmq4 the next bytes. Every failure is io.EOF, the only one that
// makes zmq4 forget a connection.
func (p *pipe) Read(b []byte) (int, error) {
	if len(p.unread) == 0 {
		if err := p.receive(); err != nil {
			p.conn.Close()
			return 0, io.EOF
		}
	}
	n := copy(b, p.unread)
	p.unread = p.unread[n:]
	return n, nil
}

// receive reads one message, checks it and lays it out for zmq4.
func (p *pipe) receive() error {
	r := &p.link.rules
	if p.messages++; r.messages > 0 && p.messages > r.messages {
		return fmt.Errorf("receive: more than %d messages", r.messages)
	}
	frames := make([][]byte, 0, r.frames+1)
	for more := true; more; {
		size, further, err := p.conn.NextFrame()
		if err != nil {
			return err
		}
		if len(frames) == r.frames || size > uint64(r.maxBytes) {
			return fmt.Errorf("receive: more than %d frames or %d bytes", r.frames, r.maxBytes)
		}
		frame := make([]byte, size)
		if size > 0 {
			if _, err := p.conn.Read(frame); err != nil {
				return err
			}
		}
		frames, more = append(frames, frame), further
	}
	if len(frames) != r.frames {
		return fmt.Errorf("receive: %d frames for %d", len(frames), r.frames)
	}
	if err := r.check(frames); err != nil {
		return err
	}
	if r.name {
		last := len(frames) - 1
		frames = append(frames[:last], []byte(p.conn.RemoteAddr().String()), frames[last])
	}
	p.message = appendMessage(p.message[:0], frames)
	p.unread = p.message
	return nil
}

// appendMessage appends frames as ZMTP, with lengths of 8 bytes throughout.
func appendMessage(b []byte, frames [][]byte) []byte {
	for i, f := range frames {
		flags := byte(zmtp.FlagLong)
		if i < len(frames)-1 {
			flags |= zmtp.FlagMore
		}
		b = binary.BigEndian.AppendUint64(append(b, flags), uint64(len(f)))
		b = append(b, f...)
	}
	return b
}

// Write takes ZMTP from zmq4, which writes a message in many pieces, and sends
// each message when it is whole.
func (p *pipe) Write(b []byte) (int, error) {
	p.writing.Lock()
	defer p.writing.Unlock()
	p.written = append(p.written, b...)
	if !p.greeted {
		if len(p.written) < zmtp.GreetingSize {
			return len(b), nil
		}
		p.written, p.greeted = p.written[zmtp.GreetingSize:], true
	}
	for {
		frames, rest, whole := splitMessage(p.written)
		if !whole {
			return len(b), nil
		}
		if len(frames) > 0 { // none: a command, zmq4's part of the handshake
			if err := p.conn.Send(p.link.rules.send, frames...); err != nil {
				return 0, io.EOF
			}
		}
		p.written = rest
		if len(rest) == 0 {
			p.written = nil // not to keep the largest message for ever
		}
	}
}

// splitMessage takes the first message off b, unless b ends within it. It
// leaves commands out. The lengths are those of our own process.
func splitMessage(b []byte) (frames [][]byte, rest []byte, whole bool) {
	for {
		if len(b) < 2 {
			return nil, nil, false
		}
		flags, size, head := b[0], uint64(b[1]), 2
		if flags&zmtp.FlagLong != 0 {
			if len(b) < 9 {
				return nil, nil, false
			}
			size, head = binary.BigEndian.Uint64(b[1:]), 9
		}
		if uint64(len(b)-head) < size {
			return nil, nil, false
		}
		end := head + int(size)
		if flags&zmtp.FlagCommand == 0 {
			frames = append(frames, b[head:end])
		}
		b = b[end:]
		if flags&zmtp.FlagMore == 0 {
			return frames, b, true
		}
	}
}

// Close is called by zmq4 when it is done with the peer.
func (p *pipe) Close() error {
	err := p.conn.Close()
	p.link.remove(p)
	return err
}

func (p *pipe) LocalAddr() net.Addr  { return p.conn.LocalAddr() }
func (p *pipe) RemoteAddr() net.Addr { return p.conn.RemoteAddr() }

// Deadlines are the rules' business; zmq4 sets none.
func (p *pipe) SetDeadline(time.Time) error      { return nil }
func (p *pipe) SetReadDeadline(time.Time) error  { return nil }
func (p *pipe) SetWriteDeadline(time.Time) error { return nil }
