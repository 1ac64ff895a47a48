// Package keys is what tells the PCs of one laboratory from all others: a private
// CA, a certificate for the master and for each node, and a list of those that
// are revoked.
//
//	the master's PC                                 another PC
//	ca.key ca.pem ca.crl issued/                    node-bob.key node-bob.pem node-bob.crl
//	master.key master.pem                             ▲
//	Listen ── code, for a person to carry ──▶ Join ───┘  its key never leaves it
//
// A certificate names a node, or is a master's. It is proven by TLS (package
// zmtp) and checked by the Security that this package makes. Key files are for
// their owner's eyes alone, and are refused where others may read them.
package keys

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tsrun/sdk"
)

const (
	// Validity is how long a certificate is valid where nobody says otherwise.
	Validity   = 5 * 365 * 24 * time.Hour
	caValidity = 30 * 365 * 24 * time.Hour
	// early is how long before it is issued a certificate is valid: the clocks of
	// PCs differ.
	early = time.Hour

	maxFile = 1 << 20 // bytes of a file of keys
)

// Variable is the environment variable that names the directory of keys.
const Variable = "TSRUN_KEYS"

// Store is a directory of keys.
type Store struct {
	dir string
	now func() time.Time
}

// Open returns the directory of keys: dir, or where that is empty what Variable
// names, or tsrun/keys in the user's directory of settings. It need not be there yet;
// it is refused where others than its owner may enter it.
func Open(dir string) (*Store, error) {
	if dir == "" {
		dir = os.Getenv(Variable)
	}
	if dir == "" {
		config, err := os.UserConfigDir()
		if err != nil {
			return nil, &sdk.Failure{Code: "keys-directory", Message: fmt.Sprintf("find the directory of keys: %v", err),
				Hint: "name one with --keys or " + Variable}
		}
		dir = filepath.Join(config, "tsrun", "keys")
	}
	s := &Store{dir: dir, now: time.Now}
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return s, nil
	case err != nil:
		return nil, &sdk.Failure{Code: "keys-directory", Message: fmt.Sprintf("look at the directory of keys: %v", err), Hint: "name another with --keys"}
	case !info.IsDir():
		return nil, &sdk.Failure{Code: "keys-directory", Message: dir + " is no directory", Hint: "name another with --keys"}
	}
	return s, private(dir, info, 0o700)
}

// private refuses what others than its owner may read.
func private(path string, info fs.FileInfo, want fs.FileMode) error {
	if info.Mode().Perm()&0o077 == 0 {
		return nil
	}
	return &sdk.Failure{Code: "keys-readable", Message: fmt.Sprintf("others than its owner may read %s (mode %04o), so what is in it proves nothing", path, info.Mode().Perm()),
		Hint: fmt.Sprintf("chmod %o %s; where others may have read it, type: tsrun keys revoke NAME, and pair anew", want, path)}
}

// Dir returns the directory.
func (s *Store) Dir() string { return s.dir }

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// read reads a file of the store; fs.ErrNotExist where there is none.
func (s *Store) read(name string) ([]byte, error) {
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(name, ".key") {
		if err := private(s.path(name), info, 0o600); err != nil {
			return nil, err
		}
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, &sdk.Failure{Code: "bad-keys", Message: s.path(name) + " is no file of keys", Hint: "remove it and pair anew"}
	}
	b := make([]byte, info.Size())
	n, err := f.ReadAt(b, 0)
	if n == len(b) {
		err = nil
	}
	return b, err
}

// write writes a file whole or not at all, for its owner's eyes alone.
func (s *Store) write(name string, b []byte) error {
	path := s.path(name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-") // mode 0600
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// pair is a key and the certificates that go with it: its own, then its CA's.
type pair struct {
	key   ed25519.PrivateKey
	chain []*x509.Certificate
}

// load reads NAME.key and NAME.pem.
func (s *Store) load(name string) (*pair, error) {
	bad := func(why string) error {
		return &sdk.Failure{Code: "bad-keys", Message: fmt.Sprintf("%s.key and %s.pem are no pair of keys: %s", s.path(name), name, why), Hint: "remove both and pair anew"}
	}
	secret, err := s.read(name + ".key")
	if err != nil {
		return nil, err
	}
	public, err := s.read(name + ".pem")
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(secret)
	if block == nil {
		return nil, bad("the first holds no key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, bad(err.Error())
	}
	p := &pair{}
	var ok bool
	if p.key, ok = key.(ed25519.PrivateKey); !ok {
		return nil, bad("the key is not of Ed25519")
	}
	for rest := public; ; {
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, bad(err.Error())
		}
		p.chain = append(p.chain, c)
	}
	if len(p.chain) == 0 || !p.key.Public().(ed25519.PublicKey).Equal(p.chain[0].PublicKey) {
		return nil, bad("the certificate is of another key")
	}
	if ca := p.ca(); !ca.IsCA || p.chain[0].CheckSignatureFrom(ca) != nil {
		return nil, bad("the certificate is not of the CA beside it")
	}
	return p, nil
}

func (p *pair) ca() *x509.Certificate { return p.chain[len(p.chain)-1] }

func (p *pair) tls() tls.Certificate {
	c := tls.Certificate{PrivateKey: p.key, Leaf: p.chain[0]}
	for _, each := range p.chain {
		c.Certificate = append(c.Certificate, each.Raw)
	}
	return c
}

func (s *Store) save(name string, p *pair) error {
	der, err := x509.MarshalPKCS8PrivateKey(p.key)
	if err != nil {
		return err
	}
	if err := s.write(name+".key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})); err != nil {
		return err
	}
	return s.write(name+".pem", encodeChain(p.chain))
}

func encodeChain(chain []*x509.Certificate) (b []byte) {
	for _, c := range chain {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}

// Init makes the CA of this laboratory and the certificate of its master, and
// reports whether there was none.
func (s *Store) Init() (made bool, err error) {
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
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		return false, err
	}
	if err := s.save("ca", &pair{key, []*x509.Certificate{ca}}); err != nil {
		return false, err
	}
	if err := s.revoke(nil); err != nil {
		return false, err
	}
	return true, s.IssueMaster(Validity)
}

// authority loads the CA with its key.
func (s *Store) authority() (*pair, error) {
	p, err := s.load("ca")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &none{&sdk.Failure{Code: "no-keys", Message: "there is no CA in " + s.dir,
			Hint: "type \"tsrun pair\", or \"tsrun keys init\", on the master's PC"}}
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
// master is set.
func (s *Store) sign(ca *pair, key ed25519.PublicKey, name string, master bool, validity time.Duration) (*x509.Certificate, error) {
	now := s.now()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		NotBefore: now.Add(-early), NotAfter: now.Add(validity),
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

// IssueMaster issues this PC's certificate as a master, in place of the one before.
func (s *Store) IssueMaster(validity time.Duration) error {
	host, _ := os.Hostname()
	return s.issue(s, "master", "master "+host, true, validity)
}

// Issue makes a key and a certificate for a node in the directory out, which is
// then brought to the node's PC. Pairing needs no key that travels.
func (s *Store) Issue(node, out string, validity time.Duration) error {
	target, err := Open(out)
	if err != nil {
		return err
	}
	return s.issue(target, "node-"+node, node, false, validity)
}

func (s *Store) issue(target *Store, file, name string, master bool, validity time.Duration) error {
	ca, err := s.authority()
	if err != nil {
		return err
	}
	public, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return err
	}
	c, err := s.sign(ca, public, name, master, validity)
	if err != nil {
		return err
	}
	return target.save(file, &pair{key, []*x509.Certificate{c, ca.chain[0]}})
}
