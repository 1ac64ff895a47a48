package keys

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"tsrun/pipeline/text"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/zmtp"
)

// Master returns what a master of this laboratory shows and checks. A slave that
// it has started itself shows the same.
func (s *Store) Master() (*zmtp.Security, error) {
	p, err := s.load("master")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &sdk.Failure{Code: "no-keys", Message: "this PC has no keys of a master in " + s.dir, Hint: `type "tsrun pair" here, and what it prints on the other PC`}
	}
	if err != nil {
		return nil, err
	}
	return s.security(p, "ca.crl", false, "tsrun keys issue --master")
}

// Node returns what the slave of a node shows and checks.
func (s *Store) Node(name string) (*zmtp.Security, error) {
	p, err := s.load("node-" + name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &sdk.Failure{Code: "no-keys", Message: fmt.Sprintf("this PC has no certificate for node %s in %s", name, s.dir),
			Hint: fmt.Sprintf(`type "tsrun pair" on the master's PC, and here the line that it prints, with --node %s; or say --tls off where the recipe says insecure: true`, name)}
	}
	if err != nil {
		return nil, err
	}
	return s.security(p, "node-"+name+".crl", true, "tsrun pair, on the master's PC")
}

// security makes a Security of keys that are valid now. A slave takes only a master's word.
func (s *Store) security(p *pair, revoked string, slave bool, renew string) (*zmtp.Security, error) {
	if err := s.checkTime(p.chain[0]); err != nil {
		return nil, &sdk.Failure{Code: "certificate-time", Message: "this PC's own certificate: " + err.Error(), Hint: "set the clock, or type: " + renew}
	}
	ca := p.ca()
	return &zmtp.Security{Certificate: p.tls(), Verify: func(chain []*x509.Certificate) (string, error) {
		return s.verify(ca, chain[0], revoked, slave)
	}}, nil
}

// verify returns whom a certificate names.
func (s *Store) verify(ca, c *x509.Certificate, revoked string, slave bool) (string, error) {
	name := fmt.Sprintf("the certificate of %s", text.Printable(c.Subject.CommonName))
	if !bytes.Equal(c.RawIssuer, ca.RawSubject) || c.CheckSignatureFrom(ca) != nil {
		return "", fmt.Errorf("%s is of another laboratory: it is signed by %s, here the CA is %s (%s); where both belong together, pair them anew: tsrun pair",
			name, text.Printable(c.Issuer.CommonName), ca.Subject.CommonName, Fingerprint(ca))
	}
	if err := s.checkTime(c); err != nil {
		return "", fmt.Errorf("%s %w", name, err)
	}
	list, err := s.revocations(ca, revoked)
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(list, func(e x509.RevocationListEntry) bool { return e.SerialNumber.Cmp(c.SerialNumber) == 0 }); i >= 0 {
		return "", fmt.Errorf("%s was revoked on %s; pair that PC anew: tsrun pair", name, list[i].RevocationTime.Format(time.DateOnly))
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca)
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return "", fmt.Errorf("%s: %w", name, err)
	}
	switch master := slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth); {
	case master:
		return wire.MasterName, nil
	case slave:
		return "", fmt.Errorf("%s is a node's, not a master's", name)
	}
	return c.Subject.CommonName, nil
}

// checkTime compares the validity of a certificate with this PC's clock.
func (s *Store) checkTime(c *x509.Certificate) error {
	const form = "2006-01-02 15:04 MST"
	now := s.now()
	switch {
	case now.Before(c.NotBefore):
		return fmt.Errorf("is not valid before %s, and the clock of this PC says %s: set the clock that is wrong", c.NotBefore.UTC().Format(form), now.UTC().Format(form))
	case now.After(c.NotAfter):
		return fmt.Errorf("expired on %s, and the clock of this PC says %s: pair anew (tsrun pair), or set the clock if it is wrong", c.NotAfter.UTC().Format(form), now.UTC().Format(form))
	}
	return nil
}

// Fingerprint returns the first 16 bytes of the SHA-256 of a certificate, in hexadecimal.
func Fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return hex.EncodeToString(sum[:16])
}
