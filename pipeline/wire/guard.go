package wire

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"sync"

	"github.com/go-zeromq/zmq4"
	"github.com/go-zeromq/zmq4/transport"

	"tsrun/pipeline/zmtp"
)

// endpoint is what zmq4 sockets of this package listen at or dial; the address
// behind it is in their link.
const endpoint = "guarded://link"

// register makes the guarded transport known to zmq4, whose list of transports
// belongs to the process.
var register = sync.OnceValue(func() error { return zmq4.RegisterTransport("guarded", guarded{}) })

// quiet keeps zmq4 from writing to standard error.
func quiet() zmq4.Option { return zmq4.WithLogger(log.New(io.Discard, "", 0)) }

// link is what one zmq4 socket stands on in place of the network. It hands the
// socket a pipe for each peer and can cut them all, which ends zmq4's own
// goroutines: its readers stop at an end of file and at nothing else.
type link struct {
	rules    rules
	listener *zmtp.Listener // of a socket that listens

	mu     sync.Mutex
	pipes  map[*pipe]bool
	broken bool
	held   sync.WaitGroup // pipes that zmq4 has not closed
}

func newLink(r rules) *link { return &link{rules: r, pipes: map[*pipe]bool{}} }

type linkKey struct{}

// context carries the link to the transport of the zmq4 socket made with it.
func (l *link) context() context.Context {
	return context.WithValue(context.Background(), linkKey{}, l)
}

// listen listens for peers and makes socket accept them.
func (l *link) listen(socket zmq4.Socket, addr string) error {
	if err := register(); err != nil {
		return err
	}
	var err error
	l.listener, err = zmtp.Listen("tcp", addr, socket.Type(), zmtp.Options{MaxConns: maxPeers, MaxFrame: uint64(l.rules.maxBytes)})
	if err != nil {
		return err
	}
	if err := socket.Listen(endpoint); err != nil {
		l.listener.Close()
		return fmt.Errorf("listen on %s: %w", addr, err)
	}
	return nil
}

// dial connects socket to addr.
func (l *link) dial(ctx context.Context, socket zmq4.Socket, addr string) error {
	if err := register(); err != nil {
		return err
	}
	c, err := zmtp.Dial(ctx, "tcp", addr, socket.Type())
	if err != nil {
		return err
	}
	if l.add(c) == nil {
		return fmt.Errorf("connect to %s: %w", addr, net.ErrClosed)
	}
	return socket.Dial(endpoint)
}

// add makes the pipe of one connection, or closes it when the link is cut.
func (l *link) add(c *zmtp.Conn) *pipe {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.broken {
		c.Close()
		return nil
	}
	p := newPipe(l, c)
	l.pipes[p] = true
	l.held.Add(1)
	return p
}

func (l *link) remove(p *pipe) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.pipes[p] {
		delete(l.pipes, p)
		l.held.Done()
	}
}

// cut ends every connection and refuses new ones. The socket stays open, so
// that its readers can still hand over what they hold while they end.
func (l *link) cut() {
	l.mu.Lock()
	l.broken = true
	for p := range l.pipes {
		p.conn.Close()
	}
	l.mu.Unlock()
	if l.listener != nil {
		l.listener.Close()
	}
}

// only returns the pipe of a link that dialed.
func (l *link) only() *pipe {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pipes {
		return p
	}
	return nil
}

// guarded is the transport zmq4 knows; the link comes with the context.
type guarded struct{}

func (guarded) Addr(ep string) (string, error) { return ep, nil }

func (guarded) Dial(ctx context.Context, _ transport.Dialer, _ string) (net.Conn, error) {
	if l, ok := ctx.Value(linkKey{}).(*link); ok {
		if p := l.only(); p != nil {
			return p, nil
		}
	}
	return nil, errors.New("dial without a connected link")
}

func (guarded) Listen(ctx context.Context, _ string) (net.Listener, error) {
	l, ok := ctx.Value(linkKey{}).(*link)
	if !ok || l.listener == nil {
		return nil, errors.New("listen without a listening link")
	}
	return &acceptor{ctx: ctx, link: l}, nil
}

// acceptor hands checked peers to zmq4.
type acceptor struct {
	ctx  context.Context // the socket's life
	link *link
}

// Accept fails only once the socket is closed: zmq4 asks again at once, for
// ever, as long as it is not.
func (a *acceptor) Accept() (net.Conn, error) {
	for {
		c, err := a.link.listener.Accept(a.ctx)
		if err != nil {
			<-a.ctx.Done()
			return nil, net.ErrClosed
		}
		if p := a.link.add(c); p != nil {
			return p, nil
		}
	}
}

func (a *acceptor) Addr() net.Addr { return a.link.listener.Addr() }
func (a *acceptor) Close() error   { return a.link.listener.Close() }
