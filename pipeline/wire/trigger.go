package wire

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/tag"
)

// OrderKind is what an order asks of the slaves.
type OrderKind uint8

// The orders of a run, in the order they are given.
const (
	Beacon  OrderKind = 1 // nothing: the trigger port is alive
	Arm     OrderKind = 2 // get ready to record
	Fire    OrderKind = 3 // start at Instant
	Stop    OrderKind = 4 // end the acquisition early, keep and send everything
	Abort   OrderKind = 5 // give the run up
	Release OrderKind = 6 // the run is over, everything is here
)

func (k OrderKind) String() string {
	names := [...]string{Beacon: "beacon", Arm: "arm", Fire: "fire", Stop: "stop", Abort: "abort", Release: "release"}
	if k < Beacon || int(k) >= len(names) {
		return fmt.Sprintf("order %d", uint8(k))
	}
	return names[k]
}

// Order is one trigger message. Times are nanoseconds of Unix time on the
// master's clock.
type Order struct {
	Kind    OrderKind `json:"kind"`
	Seq     uint64    `json:"seq"` // number of the order in its run, from 1; 0 for a beacon
	Run     tag.RunID `json:"run"`
	Instant int64     `json:"instant_ns"` // of a Fire
	Sent    int64     `json:"sent_ns"`
}

// An order on the wire is one frame of 56 bytes, little-endian:
//
//	 0  5  topic "trig/"        12  8  sequence number    44  8  sent, Unix ns
//	 5  3  magic "TSO"          20 16  run                52  4  CRC-32C of all before
//	 8  1  version              36  8  instant, Unix ns
//	 9  1  kind
//	10  2  zero
const (
	orderSize    = 56
	orderVersion = 1
	orderTopic   = "trig/" // the slash ends the topic: subscriptions match prefixes
	orderMagic   = orderTopic + "TSO"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeOrder(o Order) []byte {
	b := make([]byte, 0, orderSize)
	b = append(b, orderMagic...)
	b = append(b, orderVersion, byte(o.Kind), 0, 0)
	b = binary.LittleEndian.AppendUint64(b, o.Seq)
	b = append(b, o.Run[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(o.Instant))
	b = binary.LittleEndian.AppendUint64(b, uint64(o.Sent))
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

func decodeOrder(b []byte) (Order, error) {
	switch {
	case len(b) != orderSize || string(b[:len(orderMagic)]) != orderMagic:
		return Order{}, errors.New("decode order: it is none")
	case b[8] != orderVersion:
		return Order{}, fmt.Errorf("decode order: version %d, this release reads %d; install the same release on both PCs", b[8], orderVersion)
	case binary.LittleEndian.Uint32(b[52:]) != crc32.Checksum(b[:52], castagnoli):
		return Order{}, errors.New("decode order: checksum differs")
	}
	o := Order{
		Kind:    OrderKind(b[9]),
		Seq:     binary.LittleEndian.Uint64(b[12:]),
		Run:     tag.RunID(b[20:36]),
		Instant: int64(binary.LittleEndian.Uint64(b[36:])),
		Sent:    int64(binary.LittleEndian.Uint64(b[44:])),
	}
	if o.Kind < Beacon || o.Kind > Release {
		return Order{}, fmt.Errorf("decode order: unknown kind %d", o.Kind)
	}
	return o, nil
}

const (
	// publishTimeout bounds how long one subscriber that reads nothing holds
	// up the others: once, because it is disconnected. Its socket's buffer
	// takes hundreds of orders before that.
	publishTimeout = 50 * time.Millisecond
	maxUnsent      = 1000 // orders waiting in the publisher; more are dropped

	maxSubscription  = 64 // bytes
	maxSubscriptions = 64 // messages of one subscriber
)

// fromSubscriber are the rules for what a SUB socket sends: 1 or 0 and a topic
// to subscribe to or to leave.
func fromSubscriber() rules {
	return rules{send: publishTimeout, frames: 1, maxBytes: maxSubscription, messages: maxSubscriptions,
		check: func(frames [][]byte) error {
			if f := frames[0]; len(f) == 0 || f[0] > 1 {
				return errors.New("receive subscription: it is none")
			}
			return nil
		}}
}

// Publisher sends orders to every slave that listens.
type Publisher struct {
	link   *link
	socket zmq4.Socket
	addr   net.Addr
	mu     sync.Mutex
	closed bool
}

// ListenTrigger opens the trigger port at addr, host:port. The end of ctx does
// not close the port, because a run that is given up still has orders to give.
func ListenTrigger(ctx context.Context, addr string) (*Publisher, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := newLink(fromSubscriber())
	pub := zmq4.NewPub(l.context(), quiet())
	err := pub.SetOption(zmq4.OptionHWM, maxUnsent)
	if err == nil {
		err = l.listen(pub, addr)
	}
	if err != nil {
		pub.Close()
		return nil, err
	}
	return &Publisher{link: l, socket: pub, addr: l.listener.Addr()}, nil
}

// Addr returns the address listened on.
func (p *Publisher) Addr() net.Addr { return p.addr }

// Publish hands an order over for sending and does not wait for slaves. Who is
// not connected misses it; it says so by asking, see Reply.Order.
func (p *Publisher) Publish(o Order) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return errors.New("publish order: the trigger port is closed")
	}
	if err := p.socket.Send(zmq4.NewMsg(encodeOrder(o))); err != nil {
		return fmt.Errorf("publish order: %w", err)
	}
	return nil
}

// Close closes the port. Orders still waiting in the publisher are not sent.
func (p *Publisher) Close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	p.closed = true
	p.link.cut()
	p.link.held.Wait()
	return p.socket.Close()
}

