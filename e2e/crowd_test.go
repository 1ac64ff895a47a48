package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tsrun/internal/hostile"
	"tsrun/pipeline/clock"
	"tsrun/pipeline/datagram"
	"tsrun/pipeline/transfer"
	"tsrun/pipeline/wire"
)

// crowd is strangers at the ports of a master: each says what strangers say, and what
// tsrun itself says to a master whose token it does not have, recorded and changed.
type crowd struct {
	host    string
	ports   map[string]int // trigger, status, files, clock
	ctx     context.Context
	working sync.WaitGroup
	came    atomic.Int64 // connections and packets

	certificates []tls.Certificate // what strangers show where the master wants TLS: of this laboratory, of another, none
	hellos       [][]byte          // and what they say before it

	mu       sync.Mutex
	recorded map[string][][]byte
}

// dial connects to a port, in TLS with one of the certificates where that is wanted.
func (c *crowd) dial(port string, certificate int) (net.Conn, error) {
	nc, err := net.DialTimeout("tcp", c.address(port), time.Second)
	if err != nil || len(c.certificates) == 0 {
		return nc, err
	}
	config := &tls.Config{MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, NextProtos: []string{"tsrun-zmtp/1"}}
	if shown := c.certificates[certificate%len(c.certificates)]; shown.PrivateKey != nil {
		config.Certificates = []tls.Certificate{shown}
	}
	secure := tls.Client(nc, config)
	_ = nc.SetDeadline(time.Now().Add(2 * time.Second))
	err = secure.HandshakeContext(c.ctx)
	if err == nil {
		_, err = secure.Write([]byte{0, 0}) // the master's certificate is good
	}
	if err != nil {
		nc.Close()
		return nil, err
	}
	_ = nc.SetDeadline(time.Time{})
	return secure, nil
}

// reset ends a connection in the way that a process does that was killed.
func reset(nc net.Conn) {
	if secure, ok := nc.(*tls.Conn); ok {
		nc = secure.NetConn()
	}
	_ = nc.(*net.TCPConn).SetLinger(0)
	nc.Close()
}

var suits = map[string]string{"trigger": "SUB", "status": "REQ", "files": "PAIR"}

func (c *crowd) address(port string) string {
	return net.JoinHostPort(c.host, strconv.Itoa(c.ports[port]))
}

// begin lets the crowd in, until ctx ends.
func (c *crowd) begin(t *testing.T) {
	c.recorded = map[string][][]byte{}
	for port := range suits {
		c.imitate(t, port)
		for seed := range uint64(2) {
			c.working.Go(func() { c.speak(port, rand.New(rand.NewPCG(seed, uint64(c.ports[port])))) })
		}
		c.working.Go(func() { c.idle(port) })
	}
	c.working.Go(c.packets)
	c.working.Go(c.imitateClock)
}

func (c *crowd) pause(d time.Duration) {
	select {
	case <-c.ctx.Done():
	case <-time.After(d):
	}
}

// imitate has tsrun's own clients speak to a port without its token, and records what
// they say.
func (c *crowd) imitate(t *testing.T, port string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	context.AfterFunc(c.ctx, func() { l.Close() })
	c.working.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := c.dial(port, 0)
			if err == nil && len(c.certificates) > 0 {
				_, err = io.ReadFull(out, make([]byte, 2)) // which says what it thinks of the certificate
			}
			if err != nil {
				in.Close()
				continue
			}
			end := context.AfterFunc(c.ctx, func() { in.Close(); out.Close() })
			c.working.Go(func() { defer in.Close(); _, _ = io.Copy(in, out) })
			c.working.Go(func() {
				defer end()
				defer out.Close()
				var said bytes.Buffer
				_, _ = io.Copy(out, io.TeeReader(in, &said))
				c.mu.Lock()
				defer c.mu.Unlock()
				if len(c.recorded[port]) < 100 && said.Len() < 1<<20 {
					c.recorded[port] = append(c.recorded[port], said.Bytes())
				}
			})
		}
	})
	token := strings.Repeat("5", 32)
	c.working.Go(func() {
		for n := 0; c.ctx.Err() == nil; n++ {
			ctx, cancel := context.WithTimeout(c.ctx, 2*time.Second)
			switch port {
			case "trigger":
				if s, err := wire.DialTrigger(ctx, l.Addr().String(), token, nil); err == nil {
					<-ctx.Done()
					s.Close()
				}
			case "status":
				client := wire.NewStatusClient(l.Addr().String(), nil)
				for _, r := range questions(token, n) {
					if body, err := json.Marshal(r); err == nil {
						_, _ = client.Call(ctx, body)
					}
				}
				client.Close()
			case "files":
				c.sendFile(ctx, l.Addr().String())
			}
			cancel()
			c.pause(200 * time.Millisecond)
		}
	})
}

