package clock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
	"tsrun/pipeline/datagram"
	"tsrun/sdk/instrument"
)

// Responder answers the probes of those it was told to admit, and of nobody else.
type Responder struct {
	socket *socket
	nodes  datagram.Guests[asked]
}

// asked is what the responder knows of one session; of the goroutine that answers.
type asked struct {
	seq    uint64 // of the last answer
	left   stamp  // when that left
	former uint64 // seq of the answer before it that left is of
}

// Listen opens the UDP socket of a responder at addr, "host:port".
func Listen(addr string) (*Responder, error) {
	at, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("answer questions about the clock at %s: %w", addr, err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, fmt.Errorf("answer questions about the clock at %s: %w", addr, err)
	}
	return &Responder{socket: newSocket(conn)}, nil
}

// Port is the UDP port of the responder.
func (r *Responder) Port() int { return r.socket.conn.LocalAddr().(*net.UDPAddr).Port }

// Admit makes a session for one node. The access holds a secret: it must travel to
// that node alone.
func (r *Responder) Admit() (*datagram.Access, error) { return r.nodes.Admit(r.Port()) }

// Close ends Run, and frees the port of a responder that never ran.
func (r *Responder) Close() { r.socket.conn.Close() }

// Dismiss ends a session.
func (r *Responder) Dismiss(a *datagram.Access) { r.nodes.Dismiss(a) }

// Run answers until ctx ends, and closes the socket.
func (r *Responder) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { r.socket.conn.Close() })
	defer stop()
	defer r.socket.conn.Close()
	for {
		b, at, from, err := r.socket.receive()
		switch {
		case ctx.Err() != nil || errors.Is(err, net.ErrClosed):
			return nil
		case err != nil: // what the network says of an answer that did not arrive
			if !instrument.Pause(ctx, time.Millisecond) {
				return nil
			}
			continue
		}
		r.answer(b, at, from)
	}
}

// answer answers one probe. What is of no session, or was asked before, is passed
// over without a word.
func (r *Responder) answer(b []byte, at stamp, from *net.UDPAddr) {
	id, err := sessionOf(b, kindProbe)
	if err != nil {
		return
	}
	guest := r.nodes.Find(id)
	if guest == nil {
		return
	}
	session := &guest.Of
	probe, err := decode(b, kindProbe, &guest.Key)
	if err != nil || probe.seq <= session.seq {
		return
	}
	reply := packet{kind: kindAnswer, session: id, seq: probe.seq, t2: at.ns, before: session.former, t3: session.left.ns}
	if at.kernel {
		reply.flags |= flagKernelT2
	}
	if session.left.kernel {
		reply.flags |= flagKernelT3
	}
	session.seq = probe.seq
	var answer [packetSize]byte
	reply.encode(answer[:], &guest.Key)
	if left, err := r.socket.send(answer[:], from); err == nil {
		session.left, session.former = left, probe.seq
	}
}
