package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"tsrun/pipeline/datagram"
	"tsrun/pipeline/fact"
	"tsrun/pipeline/xdp"
	"tsrun/sdk/instrument"
	"tsrun/sdk/realtime"
	"tsrun/sdk/tag"
)

const (
	// helloEvery is how often a node says where it is: what lets answers through on the
	// way, such as a firewall, forgets that after some ten seconds at the earliest.
	helloEvery = time.Second
	// helloFirst is how often it does until it is answered.
	helloFirst = 100 * time.Millisecond
	// staleAfter is how much older than the newest message of the master an order may be:
	// datagrams are for speed, and what was held up comes by the other ways.
	staleAfter = time.Second
)

// place is where a node was last heard.
type place struct {
	mu    sync.Mutex
	at    netip.AddrPort // not valid: never
	hello uint64         // number of its last hello
}

// FastPublisher sends orders as datagrams to the nodes that were admitted and have said
// where they are. Whoever misses one has it from the [Publisher], or from an answer.
type FastPublisher struct {
	conn  *net.UDPConn
	nodes datagram.Guests[place]
}

// ListenFast opens the UDP port at addr, host:port.
func ListenFast(addr string) (*FastPublisher, error) {
	at, err := net.ResolveUDPAddr("udp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for nodes by UDP at %s: %w", addr, err)
	}
	conn, err := net.ListenUDP("udp", at)
	if err != nil {
		return nil, fmt.Errorf("listen for nodes by UDP at %s: %w", addr, err)
	}
	return &FastPublisher{conn: conn}, nil
}

// Port is the UDP port.
func (p *FastPublisher) Port() int { return p.conn.LocalAddr().(*net.UDPAddr).Port }

// Admit makes a session for one node. The access holds a secret: it must travel to that
// node alone.
func (p *FastPublisher) Admit() (*datagram.Access, error) { return p.nodes.Admit(p.Port()) }

// Dismiss ends a session.
func (p *FastPublisher) Dismiss(a *datagram.Access) { p.nodes.Dismiss(a) }

// Close ends Run.
func (p *FastPublisher) Close() error { return p.conn.Close() }

// Run hears where nodes are, until ctx ends or Close.
func (p *FastPublisher) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { p.conn.Close() })
	defer stop()
	var b [datagramSize + 1]byte
	for {
		n, from, err := p.conn.ReadFromUDPAddrPort(b[:])
		switch {
		case errors.Is(err, net.ErrClosed):
			return nil
		case err != nil: // what the network says of a datagram that did not arrive
			if !instrument.Pause(ctx, time.Millisecond) {
				return nil
			}
		default:
			p.hear(b[:n], from)
		}
	}
}

// hear notes where a node is. What is of nobody, or was said before, is passed over
// without a word.
func (p *FastPublisher) hear(b []byte, from netip.AddrPort) {
	session, err := sessionOf(b, kindHello)
	if err != nil {
		return
	}
	guest := p.nodes.Find(session)
	if guest == nil {
		return
	}
	hello, err := openDatagram(b, kindHello, guest.Session, &guest.Key)
	if err != nil || hello.Kind != Beacon {
		return
	}
	guest.Of.mu.Lock()
	defer guest.Of.mu.Unlock()
	if hello.Seq > guest.Of.hello {
		guest.Of.hello, guest.Of.at = hello.Seq, from
	}
}

// Publish sends an order to every node that has said where it is. The error says of which
// datagram that failed first.
func (p *FastPublisher) Publish(o Order) (failed error) {
	var buf [datagramSize]byte
	for _, guest := range p.nodes.All() {
		guest.Of.mu.Lock()
		at := guest.Of.at
		guest.Of.mu.Unlock()
		if !at.IsValid() {
			continue
		}
		if _, err := p.conn.WriteToUDPAddrPort(appendDatagram(buf[:0], kindOrder, o, guest), at); err != nil && failed == nil {
			failed = fmt.Errorf("send an order by UDP to %s: %w", at, err)
		}
	}
	return failed
}

