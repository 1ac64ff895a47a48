package zmtp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/go-zeromq/zmq4"
)

const (
	// DefaultMaxConns is how many peers a Listener serves at once when Options
	// name no other number.
	DefaultMaxConns = 256
	// DefaultMaxKept is how many connections of one owner are kept when Options name
	// no other number.
	DefaultMaxKept = 32

	maxScreened  = 64 // handshakes at once
	acceptPause  = 50 * time.Millisecond
	stillEvery   = 5 * time.Second // between two looks at who may stay
	maxUnixBytes = 107             // sun_path of sockaddr_un holds 108 with its final zero
)

// keepAlive finds a peer whose PC vanished within about ten seconds.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 5}

// Options bound what peers of a Listener may take.
type Options struct {
	MaxConns int    // strangers at once; more are turned away. 0: DefaultMaxConns
	MaxFrame uint64 // bytes of one frame. 0: DefaultMaxFrame
	// Displace gives a new peer, where there are MaxConns, the place of the stranger
	// that came first, of the address from which most came; its connection is closed.
	// So strangers keep nobody out. A peer is a stranger until it has shown a
	// certificate, or Keep was called.
	Displace bool
	// Strangers is how long a peer may be a stranger, counted from when it connected,
	// whatever it says; then its connection is closed. 0: for ever.
	Strangers time.Duration
	MaxKept   int // connections of one owner, see Keep. 0: DefaultMaxKept

	Security *Security // nil: peers speak without TLS, and are known by nothing
	// Refused hears why a peer was turned away that spoke ZMTP or TLS: it may be
	// one that somebody waits for. It returns at once. nil: nobody wants to know.
	Refused func(peer net.Addr, why error)
}

// Listener accepts peers for a socket of one type.
type Listener struct {
	l     net.Listener
	typ   zmq4.SocketType
	opts  Options
	ready chan *Conn // unbuffered: a peer that is not accepted stays in its goroutine

	done    context.Context
	stop    context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	screened  []net.Conn         // in handshake, oldest first
	strangers []*Conn            // past their handshake, not kept and open, oldest first
	kept      map[string][]*Conn // by owner
	leaving   int                // displaced, and not yet closed by who accepted them
}

// Listen listens at addr of network "tcp" or "unix" for peers that suit a
// socket of type typ. A socket file that an earlier process left at a unix
// path is removed first; any other file there is an error.
func Listen(network, addr string, typ zmq4.SocketType, o Options) (*Listener, error) {
	if !known(typ) {
		return nil, fmt.Errorf("listen on %s: unknown socket type %q", addr, typ)
	}
	if network == "unix" {
		if err := clearPath(addr); err != nil {
			return nil, err
		}
	}
	config := net.ListenConfig{KeepAliveConfig: keepAlive}
	l, err := config.Listen(context.Background(), network, addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("listen on %s: another program has this port; stop it or choose another port (%w)", addr, syscall.EADDRINUSE)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", addr, err)
	}
	return serve(l, typ, o), nil
}

func serve(l net.Listener, typ zmq4.SocketType, o Options) *Listener {
	if o.MaxConns <= 0 {
		o.MaxConns = DefaultMaxConns
	}
	if o.MaxFrame == 0 {
		o.MaxFrame = DefaultMaxFrame
	}
	if o.MaxKept <= 0 {
		o.MaxKept = DefaultMaxKept
	}
	z := &Listener{l: l, typ: typ, opts: o, ready: make(chan *Conn), kept: map[string][]*Conn{}}
	z.done, z.stop = context.WithCancel(context.Background())
	z.running.Go(z.accept)
	if o.Security != nil && o.Security.Still != nil {
		z.running.Go(z.watch)
	}
	return z
}

// watch closes connections of peers that may not stay.
func (z *Listener) watch() {
	tick := time.NewTicker(stillEvery)
	defer tick.Stop()
	for {
		select {
		case <-z.done.Done():
			return
		case <-tick.C:
		}
		z.mu.Lock()
		conns := slices.Clone(z.strangers)
		for _, kept := range z.kept {
			conns = append(conns, kept...)
		}
		z.mu.Unlock()
		for _, c := range conns {
			if secure, ok := c.nc.(*secureConn); ok && z.opts.Security.Still(secure.ConnectionState().PeerCertificates) != nil {
				c.raw.Close()
			}
		}
	}
}

// clearPath removes a stale socket file, and only that.
func clearPath(path string) error {
	if len(path) > maxUnixBytes {
		return fmt.Errorf("listen on %s: the path has %d bytes, a unix socket's has at most %d; use a shorter directory", path, len(path), maxUnixBytes)
	}
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && info.Mode().Type() != fs.ModeSocket {
		err = errors.New("a file that is no socket is in the way; remove it")
	}
	if err == nil {
		err = os.Remove(path)
	}
	if err != nil {
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	return nil
}

// Addr returns the address listened on, with the port the system chose.
func (z *Listener) Addr() net.Addr { return z.l.Addr() }

// Accept waits for the next peer whose handshake is done. It fails when ctx
// ends and with net.ErrClosed after Close, never because of a peer.
func (z *Listener) Accept(ctx context.Context) (*Conn, error) {
	select {
	case c := <-z.ready:
		return c, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-z.done.Done():
		return nil, net.ErrClosed
	}
}

// Serve runs serve for every peer, each in a goroutine of its own, until ctx
// ends or Close is called. It then closes their connections and returns when
// every serve has. A peer's connection is closed when its serve returns.
func (z *Listener) Serve(ctx context.Context, serve func(*Conn)) {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	for {
		c, err := z.Accept(ctx)
		if err != nil {
			return
		}
		serving.Go(func() {
			defer c.Close()
			defer context.AfterFunc(ctx, func() { c.Close() })()
			serve(c)
		})
	}
}

// Close stops listening, ends handshakes and waits for them. Accepted
// connections belong to who accepted them.
func (z *Listener) Close() error {
	z.stop()
	err := z.l.Close()
	z.running.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}

// accept hands every incoming connection to a goroutine of its own, so that
// a silent one delays no other.
func (z *Listener) accept() {
	for {
		nc, err := z.l.Accept()
		if err != nil {
			// Out of file descriptors, usually: some come back when peers
			// leave. Without a pause this would be a busy loop.
			select {
			case <-z.done.Done():
				return
			case <-time.After(acceptPause):
				continue
			}
		}
		came := time.Now()
		z.admit(nc)
		z.running.Go(func() { z.greet(nc, came) })
	}
}

// greet performs one handshake and offers the result to Accept.
func (z *Listener) greet(nc net.Conn, came time.Time) {
	c, err := open(z.done, nc, z.typ, true, z.opts)
	if !z.finish(nc, c, err == nil, came) {
		nc.Close()
		var rejection *CertificateError
		if z.opts.Refused != nil && (errors.Is(err, ErrPeerPlain) || errors.Is(err, ErrPeerSecure) || errors.As(err, &rejection)) {
			z.opts.Refused(nc.RemoteAddr(), err)
		}
		return
	}
	select {
	case z.ready <- c:
	case <-z.done.Done():
		c.Close()
	}
}
