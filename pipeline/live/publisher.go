package live

import (
	"context"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/zmtp"
)

const (
	mostSubscribers  = 16
	maxSubscription  = 64 // bytes
	maxSubscriptions = 64 // of one subscriber

	// paceWithin is how long a message waits for room in the queue of a subscriber that
	// has taken all before.
	paceWithin = 250 * time.Millisecond
	// unhurried is how long a subscriber may take for a message: as long as the run goes on.
	unhurried = 30 * 24 * time.Hour
	// idleWithin is how long the end waits for a subscriber that takes nothing.
	idleWithin = 500 * time.Millisecond
	// lingerWithin is how long it waits for one that takes something.
	lingerWithin = 10 * time.Second
)

// message is what all subscribers get, frame by frame.
type message [][]byte

// publisher is a PUB socket of ZeroMQ with a bounded queue for each subscriber. What finds
// no room there that subscriber misses, and it is counted.
type publisher struct {
	listener *zmtp.Listener
	queue    int
	stop     context.CancelFunc // ends every connection
	ended    chan struct{}      // closed when every connection has ended
	sending  sync.WaitGroup

	mu          sync.Mutex
	subscribers map[*subscriber]bool
	closed      bool
	most        int    // subscribers at once
	dropped     uint64 // messages, of all subscribers
}

// subscriber is one peer. The publisher's lock guards it.
type subscriber struct {
	conn   *zmtp.Conn
	unsent chan message // closed when nothing more comes
	topics zmtp.Topics
	slow   bool      // nobody waits for it
	moved  time.Time // when it took a message last
	left   int       // messages that it has not taken: also the one that is being sent
}

// listen opens the socket.
func listen(network, address string, queue int) (*publisher, error) {
	l, err := zmtp.Listen(network, address, zmq4.Pub, zmtp.Options{MaxConns: mostSubscribers, MaxFrame: maxSubscription})
	if err != nil {
		return nil, err
	}
	p := &publisher{listener: l, queue: queue, ended: make(chan struct{}), subscribers: map[*subscriber]bool{}}
	life, stop := context.WithCancel(context.Background())
	p.stop = stop
	go func() {
		defer close(p.ended)
		l.Serve(life, p.serve)
	}()
	return p, nil
}

// serve serves one peer until it leaves or breaks a rule.
func (p *publisher) serve(c *zmtp.Conn) {
	s := &subscriber{conn: c, unsent: make(chan message, p.queue), topics: zmtp.Topics{}, moved: time.Now()}
	if !p.add(s) {
		return
	}
	defer p.remove(s)
	var buf [maxSubscription]byte
	for range maxSubscriptions {
		b, more, err := c.ReadFrame(buf[:])
		if err != nil || more || len(b) == 0 || b[0] > 1 {
			return
		}
		p.subscribe(s, string(b[1:]), b[0] == 1)
	}
	c.ReadFrame(nil) // returns when the peer leaves, and when it subscribes once too often
}

func (p *publisher) add(s *subscriber) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.subscribers[s] = true
	p.most = max(p.most, len(p.subscribers))
	p.sending.Go(func() { p.send(s) })
	return true
}

func (p *publisher) remove(s *subscriber) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.subscribers[s] {
		delete(p.subscribers, s)
		close(s.unsent)
	}
}

func (p *publisher) subscribe(s *subscriber, topic string, wanted bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s.topics.Set(topic, wanted)
}

// send sends what is published until nothing more comes or it fails.
func (p *publisher) send(s *subscriber) {
	defer s.conn.Close() // wakes serve
	for m := range s.unsent {
		if s.conn.Send(unhurried, m...) != nil {
			return
		}
		p.mu.Lock()
		s.moved, s.left = time.Now(), s.left-1
		if 2*s.left <= p.queue {
			s.slow = false
		}
		p.mu.Unlock()
	}
}

// publish gives a message to all that have subscribed. It waits a while for room in the
// queues, once for each subscriber that has become slow.
func (p *publisher) publish(ctx context.Context, m message) {
	for late := time.Now().Add(paceWithin); ; {
		patient := time.Now().Before(late) && ctx.Err() == nil
		if p.offer(m, patient) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(time.Millisecond):
		}
	}
}

// offer is publish unless somebody is to be waited for.
func (p *publisher) offer(m message, patient bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.subscribers {
		if patient && !s.slow && len(s.unsent) == cap(s.unsent) && s.topics.Want(m[0]) {
			return false
		}
	}
	for s := range p.subscribers {
		if !s.topics.Want(m[0]) {
			continue
		}
		select {
		case s.unsent <- m:
			s.left++
		default:
			s.slow = true
			p.dropped++
		}
	}
	return true
}

// close sends the last message behind what each subscriber has not taken yet, and ends
// all connections. Who takes nothing is not waited for.
func (p *publisher) close(ctx context.Context, last message) {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	told := map[*subscriber]bool{}
	for begun := time.Now(); ctx.Err() == nil && time.Since(begun) < lingerWithin && !p.drained(begun, last, told); {
		select {
		case <-ctx.Done():
		case <-time.After(5 * time.Millisecond):
		}
	}
	p.mu.Lock()
	for s := range p.subscribers {
		p.dropped += uint64(s.left)
	}
	p.mu.Unlock()
	p.stop()
	<-p.ended
	p.sending.Wait()
	p.listener.Close()
}

// drained tells those that have room the last message, and reports whether nobody is to
// be waited for.
func (p *publisher) drained(begun time.Time, last message, told map[*subscriber]bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := true
	for s := range p.subscribers {
		if last != nil && !told[s] && s.topics.Want(last[0]) {
			select {
			case s.unsent <- last:
				s.left++
				told[s] = true
			default:
			}
		}
		idle := time.Since(later(s.moved, begun)) > idleWithin
		if !idle && (s.left > 0 || last != nil && !told[s] && s.topics.Want(last[0])) {
			all = false
		}
	}
	return all
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
