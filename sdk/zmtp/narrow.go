package zmtp

import (
	"net/netip"
	"sync"
	"time"
)

// On some ways long packets vanish and nobody is told: a tunnel that takes fewer bytes
// than the networks at its ends, and a firewall that lets no word of it back. What is
// short passes there, such as a handshake, and the first long message never arrives. So
// who dials such an address again asks, in its first packet, for shorter ones in both
// directions.

// segmentLimits are the bytes of a TCP segment that are asked for one time after another:
// what a packet of 1280 bytes carries, the least that IPv6 allows, and one of 576.
var segmentLimits = []int{0, 1160, 500}

const (
	narrowFor  = 10 * time.Minute // after a connection was stuck
	narrowStep = 5 * time.Second  // connections that are stuck together count once
	maxNarrow  = 64               // addresses; a process dials a handful
)

// narrowWays are addresses to which connections were stuck.
type narrowWays struct {
	mu   sync.Mutex
	ways map[string]narrowWay
}

type narrowWay struct {
	step int // in segmentLimits
	at   time.Time
}

var narrow narrowWays

// limit returns how long segments to an address may be; 0: as long as the network says.
func (n *narrowWays) limit(addr string, now time.Time) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	w, ok := n.ways[addr]
	if ok && now.Sub(w.at) > narrowFor {
		delete(n.ways, addr)
		return 0
	}
	return segmentLimits[w.step]
}

// stuck notes that something sent to an address, or an answer from it, has not arrived.
func (n *narrowWays) stuck(addr string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	w, ok := n.ways[addr]
	switch {
	case !ok && len(n.ways) >= maxNarrow:
		return
	case ok && now.Sub(w.at) < narrowStep:
		return
	case n.ways == nil:
		n.ways = map[string]narrowWay{}
	}
	n.ways[addr] = narrowWay{min(w.step+1, len(segmentLimits)-1), now}
}

// ofThisPC reports whether an address as a socket has it is of this PC's own network,
// which loses nothing and where short packets would only be slow.
func ofThisPC(addr string) bool {
	a, err := netip.ParseAddrPort(addr)
	return err == nil && a.Addr().Unmap().IsLoopback()
}

// Unanswered notes that the peer should have answered long ago: its answer may be too
// long for the way. The next connection to it is made with shorter packets.
func (c *Conn) Unanswered() {
	if c.dialled != "" {
		narrow.stuck(c.dialled, time.Now())
	}
}
