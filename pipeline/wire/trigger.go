package wire

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/zmtp"
)

const (
	maxPeers = 64 // of one port; an experiment has a handful

	// publishTimeout is how long one order may take to leave for one subscriber.
	// The others do not wait for it.
	publishTimeout = time.Second
	maxUnsent      = 256 // orders waiting for one subscriber; with more it is disconnected
	// closeTimeout is how long a port that is closed waits for subscribers to
	// take the orders that were published before.
	closeTimeout = 100 * time.Millisecond

	// tokenTopic begins what is no topic of orders: a subscriber shows so that it is
	// no stranger.
	tokenTopic = "session/"

	maxSubscription  = 64 // bytes
	maxSubscriptions = 64 // messages of one subscriber
)

// Publisher sends orders to every slave that listens.
type Publisher struct {
	listener *zmtp.Listener
	guard    Guard
	stop     context.CancelFunc // ends every connection
	ended    chan struct{}      // closed when every connection has ended
	sending  sync.WaitGroup     // the senders of all subscribers

	mu          sync.Mutex
	subscribers map[*subscriber]bool
	closed      bool
}

// subscriber is one peer of a Publisher. The publisher's lock guards it.
type subscriber struct {
	conn   *zmtp.Conn
	unsent chan []byte // closed when the subscriber is no more
	topics zmtp.Topics
}

// ListenTrigger opens the trigger port at addr, host:port. The end of ctx does
// not close the port, because a run that is given up still has orders to give.
func ListenTrigger(ctx context.Context, addr string, g Guard) (*Publisher, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l, err := zmtp.Listen("tcp", addr, zmq4.Pub, g.options(maxSubscription))
	if err != nil {
		return nil, err
	}
	p := &Publisher{listener: l, guard: g, ended: make(chan struct{}), subscribers: map[*subscriber]bool{}}
	life, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() {
		defer close(p.ended)
		l.Serve(life, p.servePeer)
	}()
	return p, nil
}

// Addr returns the address listened on.
func (p *Publisher) Addr() net.Addr { return p.listener.Addr() }

// Publish hands an order over for sending and does not wait for slaves. Who is
// not connected misses it; it says so by asking, see Reply.Order.
func (p *Publisher) Publish(o Order) error {
	message := encodeOrder(o)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("publish order: the trigger port is closed")
	}
	for s := range p.subscribers {
		if !s.topics.Want(message) {
			continue
		}
		select {
		case s.unsent <- message:
		default: // it has read nothing for too long; when it comes back it has missed less than it would here
			p.remove(s)
			s.conn.Close()
		}
	}
	return nil
}

// servePeer serves one peer until it leaves or breaks a rule.
func (p *Publisher) servePeer(c *zmtp.Conn) {
	s := &subscriber{conn: c, unsent: make(chan []byte, maxUnsent), topics: zmtp.Topics{}}
	if !p.add(s) {
		return
	}
	defer p.drop(s)
	var buf [maxSubscription]byte
	for range maxSubscriptions {
		b, more, err := c.ReadFrame(buf[:])
		if err != nil || more || len(b) == 0 || b[0] > 1 {
			return
		}
		if token, shown := strings.CutPrefix(string(b[1:]), tokenTopic); shown {
			p.guard.admits(c, token)
			continue
		}
		p.subscribe(s, string(b[1:]), b[0] == 1)
	}
	c.ReadFrame(nil) // returns when the peer leaves, and when it subscribes once too often
}

// add enters a peer and starts to send to it, unless the port is closed.
func (p *Publisher) add(s *subscriber) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.subscribers[s] = true
	p.sending.Go(s.send)
	return true
}

// send sends what is published until there will be no more or it fails.
func (s *subscriber) send() {
	defer s.conn.Close() // wakes the reader of attend
	for message := range s.unsent {
		if s.conn.Send(publishTimeout, message) != nil {
			return
		}
	}
}

// subscribe adds a topic to those of s, or takes it away once.
func (p *Publisher) subscribe(s *subscriber, topic string, add bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.topics.Set(topic, add)
}

func (p *Publisher) drop(s *subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(s)
}

// remove makes s no subscriber; what waits for it is still sent. The caller
// holds p.mu.
func (p *Publisher) remove(s *subscriber) {
	if p.subscribers[s] {
		delete(p.subscribers, s)
		close(s.unsent)
	}
}

// Close closes the port. Orders that were published are still sent to every
// subscriber that takes them soon.
func (p *Publisher) Close() error {
	p.mu.Lock()
	p.closed = true
	for s := range p.subscribers {
		p.remove(s)
	}
	p.mu.Unlock()
	late := time.AfterFunc(closeTimeout, p.stop)
	p.sending.Wait()
	late.Stop()
	p.stop()
	err := p.listener.Close()
	<-p.ended
	return err
}

// Received is an order and when it came.
type Received struct {
	Order
	At time.Time
}

// Subscriber receives the orders of one master.
type Subscriber struct {
	addr     string
	token    string
	security *zmtp.Security
	orders   chan Received
	stop     context.CancelFunc
	ended    chan struct{}
}

const (
	maxUnread        = 64 // orders that were not read; more wait in the kernel
	redialPause      = 100 * time.Millisecond
	subscribeTimeout = time.Second
)

// DialTrigger listens to the trigger port at addr, host:port, until ctx ends
// or Close, and shows the token of a session there. It returns at once: the connection is made, and made again whenever
// it is lost, in the background. Orders of the meantime are missed.
func DialTrigger(ctx context.Context, addr, token string, security *zmtp.Security) (*Subscriber, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("listen to trigger port: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	s := &Subscriber{addr: addr, token: token, security: security, orders: make(chan Received, maxUnread), stop: stop, ended: make(chan struct{})}
	go s.run(ctx)
	return s, nil
}

// Orders returns the channel of orders; it is closed when the Subscriber ends.
func (s *Subscriber) Orders() <-chan Received { return s.orders }

// Close ends the Subscriber and waits for it.
func (s *Subscriber) Close() error {
	s.stop()
	<-s.ended
	return nil
}

func (s *Subscriber) run(ctx context.Context) {
	defer close(s.ended)
	defer close(s.orders)
	for ctx.Err() == nil {
		s.listen(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(redialPause):
		}
	}
}

// listen passes on the orders of one connection until it ends. A publisher that
// sends anything else is left.
func (s *Subscriber) listen(ctx context.Context) {
	conn, err := zmtp.DialSecure(ctx, "tcp", s.addr, zmq4.Sub, s.security)
	if err != nil {
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	for _, topic := range []string{tokenTopic + s.token, orderTopic} {
		if conn.Send(subscribeTimeout, []byte("\x01"+topic)) != nil {
			return
		}
	}
	var buf [orderSize]byte
	for {
		b, more, err := conn.ReadFrame(buf[:])
		at := time.Now()
		if err != nil || more {
			return
		}
		o, err := decodeOrder(b)
		if err != nil {
			return
		}
		select {
		case s.orders <- Received{Order: o, At: at}:
		case <-ctx.Done():
		}
	}
}