// Received is an order and when it came.
type Received struct {
	Order
	At time.Time
}

// Subscriber receives the orders of one master.
type Subscriber struct {
	addr   string
	orders chan Received
	stop   context.CancelFunc
	ended  chan struct{}
}

const (
	maxUnread   = 64 // orders nobody has taken; more wait in the kernel
	redialPause = 100 * time.Millisecond
)

// DialTrigger listens to the trigger port at addr, host:port, until ctx ends
// or Close. It returns at once: the connection is made, and made again whenever
// it is lost, in the background. Orders of the meantime are missed.
func DialTrigger(ctx context.Context, addr string) (*Subscriber, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("listen to trigger port: %w", err)
	}
	ctx, stop := context.WithCancel(ctx)
	s := &Subscriber{addr: addr, orders: make(chan Received, maxUnread), stop: stop, ended: make(chan struct{})}
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
		s.attend(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(redialPause):
		}
	}
}

// attend passes on the orders of one connection until it ends. A SUB socket is
// used once: zmq4's own reconnection would outlive Close.
func (s *Subscriber) attend(ctx context.Context) {
	l := newLink(rules{send: time.Second, frames: 1, maxBytes: orderSize,
		check: func(frames [][]byte) error { _, err := decodeOrder(frames[0]); return err }})
	sub := zmq4.NewSub(l.context(), quiet())
	defer sub.Close()
	if err := sub.SetOption(zmq4.OptionSubscribe, orderTopic); err != nil {
		return
	}
	defer context.AfterFunc(ctx, l.cut)()
	if err := l.dial(ctx, sub, s.addr); err != nil {
		return
	}
	for {
		// An error is the last thing the only reader says, so after it no
		// goroutine of zmq4 is left waiting to hand something over.
		m, err := sub.Recv()
		at := time.Now()
		if err != nil {
			return
		}
		o, err := decodeOrder(m.Frames[0])
		if err != nil {
			continue // the link's rules let none through
		}
		select {
		case s.orders <- Received{Order: o, At: at}:
		case <-ctx.Done():
		}
	}
}
