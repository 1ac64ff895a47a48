package web

import (
	"net"
	"os"
	"sync"
)

// counted is a listener with at most so many connections at a time: more are closed at once.
type counted struct {
	net.Listener
	room chan struct{}
}

func newCounted(l net.Listener, most int) net.Listener {
	return &counted{l, make(chan struct{}, most)}
}

// Accept returns the next connection that there is room for.
func (c *counted) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case c.room <- struct{}{}:
			return &held{Conn: conn, leave: sync.OnceFunc(func() { <-c.room })}, nil
		default:
			conn.Close()
		}
	}
}

// held is a connection that takes a place until it is closed.
type held struct {
	net.Conn
	leave func()
}

// Close gives the place to another.
func (h *held) Close() error {
	defer h.leave()
	return h.Conn.Close()
}

// thisPC is what this PC is called.
func thisPC() string {
	name, err := os.Hostname()
	if err != nil {
		return "localhost"
	}
	return name
}
