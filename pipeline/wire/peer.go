package wire

import (
	"bytes"
	"encoding/json"
	"net"
	"time"

	"tsrun/sdk/zmtp"
)

// MasterName is the name of a master, which its certificate gives it: it is no node's.
// The slaves that a master starts on its own PC show the same certificate.
const MasterName = "*"

// Guard is what a port does about strangers.
type Guard struct {
	Security *zmtp.Security // nil: none; the port can be reached by anybody
	// Refused hears why a peer was turned away before it could say anything; nil: nobody does.
	Refused func(peer net.Addr, why error)
	// Admits returns the node whose session has a token, where the peer may be that
	// node. Until it does, a peer is a stranger. nil: nobody is.
	Admits func(peer Peer, token string) (node string, ok bool)
}

// What a stranger may take at a port.
const (
	// StrangerTime is how long a peer may take to show a token, from when it connects:
	// a handshake, and one question over a cable on which it takes seconds.
	StrangerTime = 20 * time.Second
	// MaxStranger is how many bytes are heard of one question before a token is shown.
	// A Join has a few hundred, and some 2000 with all that it may hold.
	MaxStranger = 4 << 10
)

// options are those of a port's listener.
func (g Guard) options(maxFrame uint64) zmtp.Options {
	o := zmtp.Options{MaxConns: maxPeers, MaxFrame: maxFrame, Displace: true, Security: g.Security, Refused: g.Refused}
	if g.Admits != nil {
		o.Strangers = StrangerTime
	}
	return o
}

// admits keeps a connection whose peer shows a token, and reports whether it does.
func (g Guard) admits(c *zmtp.Conn, token string) bool {
	if g.Admits == nil {
		return true
	}
	node, ok := g.Admits(peerOf(c), token)
	if ok {
		c.Keep(node)
	}
	return ok
}

func peerOf(c *zmtp.Conn) Peer { return Peer{Address: c.RemoteAddr().String(), Name: c.PeerName()} }

// Shown returns the node and the token that a request shows at its beginning, which
// may be all there is of it.
func Shown(start []byte) (node, token string) {
	d := json.NewDecoder(bytes.NewReader(start))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return "", ""
	}
	for {
		key, err := d.Token()
		if err != nil {
			return node, token
		}
		value, err := d.Token()
		text, ok := value.(string)
		switch {
		case err != nil || !ok:
			return node, token
		case key == "node":
			node = text
		case key == "token":
			token = text
		}
	}
}

// Peer is who asks at a port.
type Peer struct {
	Address string
	Name    string // of its certificate; empty without TLS
}

// CertifiedAs returns the name that the certificate of a node's slave has: the
// node's own, or where the master starts it on its own PC, the master's.
func CertifiedAs(node string, local bool) string {
	if local {
		return MasterName
	}
	return node
}

// MayBe reports whether a peer may be the one whose certificate has a name. Of a peer
// without TLS, which has none, nothing is known.
func (p Peer) MayBe(certified string) bool { return p.Name == "" || p.Name == certified }

// WhoseCertificate says in words whose certificate a name is of.
func WhoseCertificate(name string) string {
	if name == MasterName {
		return "the master"
	}
	return "node " + name
}
