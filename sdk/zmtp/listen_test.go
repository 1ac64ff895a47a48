package zmtp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/internal/hostile"
)

func TestHostilePeersHarmNobody(t *testing.T) {
	l, err := Listen("tcp", "127.0.0.1:0", zmq4.Pull, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for name, said := range hostile.Bytes("PUSH") {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write(said); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	push, err := Dial(t.Context(), "tcp", l.Addr().String(), zmq4.Push)
	if err != nil {
		t.Fatal(err)
	}
	defer push.Close()
	if err := push.Send(wait, []byte("good")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	var served atomic.Bool
	var tooLarge atomic.Int32
	l.Serve(ctx, func(c *Conn) { // some say no more until they are closed
		frame, _, err := c.ReadFrame(make([]byte, 16))
		if string(frame) == "good" {
			served.Store(true)
		}
		if errors.Is(err, ErrFrameTooLarge) {
			tooLarge.Add(1)
		}
		if served.Load() && tooLarge.Load() >= 3 { // 2^40, 2^62 and 2^63 bytes
			cancel()
		}
	})
	if !served.Load() || tooLarge.Load() < 3 {
		t.Fatalf("good peer served: %v, too large frames: %d", served.Load(), tooLarge.Load())
	}
}

func TestFloodOfSilentClientsKeepsNobodyOut(t *testing.T) {
	l, err := Listen("tcp", "127.0.0.1:0", zmq4.Pull, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range maxScreened * 2 {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
	}
	push, err := Dial(t.Context(), "tcp", l.Addr().String(), zmq4.Push)
	if err != nil {
		t.Fatal(err)
	}
	defer push.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.screened); n > maxScreened {
		t.Fatalf("%d handshakes at once", n)
	}
}

func TestMaxConnsTurnsAwayUntilOneLeaves(t *testing.T) {
	l, err := Listen("tcp", "127.0.0.1:0", zmq4.Pull, Options{MaxConns: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	first, err := Dial(ctx, "tcp", l.Addr().String(), zmq4.Push)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	served, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	second, err := Dial(ctx, "tcp", l.Addr().String(), zmq4.Push)
	if err != nil {
		t.Fatal(err) // the handshake is done before the place is asked for
	}
	if _, _, err := second.ReadFrame(make([]byte, 8)); err == nil {
		t.Fatal("a second peer was kept")
	}
	served.Close()
	third, err := Dial(ctx, "tcp", l.Addr().String(), zmq4.Push)
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	c, err := l.Accept(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
}

// exhausted is a listener of a process without file descriptors left.
type exhausted struct {
	net.Listener
	asked atomic.Int64
}

func (e *exhausted) Accept() (net.Conn, error) { e.asked.Add(1); return nil, syscall.EMFILE }
func (e *exhausted) Close() error              { return nil }

func TestNoDescriptorsIsNoBusyLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &exhausted{}
		l := serve(e, zmq4.Pull, Options{})
		time.Sleep(time.Second) // of the bubble's clock
		l.Close()
		if n := e.asked.Load(); n < 2 || n > 25 {
			t.Fatalf("asked %d times in a second", n)
		}
	})
}

func TestPortInUseSaysWhichAndWhatToDo(t *testing.T) {
	l, err := Listen("tcp", "127.0.0.1:0", zmq4.Pull, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, err = Listen("tcp", l.Addr().String(), zmq4.Pull, Options{})
	_, port, _ := net.SplitHostPort(l.Addr().String())
	if err == nil || !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), port) || !strings.Contains(err.Error(), "choose another port") {
		t.Fatalf("got %v", err)
	}
}

func TestUnixPath(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	fd, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	fd.(*net.UnixListener).SetUnlinkOnClose(false) // as a killed process leaves it
	fd.Close()
	l, err := Listen("unix", stale, zmq4.Pull, Options{})
	if err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	l.Close()

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("data"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen("unix", file, zmq4.Pull, Options{}); err == nil || !strings.Contains(err.Error(), "no socket") {
		t.Fatalf("over a file: %v", err)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "data" {
		t.Fatalf("the file was touched: %q, %v", b, err)
	}
	if _, err := Listen("unix", "/tmp/"+strings.Repeat("x", 110), zmq4.Pull, Options{}); err == nil || !strings.Contains(err.Error(), "shorter directory") {
		t.Fatalf("long path: %v", err)
	}
}

func TestCloseEndsEverything(t *testing.T) {
	l, err := Listen("tcp", "127.0.0.1:0", zmq4.Pull, Options{})
	if err != nil {
		t.Fatal(err)
	}
	silent, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	unasked, err := Dial(t.Context(), "tcp", l.Addr().String(), zmq4.Push) // never accepted
	if err != nil {
		t.Fatal(err)
	}
	defer unasked.Close()
	accepting := make(chan error, 1)
	go func() {
		var err error
		for err == nil {
			var c *Conn
			if c, err = l.Accept(context.Background()); err == nil {
				defer c.Close()
			}
		}
		accepting <- err
	}()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-accepting; !errors.Is(err, net.ErrClosed) {
		t.Fatalf("Accept after Close: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatalf("second Close: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("enough"))
	if _, err := l.Accept(ctx); err == nil {
		t.Fatal("accepted after Close")
	}
}
