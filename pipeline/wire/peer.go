package wire

import (
	"net"

	"tsrun/sdk/zmtp"
)

// MasterName is what a certificate of a master gives its owner for a name: it is no
// node's. The slaves that a master starts on its own PC show the same.
const MasterName = "*"

// Guard is what a port does about strangers.
type Guard struct {
	Security *zmtp.Security // nil: none; the port can be reached by anybody
	// Refused hears why a peer was turned away before it could say anything; nil: nobody does.
	Refused func(peer net.Addr, why error)
}

// Peer is who asks at a port.
type Peer struct {
	Address string
	Name    string // of its certificate; empty without TLS
}

// MayBe reports whether the certificate of a peer, where there are any, lets it be a node.
func (p Peer) MayBe(node string) bool { return MayBe(p.Name, node) }

// MayBe reports whether the name of a certificate lets its owner be a node; an empty
// name is that of a peer without TLS, of whom nothing is known.
func MayBe(name, node string) bool { return name == "" || name == node || name == MasterName }
