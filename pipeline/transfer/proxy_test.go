package transfer

import (
	"io"
	"net"
	"sync"
	"testing"
)

// proxy is a bad network between a sender and a receiver. It passes on what
// the dialing side says after letting treat have a go at it.
type proxy struct {
	l       net.Listener
	target  string
	treat   func(conn int, at int64, b []byte) bool // false: cut here
	running sync.WaitGroup

	mu    sync.Mutex
	conns []net.Conn
	n     int
}

func newProxy(t *testing.T, target string, treat func(conn int, at int64, b []byte) bool) *proxy {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, target: target, treat: treat}
	p.running.Go(p.accept)
	t.Cleanup(p.close)
	return p
}

func (p *proxy) addr() string { return p.l.Addr().String() }

func (p *proxy) accept() {
	for {
		in, err := p.l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", p.target)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.n++
		n := p.n
		p.mu.Unlock()
		end := func() { in.Close(); out.Close() }
		p.running.Go(func() { io.Copy(in, out); end() })
		p.running.Go(func() { p.pass(n, out, in); end() })
	}
}

func (p *proxy) pass(conn int, out, in net.Conn) {
	b := make([]byte, 32<<10)
	for at := int64(0); ; {
		n, err := in.Read(b)
		if err != nil || !p.treat(conn, at, b[:n]) {
			return
		}
		if _, err := out.Write(b[:n]); err != nil {
			return
		}
		at += int64(n)
	}
}

// seen returns how many connections came through.
func (p *proxy) seen() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.n
}

func (p *proxy) close() {
	p.l.Close()
	p.mu.Lock()
	for _, c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}
