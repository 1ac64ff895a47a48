// Package keys is what tells the PCs of one laboratory from all others: a private
// CA, a certificate for the master and for each node, and a list of those that
// are revoked.
//
//	the master's PC                          another PC
//	ca.key ca.crl issued/ master.key         node-bob.key node-bob.crl
//	Listen ── code, for a person to carry ──▶ Join: its key never leaves it
//
// A file NAME.key has a key, its certificate and that of the CA. A certificate names
// a node, or is a master's; of each name only the newest is good. It is proven by
// TLS (package zmtp) and checked by the Security that this package makes, which reads
// the files for each connection: what is issued or revoked counts at once. Key files
// are for their owner's eyes alone, and are refused where others may read them.
package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tsrun/pipeline/text"
	"tsrun/sdk"
)

const (
	// Validity is how long a certificate is valid where nobody says otherwise.
	Validity   = 5 * 365 * 24 * time.Hour
	caValidity = 30 * 365 * 24 * time.Hour
	// early is how long before it is issued a certificate is valid: the clocks of
	// PCs differ.
	early = time.Hour
)

// Init makes the CA of this laboratory and the certificate of its master, and
// reports whether there was none.
func (s *Store) Init() (made bool, err error) {
	done, err := s.change()
	if err != nil {
		return false, err
	}
	defer done()
	if _, err := s.authority(); err == nil {
		return false, nil
	} else if !isNone(err) {
		return false, err
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return false, err
	}
	now := s.now()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "tsrun laboratory " + rand.Text()[:8]},
		NotBefore: now.Add(-early), NotAfter: now.Add(caValidity),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, key)
	if err != nil {
		return false, err
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return false, err
	}
	// ca.key comes last: while it is missing, all of it is made anew.
	ca := &pair{key, []*x509.Certificate{c}}
	if err := s.writeList(ca, nil, nil); err != nil {
		return false, err
	}
	if err := s.issueMaster(ca, Validity); err != nil {
		return false, err
	}
	return true, s.save("ca", ca)
}

// authority loads the CA with its key.
func (s *Store) authority() (*pair, error) {
	p, err := s.load("ca")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &none{&sdk.Failure{Code: "no-keys", Message: "there is no CA in " + s.dir,
			Hint: `on the master's PC "tsrun pair", or "tsrun keys init", makes one; on another PC nothing can be issued or revoked`}}
	}
	return p, err
}

// none reports keys that are not there, as opposed to keys that cannot be used.
type none struct{ *sdk.Failure }

func (n *none) Unwrap() error { return n.Failure }

func isNone(err error) bool {
	var n *none
	return errors.As(err, &n)
}

// serial returns a random number of 127 bits.
func serial() *big.Int {
	b := make([]byte, 16)
	rand.Read(b) // never fails
	b[0] &= 0x7f
	return new(big.Int).SetBytes(b)
}

// sign issues a certificate for a public key: a node's, or a master's where
// master is set. The caller has called change.
func (s *Store) sign(ca *pair, key ed25519.PublicKey, name string, master bool, validity time.Duration) (*x509.Certificate, error) {
	now := s.now()
	until := now.Add(validity)
	if last := ca.chain[0].NotAfter; until.After(last) {
		until = last
	}
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-early), NotAfter: until,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, BasicConstraintsValid: true,
	}
	if master {
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.chain[0], key, ca.key)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("issue certificate: %w", err)
	}
	return c, s.write(filepath.Join("issued", c.SerialNumber.Text(16)+".pem"), encodeChain([]*x509.Certificate{c}))
}

// isMaster reports whether a certificate is a master's; others are a node's.
func isMaster(c *x509.Certificate) bool {
	return slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
}

// IssueMaster issues this PC's certificate as a master, in place of the one before.
func (s *Store) IssueMaster(validity time.Duration) error {
	done, err := s.change()
	if err != nil {
		return err
	}
	defer done()
	ca, err := s.authority()
	if err != nil {
		return err
	}
	return s.issueMaster(ca, validity)
}

func (s *Store) issueMaster(ca *pair, validity time.Duration) error {
	return s.issue(ca, s, "master", "master "+thisPC(), true, validity)
}

// thisPC returns what this PC is called.
func thisPC() string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "without a name"
	}
	return text.Printable(host[:min(len(host), 64)])
}

// Issue makes a key and a certificate for a node in the directory out, which is
// then brought to the node's PC. Pairing needs no key that travels.
func (s *Store) Issue(node, out string, validity time.Duration) error {
	done, err := s.change()
	if err != nil {
		return err
	}
	defer done()
	ca, err := s.authority()
	if err != nil {
		return err
	}
	return s.issue(ca, &Store{dir: out, now: s.now}, "node-"+node, node, false, validity)
}

func (s *Store) issue(ca *pair, target *Store, file, name string, master bool, validity time.Duration) error {
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	c, err := s.sign(ca, public, name, master, validity)
	if err != nil {
		return err
	}
	if err := target.save(file, &pair{key, []*x509.Certificate{c, ca.chain[0]}}); err != nil {
		return err
	}
	_, err = s.retire(ca, c)
	return err
}
