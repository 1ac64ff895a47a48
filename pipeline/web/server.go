package web

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"iter"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/sdk"
)

// Default is where the page is, where nobody says otherwise.
const Default = "127.0.0.1:5580"

const (
	// MaxClients is how many streams there are at most at one time.
	MaxClients = 16

	maxConnections = 64
	maxHeader      = 8 << 10
	headerWithin   = 5 * time.Second
	answerWithin   = 20 * time.Second // to take an answer, or one message of the stream
	idleWithin     = time.Minute
	lookEvery      = 200 * time.Millisecond // between two views: as often as a bench that is watched tells what it sees
	tellEvery      = time.Second            // between two messages at most, so that a reader knows that it is not behind
	leaveWithin    = 3 * time.Second        // for those who look to learn of the end
)

// Options say what a page shows, and to whom.
type Options struct {
	Recipe *recipe.Recipe // nil: the page begins without it
	Feed   *event.Feed    // of the run
	Stop   func() error   // ends the recording and keeps what there is; nil: nothing can be stopped
	Record func()         // has what is watched recorded; nil: nothing is watched
	Log    *slog.Logger
	Past   iter.Seq[event.Stamped] // of a run that is over; nil: it goes on
}

// Server is the page of one run.
type Server struct {
	options  Options
	listener net.Listener
	name     string // by which it was told to listen
	secure   bool   // other PCs reach it, so it has TLS, and whoever looks needs the token
	shows    string // the fingerprint of its certificate
	token    string
	began    time.Time

	mu      sync.Mutex
	board   *board
	view    *view
	changed chan struct{} // closed when the board has changed
	version int           // of the board
	seen    int           // version of the view
	clients int
}

// Listen opens the page at an address, HOST:PORT; "" is [Default], or another port
// of it where that is taken.
func Listen(ctx context.Context, address string, o Options) (*Server, error) {
	s := &Server{options: o, token: rand.Text(), began: time.Now(), board: newBoard(o.Recipe), changed: make(chan struct{})}
	if s.options.Log == nil {
		s.options.Log = slog.New(slog.DiscardHandler)
	}
	var config net.ListenConfig
	wanted := address
	if address == "" {
		wanted = Default
	}
	host, _, err := net.SplitHostPort(wanted)
	if err != nil {
		return nil, &sdk.Failure{Code: "web-address", Message: fmt.Sprintf("the address of the page, %q: %v", address, err), Hint: "write HOST:PORT, as " + Default}
	}
	s.name = host
	var certificate tls.Certificate
	if s.secure = !recipe.IsLoopback(host); s.secure {
		if certificate, s.shows, err = newCertificate(ownNames(host)...); err != nil {
			return nil, err
		}
	}
	s.listener, err = config.Listen(ctx, "tcp", wanted)
	if address == "" && errors.Is(err, syscall.EADDRINUSE) {
		s.listener, err = config.Listen(ctx, "tcp", net.JoinHostPort(host, "0"))
	}
	if err != nil {
		return nil, &sdk.Failure{Code: "port", Message: fmt.Sprintf("open the page: %v", err), Hint: "give --web another address of this PC, as --web=127.0.0.1:0"}
	}
	s.listener = newCounted(s.listener, maxConnections)
	if s.secure {
		s.listener = tls.NewListener(s.listener, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"},
			Certificates: []tls.Certificate{certificate}})
	}
	if o.Past != nil {
		for e := range o.Past {
			s.board.apply(e)
		}
	}
	return s, nil
}

// URL is what to open in a browser, token and all: whoever has it may end the run.
func (s *Server) URL() string {
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	host := s.name
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = thisPC()
	}
	if s.secure {
		return "https://" + net.JoinHostPort(host, port) + "/?token=" + s.token
	}
	return "http://" + net.JoinHostPort(host, port) + "/#token=" + s.token
}

// Fingerprint is the SHA-256 of the page's certificate, as browsers show it; "" where
// only this PC reaches the page, without TLS.
func (s *Server) Fingerprint() string { return s.shows }

// Run serves the page until the context ends, or the feed does and those who look have
// learned of it, unless stay is set. It returns soon then.
func (s *Server) Run(ctx context.Context, stay bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: headerWithin, ReadTimeout: headerWithin, IdleTimeout: idleWithin, MaxHeaderBytes: maxHeader,
		WriteTimeout: answerWithin, // renewed by the stream
		BaseContext:  func(net.Listener) context.Context { return ctx },
		ErrorLog:     log.New(lines{s.options.Log}, "", 0),
	}
	var group sync.WaitGroup
	group.Go(func() {
		s.follow(ctx)
		if !stay {
			s.awaitClients(ctx)
			cancel()
		}
	})
	group.Go(func() {
		<-ctx.Done()
		late, done := context.WithTimeout(context.WithoutCancel(ctx), leaveWithin)
		defer done()
		if server.Shutdown(late) != nil {
			server.Close()
		}
	})
	err := server.Serve(s.listener)
	cancel()
	group.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve the page: %w", err)
}

// follow reads the run's events until there are no more.
func (s *Server) follow(ctx context.Context) {
	if s.options.Feed == nil {
		return
	}
	for {
		events, ok := s.options.Feed.Next(ctx)
		if !ok {
			return
		}
		s.mu.Lock()
		for _, e := range events {
			s.board.apply(e)
		}
		s.version++
		close(s.changed)
		s.changed = make(chan struct{})
		s.mu.Unlock()
	}
}

// awaitClients gives those who look the time to learn of the end.
func (s *Server) awaitClients(ctx context.Context) {
	for deadline := time.Now().Add(leaveWithin); time.Now().Before(deadline); {
		s.mu.Lock()
		clients := s.clients
		s.mu.Unlock()
		if clients == 0 {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(lookEvery / 5):
		}
	}
}

// current is a view that is not old, and what tells of a newer one.
func (s *Server) current() (*view, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	age := time.Duration(1<<63 - 1)
	if s.view != nil {
		age = now.Sub(s.view.at)
	}
	if s.seen != s.version && age >= lookEvery || age >= tellEvery || s.board.finished != nil && s.seen != s.version {
		v, err := s.board.look(now)
		if err != nil {
			return nil, nil, err
		}
		s.view, s.seen = v, s.version
	}
	return s.view, s.changed, nil
}

// lines writes what the HTTP server says into a log.
type lines struct{ log *slog.Logger }

func (l lines) Write(p []byte) (int, error) {
	l.log.Debug("page", "said", strings.TrimSpace(string(p)))
	return len(p), nil
}