// questions are what a slave asks, by one who is none.
func questions(token string, n int) []wire.Request {
	instance := fmt.Sprintf("%016x", n)
	stranger := &wire.Join{Protocol: wire.Protocol, Instance: instance, Version: "1", Host: "\x1b[2Jpc", PID: n}
	own := &wire.Join{Protocol: wire.Protocol, Instance: instance, Host: "pc"}
	wire.NewIdentity().Sign("bob", own)
	older := &wire.Join{Protocol: 1, Instance: instance}
	long := &wire.Report{Phase: wire.Running, News: make([]wire.News, 2000)}
	return []wire.Request{
		{Node: "bob", Join: own}, {Node: "alice", Join: stranger}, {Node: strings.Repeat("x", 1000), Join: stranger}, {Node: "bob", Join: older},
		{Node: "bob", Token: token, Report: &wire.Report{Phase: wire.Done, Order: 99}}, {Node: "bob", Token: token, Report: long},
		{Node: "bob", Token: token, File: []byte(`{"id":1,"name":"../../x","size":9223372036854775807}`)}, {Node: "bob", Report: long},
	}
}

// sendFile sends a file that nobody wants.
func (c *crowd) sendFile(ctx context.Context, addr string) {
	path := filepath.Join(os.TempDir(), fmt.Sprintf("tsrun-stranger-%d", os.Getpid()))
	if os.WriteFile(path, make([]byte, 200_000), 0o600) != nil {
		return
	}
	defer os.Remove(path)
	s := transfer.NewSender(transfer.SenderOptions{Addr: addr, Token: [16]byte{9}, Streams: 2,
		Ask: func(context.Context, transfer.File) (transfer.Answer, error) {
			return transfer.Answer{Missing: []transfer.Range{{Offset: 0, Length: 200_000}}}, nil
		}})
	s.Queue(transfer.File{ID: 1, Name: "raw/bob/x.bin", Size: 200_000, Path: path})
	s.Finish()
	_ = s.Run(ctx)
}

// speak says one thing after the other to a port, at once or byte by byte, and leaves
// in one of the ways in which one may leave.
func (c *crowd) speak(port string, r *rand.Rand) {
	known := hostile.Bytes(suits[port])
	var names []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	for c.ctx.Err() == nil {
		said := known[names[r.IntN(len(names))]]
		c.mu.Lock()
		if own := c.recorded[port]; len(own) > 0 && r.IntN(3) > 0 {
			said = own[r.IntN(len(own))]
		}
		c.mu.Unlock()
		dial := func() (net.Conn, error) { return c.dial(port, r.IntN(4)) }
		if len(c.hellos) > 0 && r.IntN(2) == 0 { // before TLS is spoken
			dial = func() (net.Conn, error) { return net.DialTimeout("tcp", c.address(port), time.Second) }
			if r.IntN(4) > 0 {
				said = c.hellos[r.IntN(len(c.hellos))]
			}
		}
		said = hostile.Mutate(r, said)
		nc, err := dial()
		if err != nil {
			c.pause(10 * time.Millisecond)
			continue
		}
		c.came.Add(1)
		if r.IntN(8) == 0 { // slowly
			for i := 0; i < min(len(said), 100) && c.ctx.Err() == nil; i++ {
				if _, err := nc.Write(said[i : i+1]); err != nil {
					break
				}
				c.pause(20 * time.Millisecond)
			}
		} else {
			_ = nc.SetWriteDeadline(time.Now().Add(time.Second))
			_, _ = nc.Write(said)
		}
		switch r.IntN(4) {
		case 0:
			reset(nc)
		case 1:
			_ = nc.(interface{ CloseWrite() error }).CloseWrite() // of TCP or of TLS
			_ = nc.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, _ = io.Copy(io.Discard, nc)
		case 2:
			c.pause(time.Duration(r.IntN(50)) * time.Millisecond)
		}
		nc.Close()
	}
}

// idle connects as often as a port has places and more, a half of them with a
// handshake, and says no more.
func (c *crowd) idle(port string) {
	for c.ctx.Err() == nil {
		var conns []net.Conn
		for i := range 200 {
			nc, err := net.DialTimeout("tcp", c.address(port), time.Second)
			if err != nil {
				continue
			}
			c.came.Add(1)
			conns = append(conns, nc)
			switch {
			case i%2 == 0 && len(c.hellos) > 0:
				_, _ = nc.Write(c.hellos[i%len(c.hellos)])
			case i%2 == 0:
				_, _ = nc.Write(hostile.Bytes(suits[port])["ready, then silence"])
			}
		}
		c.pause(3 * time.Second)
		for _, nc := range conns {
			nc.Close()
		}
	}
}

// packets sends the clock port what is no probe of anybody it knows.
func (c *crowd) packets() {
	r := rand.New(rand.NewPCG(5, 5))
	nc, err := net.Dial("udp", c.address("clock"))
	if err != nil {
		return
	}
	defer nc.Close()
	for c.ctx.Err() == nil {
		b := make([]byte, []int{0, 1, 79, 80, 80, 81, 1400}[r.IntN(7)])
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		if len(b) >= 80 {
			copy(b, "tsck\x01\x01")
		}
		for range 50 {
			_, _ = nc.Write(b) // fails while nobody listens
			c.came.Add(1)
		}
		c.pause(time.Millisecond)
	}
}

// imitateClock asks for the time as a node does, under a session that nobody gave it.
func (c *crowd) imitateClock() {
	p, err := clock.Dial(c.host, datagram.Access{Port: c.ports["clock"], Session: 7, Key: make([]byte, datagram.KeySize)})
	if err == nil {
		_ = p.Run(c.ctx)
	}
}
