package keys

import (
	"net"
	"slices"
	"sync"
)

// maxGuests is how many may ask at the port of pairing at once.
const maxGuests = 64

// guests are the connections at the port of pairing. When there are too many, the
// oldest of the address that has the most makes room: who floods the port from one
// address keeps nobody else out.
type guests struct {
	mu      sync.Mutex
	here    []net.Conn // oldest first
	trusted net.Conn   // who has shown the code; it makes no room
}

func (g *guests) admit(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.here) >= maxGuests {
		i := g.leastWorthy()
		g.here[i].Close() // its goroutine ends, and calls leave
		g.here = slices.Delete(g.here, i, i+1)
	}
	g.here = append(g.here, c)
}

// leastWorthy returns the oldest connection of the address that has the most. The caller holds g.mu.
func (g *guests) leastWorthy() int {
	of := map[string]int{}
	for _, c := range g.here {
		of[hostOf(c)]++
	}
	worst := -1
	for i, c := range g.here {
		if c != g.trusted && (worst < 0 || of[hostOf(c)] > of[hostOf(g.here[worst])]) {
			worst = i
		}
	}
	return worst
}

func hostOf(c net.Conn) string {
	host, _, err := net.SplitHostPort(c.RemoteAddr().String())
	if err != nil {
		return ""
	}
	return host
}

func (g *guests) trust(c net.Conn) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.trusted = c
}

func (g *guests) leave(c net.Conn) {
	c.Close()
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := slices.Index(g.here, c); i >= 0 {
		g.here = slices.Delete(g.here, i, i+1)
	}
}

// dismiss closes every connection.
func (g *guests) dismiss() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range g.here {
		c.Close()
	}
}
