package idq

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/instrument"
	"tsrun/sdk/realtime"
	"tsrun/sdk/zmtp"
	"tsrun/sim/sky"
)

const (
	maxRequest   = 64 << 10 // bytes
	maxEnvelope  = 8        // frames a router on the way may put before a request
	replyTimeout = 5 * time.Second
	maxClients   = 64
)

// answer is the reply to one request.
type answer struct {
	text  string
	after sky.Instant // not sent before this instant
	none  bool        // a fault: no reply at all
	then  func()      // what is done when it is sent, or could not be; nil: nothing
}

// breath is how long nothing is done behind a reply whose time of arrival matters.
const breath = 3 * time.Millisecond

// server answers text requests as a ZeroMQ REP socket would. Each client has a
// connection and a goroutine of its own, so none waits for another.
type server struct {
	name   string
	answer func(request string) answer
	prompt realtime.Settings // of the threads that wait for requests; the zero value: none
	slow   time.Duration     // a fault: wait before each reply
	silent bool              // a fault: take connections and never say a word
	log    *slog.Logger

	listener *zmtp.Listener
	mute     net.Listener // instead of listener when silent
}

func (s *server) listen(host string, port int) (err error) {
	addr := hostPort(host, port)
	if s.silent {
		s.mute, err = net.Listen("tcp", addr)
		return err
	}
	s.listener, err = zmtp.Listen("tcp", addr, zmq4.Rep, zmtp.Options{MaxConns: maxClients, MaxFrame: maxRequest})
	return err
}

func (s *server) addr() string {
	if s.silent {
		return s.mute.Addr().String()
	}
	return s.listener.Addr().String()
}

func (s *server) close() {
	if s.silent {
		s.mute.Close()
		return
	}
	s.listener.Close()
}

// serve accepts clients until ctx ends.
func (s *server) serve(ctx context.Context, t *tasks) error {
	if s.silent {
		return s.keepSilent(ctx)
	}
	defer s.close()
	for {
		conn, err := s.listener.Accept(ctx)
		if err != nil {
			return err
		}
		t.run(func(ctx context.Context) { s.client(ctx, conn) })
	}
}

// keepSilent lets clients connect and leaves them without a greeting.
func (s *server) keepSilent(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.close)
	defer stop()
	var conns []net.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for {
		c, err := s.mute.Accept()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return err
		}
		if conns = append(conns, c); len(conns) > maxClients {
			conns[0].Close()
			conns = conns[1:]
		}
	}
}

// client serves one connection until it ends.
func (s *server) client(ctx context.Context, conn *zmtp.Conn) {
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	log := s.log.With("service", s.name, "client", conn.RemoteAddr().String())
	log.Debug("client connected", "socket", conn.PeerType())
	buf := make([]byte, maxRequest)
	for {
		relax := s.await(conn)
		envelope, request, err := readRequest(conn, buf)
		if !urgent(request) {
			relax()
		}
		if err != nil {
			if !errors.Is(err, io.EOF) && ctx.Err() == nil {
				log.Warn("client refused", "error", err)
			}
			return
		}
		a := s.answer(request)
		sent := s.reply(ctx, conn, envelope, a)
		relax()
		if a.then != nil {
			instrument.Pause(ctx, breath) // what follows must not hold the reply up on its way
			a.then()
		}
		log.Debug("request answered", "request", request, "reply", a.text)
		if !sent {
			return
		}
	}
}

// await waits for the next request, where the server has a priority on a thread that has it,
// until relax is called.
func (s *server) await(conn *zmtp.Conn) (relax func()) {
	if s.prompt.Priority == 0 {
		return func() {}
	}
	runtime.LockOSThread()
	leave := s.prompt.Enter()
	conn.AwaitInKernel(time.Time{})
	return sync.OnceFunc(func() {
		leave()
		runtime.UnlockOSThread()
	})
}

// urgent reports whether a request is about the record, which takes a device no time: others
// may have a simulator look at the light of a second, and that at no priority.
func urgent(request string) bool {
	return len(request) >= 4 && strings.EqualFold(request[:4], "REC:")
}

// reply sends an answer when its time has come. It reports whether the client is worth
// another request.
func (s *server) reply(ctx context.Context, conn *zmtp.Conn, envelope [][]byte, a answer) bool {
	if a.none {
		return true
	}
	if s.slow > 0 && !instrument.Pause(ctx, s.slow) {
		return false
	}
	if a.after != (sky.Instant{}) {
		awaitExactly(ctx, a.after)
	}
	return conn.Send(replyTimeout, append(envelope, []byte(a.text))...) == nil
}

var errEnvelope = errors.New("request has no empty frame before its text; use a REQ socket")

// readRequest reads one message: the envelope, which ends with an empty frame
// and must come back with the reply (RFC 28), and the text. Frames behind the
// text are passed over.
func readRequest(conn *zmtp.Conn, buf []byte) (envelope [][]byte, text string, err error) {
	more := true
	for {
		var frame []byte
		if frame, more, err = conn.ReadFrame(buf); err != nil {
			return nil, "", err
		}
		envelope = append(envelope, append([]byte(nil), frame...))
		if !more || len(envelope) > maxEnvelope {
			return nil, "", errEnvelope
		}
		if len(frame) == 0 {
			break
		}
	}
	for first := true; more; first = false {
		var frame []byte
		if frame, more, err = conn.ReadFrame(buf); err != nil {
			return nil, "", err
		}
		if first {
			text = string(frame)
		}
	}
	return envelope, text, nil
}
