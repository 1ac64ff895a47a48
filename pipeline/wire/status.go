package wire

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"
)

// StatusPort is the status port where nobody names another.
const StatusPort = 5559

const (
	// tryTimeout is how long an answer may take before the question is asked
	// again, over a new connection.
	tryTimeout = time.Second
	// replyTimeout is how long a client that does not read holds up the others.
	replyTimeout = 500 * time.Millisecond

	firstPause = 50 * time.Millisecond // between tries; doubled each time
	lastPause  = time.Second

	maxClients = 64 // whose last answer is remembered
)

// StatusServer answers requests one after the other.
type StatusServer struct {
	link   *link
	socket zmq4.Socket
	serve  func(peer string, body []byte) []byte
	memory memory
	ended  chan struct{}
	close  sync.Once
}

// ListenStatus opens the status port at addr, host:port, and answers every
// request with what serve returns for it, at most MaxBody bytes; peer is the
// address of who asks. Requests are served one at a time. A client that got no
// answer asks again: the server then repeats the answer it gave, unless it has
// been restarted or more than a handful of others asked in between, so serving
// a request twice must do no harm.
//
// The end of ctx does not close the port; see Close.
func ListenStatus(ctx context.Context, addr string, serve func(peer string, body []byte) []byte) (*StatusServer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := newLink(rules{send: replyTimeout, frames: 2, maxBytes: envelopeSize + MaxBody, name: true, check: enveloped(question, question)})
	rep := zmq4.NewRep(l.context(), quiet())
	if err := l.listen(rep, addr); err != nil {
		rep.Close()
		return nil, err
	}
	s := &StatusServer{link: l, socket: rep, serve: serve, ended: make(chan struct{})}
	go s.run()
	return s, nil
}

// Addr returns the address listened on.
func (s *StatusServer) Addr() net.Addr { return s.link.listener.Addr() }

// Close closes the port and waits for the request being served.
func (s *StatusServer) Close() error {
	var err error
	s.close.Do(func() {
		s.link.cut()
		s.link.held.Wait() // run still takes what zmq4's readers hold
		err = s.socket.Close()
		<-s.ended
	})
	return err
}

func (s *StatusServer) run() {
	defer close(s.ended)
	for {
		m, err := s.socket.Recv()
		if errors.Is(err, context.Canceled) {
			return
		}
		if err != nil || len(m.Frames) != 2 {
			continue
		}
		e, err := decodeEnvelope(m.Frames[1])
		if err != nil {
			continue // the link's rules let none through
		}
		if reply := s.answer(string(m.Frames[0]), e); reply != nil {
			// An error means that the client is gone; it will ask again.
			_ = s.socket.Send(zmq4.NewMsg(reply))
		}
	}
}

// answer returns the reply to a request, or nil when nobody waits for it any more.
func (s *StatusServer) answer(peer string, e envelope) []byte {
	last := s.memory.of(e.client)
	switch {
	case last.reply != nil && e.seq == last.seq:
		return last.reply
	case last.reply != nil && e.seq < last.seq:
		return nil
	}
	reply := envelope{kind: answer, client: e.client, seq: e.seq, body: s.serve(peer, e.body)}
	if len(reply.body) > MaxBody {
		reply.kind, reply.body = refusal, fmt.Appendf(nil, "the answer has %d bytes, at most %d can be sent", len(reply.body), MaxBody)
	}
	last.seq, last.reply = e.seq, reply.encode()
	return last.reply
}

// memory holds the last reply to each of the clients that asked last.
type memory struct {
	clients map[uint64]*remembered
	clock   uint64
}

type remembered struct {
	seq   uint64
	reply []byte
	used  uint64 // clock of the last use
}

// of returns what is remembered of a client, which may be nothing yet. The
// client unheard for longest makes room.
func (m *memory) of(client uint64) *remembered {
	m.clock++
	r := m.clients[client]
	if r == nil {
		if m.clients == nil {
			m.clients = map[uint64]*remembered{}
		}
		if len(m.clients) >= maxClients {
			m.forget()
		}
		r = &remembered{}
		m.clients[client] = r
	}
	r.used = m.clock
	return r
}

func (m *memory) forget() {
	var oldest uint64
	for client, r := range m.clients {
		if o := m.clients[oldest]; o == nil || r.used < o.used {
			oldest = client
		}
	}
	delete(m.clients, oldest)
}

// StatusClient asks one server. It connects when asked to ask, and again after
// every failure with a new socket, because a REQ socket is stuck after one.
type StatusClient struct {
	addr string
	id   uint64

	mu     sync.Mutex // one question at a time
	seq    uint64
	link   *link
	socket zmq4.Socket
}

// NewStatusClient returns a client for the status port at addr, host:port.
func NewStatusClient(addr string) *StatusClient {
	var id [8]byte
	rand.Read(id[:]) // never fails
	return &StatusClient{addr: addr, id: binary.LittleEndian.Uint64(id[:])}
}

// Call asks and returns the answer. It asks again until ctx ends, since the
// server may be away for a while; the error then says what was in the way last.
func (c *StatusClient) Call(ctx context.Context, body []byte) ([]byte, error) {
	if len(body) > MaxBody {
		return nil, fmt.Errorf("ask %s: the question has %d bytes, at most %d can be sent", c.addr, len(body), MaxBody)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seq++
	request := envelope{kind: question, client: c.id, seq: c.seq, body: body}.encode()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		reply, err := c.try(ctx, request)
		if err == nil && reply.kind == refusal {
			return nil, fmt.Errorf("ask %s: %s", c.addr, reply.body)
		}
		if err == nil {
			return reply.body, nil
		}
		c.hangUp()
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("ask %s: %w (%w)", c.addr, err, context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

// try asks once.
func (c *StatusClient) try(ctx context.Context, request []byte) (envelope, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTimeout)
	defer cancel()
	if c.socket == nil {
		c.link = newLink(rules{send: tryTimeout, frames: 2, maxBytes: envelopeSize + MaxBody, check: enveloped(answer, refusal)})
		c.socket = zmq4.NewReq(c.link.context(), quiet())
	}
	// REQ heeds no context: only the end of its connection wakes it.
	defer context.AfterFunc(ctx, c.link.cut)()
	if c.link.only() == nil {
		if err := c.link.dial(ctx, c.socket, c.addr); err != nil {
			return envelope{}, err
		}
	}
	if err := c.socket.Send(zmq4.NewMsg(request)); err != nil {
		return envelope{}, fmt.Errorf("connection lost: %w", err)
	}
	for {
		m, err := c.socket.Recv()
		if ctx.Err() != nil {
			return envelope{}, fmt.Errorf("no answer: %w", context.Cause(ctx))
		}
		if err != nil {
			return envelope{}, fmt.Errorf("connection lost: %w", err)
		}
		e, err := decodeEnvelope(m.Frames[0])
		if err != nil {
			return envelope{}, err
		}
		if e.client == c.id && e.seq == c.seq {
			return e, nil
		}
	}
}

// hangUp drops the socket; the next question gets a new one.
func (c *StatusClient) hangUp() {
	if c.socket == nil {
		return
	}
	c.link.cut()
	c.socket.Close()
	c.socket, c.link = nil, nil
}

// Close ends the client; it waits for a Call, which ends with its context.
func (c *StatusClient) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangUp()
	return nil
}
