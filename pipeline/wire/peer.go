package wire

import (
	"net"

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
