package wire

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/zmtp"
)

// StatusPort is the status port where nobody names another.
const StatusPort = 5559

const (
	// tryTimeout is how long an answer may take before the question is asked
	// again, over a new connection: more where the cable is long or slow, up to
	// lastTimeout. A client that does not read its answer for as long has left.
	tryTimeout  = time.Second
	lastTimeout = 16 * time.Second

	firstPause = 50 * time.Millisecond // between tries; doubled each time
	lastPause  = time.Second

	maxClients = 64 // whose last answer is remembered
)

// StatusServer answers requests, those of one client one after the other.
type StatusServer struct {
	listener *zmtp.Listener
	guard    Guard
	serve    func(peer Peer, body []byte) []byte
	memory   memory
	sending  sync.RWMutex       // held for reading from a question to its answer being sent
	stop     context.CancelFunc // ends every connection
	ended    chan struct{}      // closed when every connection has ended
}

// ListenStatus opens the status port at addr, host:port, and answers every
// request with what serve returns for it, at most MaxBody bytes; peer is the
// address of who asks, and body is serve's until it returns. Requests of one
// client are served one at a time and in order; clients do not wait for each
// other, so serve is called from several goroutines. A client that got no
// answer asks again: the server then repeats the answer it gave, unless it has
// been restarted or more than a handful of others asked in between, so serving
// a request twice must do no harm.
//
// Of a stranger's request that is longer than MaxStranger serve is given the node and
// the token that it shows, as a report that says nothing.
//
// The end of ctx does not close the port; see Close.
func ListenStatus(ctx context.Context, addr string, g Guard, serve func(peer Peer, body []byte) []byte) (*StatusServer, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := zmtp.Listen("tcp", addr, zmq4.Rep, g.options(envelopeSize+MaxBody))
	if err != nil {
		return nil, err
	}
	s := &StatusServer{listener: l, guard: g, serve: serve, ended: make(chan struct{})}
	life, stop := context.WithCancel(context.Background())
	s.stop = stop
	go func() {
		defer close(s.ended)
		l.Serve(life, s.serveClient)
	}()
	return s, nil
}

// Addr returns the address listened on.
func (s *StatusServer) Addr() net.Addr { return s.listener.Addr() }

// Close closes the port when the requests being served are answered: of what the answer
// to one ends nobody else could tell who asked.
func (s *StatusServer) Close() error {
	s.sending.Lock()
	s.stop()
	s.sending.Unlock()
	err := s.listener.Close()
	<-s.ended
	return err
}

// serveClient answers one peer until it leaves or breaks a rule.
func (s *StatusServer) serveClient(c *zmtp.Conn) {
	peer := peerOf(c)
	known := s.guard.Admits == nil
	var buf []byte
	for {
		e, err := s.receiveQuestion(c, &buf, &known)
		if err != nil || e.kind != question {
			s.refuseRelease(c, err)
			return
		}
		if !s.reply(c, peer, e) {
			return // it will ask again
		}
	}
}

// reply answers a request, and reports whether more of the peer can be heard.
func (s *StatusServer) reply(c *zmtp.Conn, peer Peer, e envelope) bool {
	s.sending.RLock()
	defer s.sending.RUnlock()
	reply := s.answer(peer, e)
	return reply == nil || c.Send(tryTimeout, nil, reply) == nil
}

// refuseRelease answers an envelope of another release with one of this: whoever reads
// that finds there that it is none of its own, and says so. The user here is told, too.
func (s *StatusServer) refuseRelease(c *zmtp.Conn, err error) {
	if !errors.As(err, new(otherVersionError)) {
		return
	}
	if s.guard.Refused != nil {
		s.guard.Refused(c.RemoteAddr(), err)
	}
	_ = c.Send(tryTimeout, nil, envelope{kind: refusal, body: []byte(err.Error())}.encode()) // it asks again
}

// receiveQuestion receives the next request of a peer, which is known from the first
// on that shows a token.
func (s *StatusServer) receiveQuestion(c *zmtp.Conn, buf *[]byte, known *bool) (envelope, error) {
	if *known {
		return receiveEnvelope(c, buf)
	}
	size, err := nextEnvelope(c)
	if err != nil {
		return envelope{}, err
	}
	frame, err := readEnvelope(c, buf, min(size, envelopeSize+MaxStranger), 0)
	if err != nil {
		return envelope{}, err
	}
	node, token := Shown(frame[min(envelopeSize, len(frame)):])
	if *known = token != "" && s.guard.admits(c, token); *known || size == uint64(len(frame)) {
		if frame, err = readEnvelope(c, buf, size, len(frame)); err != nil {
			return envelope{}, err
		}
		return decodeEnvelope(frame)
	}
	// Of a slave whose session is over, perhaps: it is told so.
	e, err := decodeHead(frame)
	if err != nil {
		return envelope{}, err
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		return envelope{}, fmt.Errorf("receive envelope: %w", err)
	}
	e.body, err = json.Marshal(Request{Node: node, Token: token, Report: &Report{}})
	return e, err
}

// answer returns the reply to a request, or nil when nobody waits for it any more.
func (s *StatusServer) answer(peer Peer, e envelope) []byte {
	last, newer := s.memory.client(e.client)
	select {
	case last.serving <- true:
		defer func() { <-last.serving }()
	case <-newer: // it has asked again, over another connection
		return nil
	}
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
	mu      sync.Mutex
	clients map[uint64]*remembered
	clock   uint64
}