// FastSubscriber receives the orders of one master as datagrams.
type FastSubscriber struct {
	conn    *net.UDPConn
	session datagram.Guest[struct{}]
	run     tag.RunID
	hear    func(r Received, by string)
	past    *xdp.Socket // past the kernel's network; nil: not there

	mu      sync.Mutex
	newest  int64             // Sent of the master's newest message, over any way
	last    map[string]uint64 // number of the last order, by way
	heard   bool
	dropped fact.Dropped
}

// DialFast opens a socket to the master's UDP port. hear is given the orders, each once
// by each way, by the goroutines of Run and of RunPast.
func DialFast(master string, a datagram.Access, run tag.RunID, hear func(r Received, by string)) (*FastSubscriber, error) {
	if err := a.Check(); err != nil {
		return nil, fmt.Errorf("listen to %s by UDP: %w", master, err)
	}
	where := net.JoinHostPort(master, strconv.Itoa(a.Port))
	at, err := net.ResolveUDPAddr("udp", where)
	if err != nil {
		return nil, fmt.Errorf("listen to %s by UDP: %w", where, err)
	}
	conn, err := net.DialUDP("udp", nil, at)
	if err != nil {
		return nil, fmt.Errorf("listen to %s by UDP: %w", where, err)
	}
	return &FastSubscriber{conn: conn, run: run, hear: hear, last: map[string]uint64{},
		session: datagram.Guest[struct{}]{Session: a.Session, Key: datagram.Key(a.Key)}}, nil
}

// PollBusily has the kernel poll for datagrams, as far as it grants that.
func (s *FastSubscriber) PollBusily(us int) realtime.Grant { return realtime.PollBusily(s.conn, us) }

// Run says hello and hears orders until ctx ends, and closes the socket.
func (s *FastSubscriber) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { s.conn.Close() })
	defer stop()
	defer s.conn.Close()
	var greeting sync.WaitGroup
	greeting.Go(func() { s.greet(ctx) })
	defer greeting.Wait()
	return s.listen(ctx)
}

// greet says hello until ctx ends.
func (s *FastSubscriber) greet(ctx context.Context) {
	var buf [datagramSize]byte
	for n := uint64(1); ; n++ {
		hello := Order{Kind: Beacon, Seq: n, Run: s.run}
		_, _ = s.conn.Write(appendDatagram(buf[:0], kindHello, hello, &s.session)) // the next one tries again
		every := helloFirst
		if s.Heard() {
			every = helloEvery
		}
		if !instrument.Pause(ctx, every) {
			return
		}
	}
}

// take looks at a datagram that came by a way, and passes on the order that it is.
func (s *FastSubscriber) take(b []byte, at time.Time, by string) {
	o, err := openDatagram(b, kindOrder, s.session.Session, &s.session.Key)
	if !s.counts(o, err, by) {
		return
	}
	s.hear(Received{Order: o, At: at}, by)
}

// counts notes a datagram, and says whether it counts.
func (s *FastSubscriber) counts(o Order, err error, by string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case errors.Is(err, errForged):
		s.dropped.Forged++
	case err != nil:
		s.dropped.Malformed++
	case o.Run != s.run:
		s.dropped.Forged++
	case o.Sent < s.newest-staleAfter.Nanoseconds():
		s.dropped.Stale++
	case o.Kind != Beacon && o.Seq <= s.last[by]:
		s.dropped.Again++
	default:
		s.heard = true
		s.newest = max(s.newest, o.Sent)
		if o.Kind != Beacon {
			s.last[by] = o.Seq
		}
		return true
	}
	return false
}

// Note notes when the master sent a message that came another way.
func (s *FastSubscriber) Note(sent int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = max(s.newest, sent)
}

// Heard reports whether the master has been heard.
func (s *FastSubscriber) Heard() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heard
}

// Dropped returns what was dropped until now.
func (s *FastSubscriber) Dropped() fact.Dropped {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}
