package drill

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"time"
)

// link is a node's cable to the master: it passes the connections to some ports
// on, until it is cut or slowed. TCP repeats what is lost and puts in order what
// is not, so a relay of connections cannot lose, double or reorder.
type link struct {
	listeners []net.Listener
	working   sync.WaitGroup
	ctx       context.Context
	end       context.CancelFunc

	asked *net.UDPConn // the node's end for datagrams

	mu      sync.Mutex
	state   linkState
	pipes   map[*pipe]bool
	callers map[netip.AddrPort]net.Conn // who sends datagrams, and what passes them on
	free    [2]time.Time                // when each direction has room for more
}

// linkState is how a link is; the zero value carries all at once.
type linkState struct {
	cut   string // closed, black hole, half open
	delay time.Duration
	// jitter is the most that a piece is late beside that, never more than makes it
	// come before the piece before it.
	jitter time.Duration
	rate   int64         // bytes per second in each direction; 0: any
	whole  chan struct{} // of a link that is cut: closed when it is no more
}

// pipe is one connection through a link.
type pipe struct {
	node, master net.Conn
	orphan       bool // its master's end is gone, and the node does not know
}

const (
	linkBuffer = 4 << 10  // bytes read at once
	linkQueue  = 32       // of those that a link holds in each direction of a connection
	socketRoom = 64 << 10 // bytes that the system holds at each of its ends
	redial     = time.Second
)

// newLink listens on some ports of the node's side and passes them on to the
// same of the master's, and so what is sent to a port of UDP.
func newLink(nodeSide, masterSide string, ports []string, datagrams string) (*link, error) {
	l := &link{pipes: map[*pipe]bool{}, callers: map[netip.AddrPort]net.Conn{}}
	l.ctx, l.end = context.WithCancel(context.Background())
	for _, port := range ports {
		listener, err := net.Listen("tcp", net.JoinHostPort(nodeSide, port))
		if err != nil {
			l.close()
			return nil, err
		}
		l.listeners = append(l.listeners, listener)
		l.working.Go(func() { l.serve(listener, net.JoinHostPort(masterSide, port)) })
	}
	if err := l.listenDatagrams(net.JoinHostPort(nodeSide, datagrams), net.JoinHostPort(masterSide, datagrams)); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

func (l *link) serve(listener net.Listener, to string) {
	for {
		node, err := listener.Accept()
		if err != nil {
			return
		}
		l.working.Go(func() { l.connect(node, to) })
	}
}

// connect joins a connection of a node to one of its own to the master. While the
// link is a black hole or half open the node's waits.
func (l *link) connect(node net.Conn, to string) {
	if l.waitWhole() == closed {
		reset(node)
		return
	}
	dialer := net.Dialer{Timeout: redial}
	master, err := dialer.DialContext(l.ctx, "tcp", to)
	if err != nil { // nobody listens: the node is told so
		reset(node)
		return
	}
	p := &pipe{node: node, master: master}
	for _, c := range []net.Conn{node, master} {
		if c, ok := c.(*net.TCPConn); ok {
			_, _ = c.SetReadBuffer(socketRoom), c.SetWriteBuffer(socketRoom)
		}
	}
	l.mu.Lock()
	l.pipes[p] = true
	ended := l.ctx.Err() != nil
	l.mu.Unlock()
	if ended { // close has not seen this one
		node.Close()
		master.Close()
	}
	defer func() {
		l.mu.Lock()
		delete(l.pipes, p)
		l.mu.Unlock()
	}()
	var passing sync.WaitGroup
	passing.Go(func() { l.pass(p, node, master, 0) })
	passing.Go(func() { l.pass(p, master, node, 1) })
	passing.Wait()
}

// packet is what was read at once and when it may arrive.
type packet struct {
	bytes []byte
	at    time.Time
}

// pass carries one direction of a connection, and its end.
func (l *link) pass(p *pipe, from, to net.Conn, direction int) {
	queue := make(chan packet, linkQueue)
	var reading sync.WaitGroup
	reading.Go(func() {
		defer close(queue)
		var last time.Time
		for {
			buffer := make([]byte, linkBuffer)
			n, err := from.Read(buffer)
			if n > 0 {
				if due := l.due(direction, n); due.After(last) {
					last = due
				}
				queue <- packet{buffer[:n], last}
			}
			if err != nil {
				return
			}
		}
	})
	for sent := range queue {
		if !l.sleepUntil(sent.at) {
			break
		}
		if l.waitWhole(); l.ctx.Err() != nil {
			break
		}
		if _, err := to.Write(sent.bytes); err != nil {
			break
		}
	}
	l.endPipe(p, from)
	for range queue { // the reader ends with its connection
	}
	reading.Wait()
}

// endPipe closes both ends of a connection, one of which is gone. A node's end
// stays open, and is told nothing, until a link that is half open is whole again.
func (l *link) endPipe(p *pipe, from net.Conn) {
	l.mu.Lock()
	orphan := p.orphan
	l.mu.Unlock()
	if orphan && from == p.node { // what it still sends is read for nothing
		return
	}
	if orphan {
		l.waitWhole()
		reset(p.node)
	}
	p.node.Close()
	p.master.Close()
}

// due says when bytes arrive that are sent now.
func (l *link) due(direction, bytes int) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.state.rate > 0 {
		if l.free[direction].Before(now) {
			l.free[direction] = now
		}
		l.free[direction] = l.free[direction].Add(time.Duration(bytes) * time.Second / time.Duration(l.state.rate))
		now = l.free[direction]
	}
	if l.state.jitter > 0 {
		now = now.Add(rand.N(l.state.jitter))
	}
	return now.Add(l.state.delay)
}

func (l *link) sleepUntil(t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-l.ctx.Done():
		return false
	}
}

// waitWhole waits until the link is not cut. It returns at once where a link is
// closed, and says so.
func (l *link) waitWhole() (cut string) {
	for {
		l.mu.Lock()
		cut, whole := l.state.cut, l.state.whole
		l.mu.Unlock()
		if cut == "" || cut == closed {
			return cut
		}
		select {
		case <-whole:
		case <-l.ctx.Done():
			return closed
		}
	}
}

// cut breaks the link in one of the ways of a [Fault].
func (l *link) cut(how string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mendLocked()
	l.state.cut, l.state.whole = how, make(chan struct{})
	for p := range l.pipes {
		switch how {
		case closed:
			reset(p.node)
			reset(p.master)
		case halfOpen:
			p.orphan = true
			reset(p.master)
		}
	}
}

// slow lets the link carry late, unevenly, or little at a time.
func (l *link) slow(how string, amount int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch how {
	case late:
		l.state.delay = time.Duration(amount)
	case uneven:
		l.state.jitter = time.Duration(amount)
	default:
		l.state.rate = amount
	}
}

// mend makes the link whole and quick.
func (l *link) mend() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.mendLocked()
	l.state.delay, l.state.jitter, l.state.rate = 0, 0, 0
}

func (l *link) mendLocked() {
	if l.state.cut != "" {
		close(l.state.whole)
	}
	l.state.cut = ""
}

// close ends the link and waits for all that it carries.
func (l *link) close() {
	l.end()
	for _, listener := range l.listeners {
		listener.Close()
	}
	l.mu.Lock()
	for p := range l.pipes {
		p.node.Close()
		p.master.Close()
	}
	if l.asked != nil {
		l.asked.Close()
	}
	for _, c := range l.callers {
		c.Close()
	}
	l.mu.Unlock()
	l.working.Wait()
}

// reset ends a connection so that its other end learns of it at once.
func reset(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	if err := c.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return // it is gone already
	}
}