// remembered is what is known of one client. Who has put a value into serving
// owns seq and reply; memory's lock guards the rest.
type remembered struct {
	serving chan bool // holds a value while a request of the client is served
	seq     uint64
	reply   []byte

	newer chan bool // closed when another request comes: at most one waits for its turn
	used  uint64    // memory's clock at the last use
}

// client returns what is remembered of one client, which may be nothing yet, and a
// channel that is closed when the client asks once more. The client unheard for
// longest makes room.
func (m *memory) client(client uint64) (r *remembered, newer <-chan bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.clock++
	r = m.clients[client]
	if r == nil {
		if m.clients == nil {
			m.clients = map[uint64]*remembered{}
		}
		if len(m.clients) >= maxClients {
			m.dropOldest()
		}
		r = &remembered{serving: make(chan bool, 1)}
		m.clients[client] = r
	} else {
		close(r.newer)
	}
	r.newer, r.used = make(chan bool), m.clock
	return r, r.newer
}

// dropOldest drops the client unheard for longest. The caller holds m.mu.
func (m *memory) dropOldest() {
	var oldest uint64
	for client, r := range m.clients {
		if o := m.clients[oldest]; o == nil || r.used < o.used {
			oldest = client
		}
	}
	delete(m.clients, oldest)
}

// StatusClient asks one server. It connects when it is first asked to ask, and
// again after every failure: the late answer to one question must not be read
// as that to the next.
type StatusClient struct {
	addr     string
	security *zmtp.Security
	id       uint64

	mu   sync.Mutex // one question at a time
	seq  uint64
	conn *zmtp.Conn    // nil: none
	wait time.Duration // for the next answer

	roundTrip atomic.Int64 // the shortest, ns; 0: none yet
	reached   atomic.Pointer[string]
}

// NewStatusClient returns a client for the status port at addr, host:port, that
// speaks with security; nil: without.
func NewStatusClient(addr string, security *zmtp.Security) *StatusClient {
	var id [8]byte
	rand.Read(id[:]) // never fails
	return &StatusClient{addr: addr, security: security, id: binary.LittleEndian.Uint64(id[:]), wait: tryTimeout}
}

// RoundTrip returns the shortest time that an answer took, 0 while there was none.
func (c *StatusClient) RoundTrip() time.Duration { return time.Duration(c.roundTrip.Load()) }

// Reached returns the address, without the port, at which the server was last reached:
// its name may have others. It is empty while there was none.
func (c *StatusClient) Reached() string {
	if host := c.reached.Load(); host != nil {
		return *host
	}
	return ""
}

// Call asks and returns the answer. It asks again until ctx ends, since the
// server may be away for a while; the error then has the last reason.
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

// try asks once. How long the cable makes it take is seen from the handshake, which
// takes some round trips, and from each answer.
func (c *StatusClient) try(ctx context.Context, request []byte) (envelope, error) {
	if c.conn == nil {
		begun := time.Now()
		conn, err := zmtp.DialSecure(ctx, "tcp", c.addr, zmq4.Req, c.security)
		if err != nil {
			return envelope{}, err
		}
		c.conn = conn
		if host, _, err := net.SplitHostPort(conn.RemoteAddr().String()); err == nil {
			c.reached.Store(&host)
		}
		c.wait = min(max(c.wait, 2*time.Since(begun)), lastTimeout)
	}
	ctx, cancel := context.WithTimeout(ctx, c.wait)
	defer cancel()
	conn, begun := c.conn, time.Now()
	unhook := context.AfterFunc(ctx, func() { conn.Close() })
	reply, err := c.exchange(request)
	took := time.Since(begun)
	switch {
	case !unhook() && err == nil: // the answer came at the last moment
		c.hangUp()
	case err != nil && ctx.Err() != nil:
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			conn.Unanswered()
		}
		c.wait = min(2*c.wait, lastTimeout)
		return envelope{}, fmt.Errorf("no answer: %w", context.Cause(ctx))
	case closed(err) && c.roundTrip.Load() == 0:
		return envelope{}, fmt.Errorf("connection lost: %w: %w", ErrUnanswered, err)
	case err != nil:
		return envelope{}, fmt.Errorf("connection lost: %w", err)
	}
	c.wait = min(max(4*took, tryTimeout), lastTimeout)
	if least := c.roundTrip.Load(); least == 0 || int64(took) < least {
		c.roundTrip.Store(int64(took))
	}
	return reply, nil
}

// ErrUnanswered reports a server that takes connections and has answered none of this client.
var ErrUnanswered = errors.New("the other end takes the connection and closes it without an answer, as another release of tsrun may, or a program that is none")

// closed reports whether a connection was closed by the other end.
func closed(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// exchange sends a request and waits for its answer. Answers to earlier ones
// are passed over.
func (c *StatusClient) exchange(request []byte) (envelope, error) {
	if err := c.conn.Send(c.wait, nil, request); err != nil {
		return envelope{}, err
	}
	for {
		var buf []byte // the answer's body goes to the caller
		e, err := receiveEnvelope(c.conn, &buf)
		if err != nil {
			return envelope{}, err
		}
		if e.kind == question {
			return envelope{}, errors.New("receive envelope: a question in place of an answer")
		}
		if e.client == c.id && e.seq == c.seq {
			return e, nil
		}
	}
}

// hangUp drops the connection; the next question gets a new one.
func (c *StatusClient) hangUp() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// Close ends the client; it waits for a Call, which ends with its context.
func (c *StatusClient) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hangUp()
	return nil
}
