package master

import (
	"errors"
	"net"
	"sync"

	"tsrun/pipeline/event"
	"tsrun/sdk/zmtp"
)

// strangers remembers who was turned away, so that the user is told once. Each port tells it.
type strangers struct {
	mu   sync.Mutex
	told map[string]bool // by who it was and reason
}

// isNew reports whether the user is to be told of somebody who was turned away.
func (s *strangers) isNew(who, why string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.told[who+" "+why] || len(s.told) >= maxTurned {
		return false
	}
	if s.told == nil {
		s.told = map[string]bool{}
	}
	s.told[who+" "+why] = true
	return true
}

// turnAway tells the user of a PC that could not connect: it may be one that is waited for.
func (c *conductor) turnAway(peer net.Addr, why error) {
	if w, ok := c.strangers.turnedAway(peer, why); ok {
		c.log.Warn("peer turned away", "address", peer.String(), "why", why.Error())
		c.observe(w)
	}
}

// turnedAway is what the user is told of a peer that could not connect; ok is false where
// that was told before.
func (s *strangers) turnedAway(peer net.Addr, why error) (w event.Warning, ok bool) {
	host, _, err := net.SplitHostPort(peer.String())
	if err != nil || !s.isNew(host, why.Error()) {
		return w, false
	}
	var hint string
	switch {
	case errors.Is(why, zmtp.ErrPeerPlain):
		hint = `where it belongs to this laboratory, type "tsrun pair" here and what that prints there; a slave with --tls off, or of an older release, speaks without TLS`
	case errors.Is(why, zmtp.ErrPeerSecure):
		hint = "start its slave with --tls off, or remove network.insecure from the recipe"
	}
	return event.Warning{Message: "a PC at " + host + " was turned away: " + why.Error(), Hint: hint}, true
}

// tellInsecure repeats to the user what the recipe says.
func (c *conductor) tellInsecure() {
	if c.recipe.Network.Exposed() {
		c.observe(event.Warning{Message: "network.insecure: what the PCs say to each other is neither encrypted nor proven, so anybody on the network between can read and change it",
			Hint: "pair the PCs (tsrun pair) and remove insecure"})
	}
}
