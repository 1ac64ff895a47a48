package keys

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"tsrun/pipeline/text"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/zmtp"
)

// maxShown is how many bytes of a stranger's name are repeated.
const maxShown = 64

// Master returns what a master of this laboratory shows and checks: a node's
// certificate, or its own, which the slaves show that it has started itself.
func (s *Store) Master() (*zmtp.Security, error) {
	h, err := s.masterHolder()
	if err != nil {
		return nil, err
	}
	if err := s.checkTime(h.last.chain[0]); err != nil {
		return nil, &sdk.Failure{Code: "certificate-time", Message: "this PC's own certificate " + err.Error(), Hint: "set the clock where it is wrong, or type: tsrun keys issue --master"}
	}
	return h.security(h.verifyNode), nil
}

// Own returns what a slave shows and checks that the master of this PC has started:
// the master's certificate, at both ends.
func (s *Store) Own() (*zmtp.Security, error) {
	h, err := s.masterHolder()
	if err != nil {
		return nil, err
	}
	return h.security(h.verifyOwn), nil
}

func (s *Store) masterHolder() (*holder, error) {
	h, err := s.hold("master", "ca.crl", true)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &sdk.Failure{Code: "no-keys", Message: "this PC has no keys of a master in " + s.dir, Hint: `type "tsrun pair" here, and what it prints on the other PC`}
	}
	return h, err
}

// Node returns what the slave of a node shows and checks. Its own time is not
// checked here: the clock that is wrong may be this PC's, and both ends are told.
func (s *Store) Node(name string) (*zmtp.Security, error) {
	h, err := s.hold("node-"+name, "node-"+name+".crl", false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &sdk.Failure{Code: "no-keys", Message: fmt.Sprintf("this PC has no certificate for node %s in %s", name, s.dir),
			Hint: fmt.Sprintf(`type "tsrun pair --node %s" on the master's PC, and here the line that it prints; or say --tls off where the recipe says insecure: true`, name)}
	}
	if err != nil {
		return nil, err
	}
	return h.security(h.verifyMaster), nil
}

// holder holds the keys of one name as they are on the disk.
type holder struct {
	store  *Store
	name   string
	list   string // file of the list of revoked certificates
	needed bool   // without which nobody is believed

	mu   sync.Mutex
	last *pair // that could be read
}

func (s *Store) hold(name, list string, needed bool) (*holder, error) {
	p, err := s.load(name)
	if err != nil {
		return nil, err
	}
	return &holder{store: s, name: name, list: list, needed: needed, last: p}, nil
}

// keys returns the keys that are on the disk now. Where they cannot be read the last
// ones are shown on: whether they are good is for the other end to judge.
func (h *holder) keys() *pair {
	p, err := h.store.load(h.name)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.last = p
	}
	return h.last
}

func (h *holder) security(verify func(own *pair, c *x509.Certificate) (string, error)) *zmtp.Security {
	return &zmtp.Security{
		Certificate: func() *tls.Certificate { return h.keys().tls() },
		Verify: func(chain []*x509.Certificate) (string, error) {
			own := h.keys()
			if err := h.check(own.ca(), chain[0]); err != nil {
				return "", err
			}
			return verify(own, chain[0])
		},
		Still: func(chain []*x509.Certificate) error { return h.checkRevoked(h.keys().ca(), chain[0]) },
	}
}

func named(c *x509.Certificate) string {
	name := text.Printable(c.Subject.CommonName)
	if len(name) > maxShown {
		name = name[:maxShown] + "..."
	}
	return "the certificate of " + name
}

// verifyNode returns the node that a certificate of this laboratory names, or
// wire.MasterName where it is the master's own.
func (h *holder) verifyNode(own *pair, c *x509.Certificate) (string, error) {
	switch {
	case c.Equal(own.chain[0]):
		return wire.MasterName, nil
	case isMaster(c):
		return "", fmt.Errorf("%s is a master's, not a node's; where that PC is a node, pair it as one: tsrun pair", named(c))
	}
	return c.Subject.CommonName, nil
}

func (h *holder) verifyMaster(_ *pair, c *x509.Certificate) (string, error) {
	if !isMaster(c) {
		return "", fmt.Errorf("%s is a node's, not a master's; a master has its own from: tsrun keys issue --master, on the PC of the CA", named(c))
	}
	return wire.MasterName, nil
}

func (h *holder) verifyOwn(own *pair, c *x509.Certificate) (string, error) {
	if !c.Equal(own.chain[0]) {
		return "", fmt.Errorf("%s is not the one in %s, of the master that has started this slave", named(c), h.store.path(h.name+".key"))
	}
	return wire.MasterName, nil
}

// check returns why a certificate, whosever it is, is turned away.
func (h *holder) check(ca, c *x509.Certificate) error {
	if !bytes.Equal(c.RawIssuer, ca.RawSubject) || c.CheckSignatureFrom(ca) != nil {
		return fmt.Errorf("%s is of another laboratory (%.64s); that of %s is %s, fingerprint %s; where both PCs belong together, pair them anew: tsrun pair",
			named(c), text.Printable(c.Issuer.CommonName), thisPC(), ca.Subject.CommonName, Fingerprint(ca))
	}
	for _, each := range []*x509.Certificate{c, ca} {
		if err := h.store.checkTime(each); err != nil {
			return fmt.Errorf("%s %w", named(each), err)
		}
	}
	if err := h.checkRevoked(ca, c); err != nil {
		return err
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: h.store.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return fmt.Errorf("%s: %w", named(c), err)
	}
	return nil
}

func (h *holder) checkRevoked(ca, c *x509.Certificate) error {
	list, err := h.store.list(ca, h.list, h.needed)
	if err != nil {
		return err
	}
	if at := revokedAt(list, c); !at.IsZero() {
		return fmt.Errorf("%s was revoked on %s, or another was issued in its place; that PC must be paired anew: tsrun pair", named(c), at.UTC().Format(clock))
	}
	return nil
}

// clock is how a time is written that a user compares with a clock.
const clock = "2006-01-02 15:04 MST"

// checkTime compares the validity of a certificate with this PC's clock.
func (s *Store) checkTime(c *x509.Certificate) error {
	now := s.now()
	says := fmt.Sprintf("the clock of %s says %s", thisPC(), now.UTC().Format(clock))
	switch {
	case now.Before(c.NotBefore):
		return fmt.Errorf("is not valid before %s, and %s: set the clock that is wrong", c.NotBefore.UTC().Format(clock), says)
	case now.After(c.NotAfter):
		return fmt.Errorf("expired on %s, and %s: pair anew (tsrun pair), or set the clock if it is wrong", c.NotAfter.UTC().Format(clock), says)
	}
	return nil
}

// Fingerprint returns the first 16 bytes of the SHA-256 of a certificate, in hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:16])
}
