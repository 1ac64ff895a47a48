package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// Variable is the environment variable that names the directory of keys.
const Variable = "TSRUN_KEYS"

const (
	maxFile  = 1 << 20          // bytes of a file of keys
	maxChain = 4                // certificates in one
	lockWait = 10 * time.Second // for another tsrun that changes the keys
)

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
		Hint: fmt.Sprintf("chmod %o %s; where others may have read it, pair anew: what was there before is no good then", want, path)}
}

// Dir returns the directory.
func (s *Store) Dir() string { return s.dir }

func (s *Store) path(name string) string { return filepath.Join(s.dir, name) }

// read reads a file of the store; fs.ErrNotExist where there is none.
func (s *Store) read(name string) ([]byte, error) {
	info, err := os.Stat(s.path(name)) // opening a pipe would wait for its other end
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return nil, &sdk.Failure{Code: "bad-keys", Message: s.path(name) + " is no file of keys", Hint: "remove it and pair anew"}
	}
	if strings.HasSuffix(name, ".key") {
		if err := private(s.path(name), info, 0o600); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(s.path(name))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxFile))
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
	return run.SyncDir(filepath.Dir(path))
}

// change makes the directory where there is none, and has nobody else change it
// until the function that it returns is called.
func (s *Store) change() (done func(), err error) {
	trouble := func(err error) error {
		return &sdk.Failure{Code: "keys-directory", Message: fmt.Sprintf("change the keys in %s: %v", s.dir, err),
			Hint: "make the directory writable, or name another with --keys; another tsrun that changes them is done within seconds"}
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, trouble(err)
	}
	f, err := os.OpenFile(s.path(".lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, trouble(err)
	}
	if err := run.LockWithin(lockWait, func() error { return run.Lock(f) }); err != nil {
		return nil, errors.Join(trouble(err), f.Close())
	}
	return func() { f.Close() }, nil
}

// pair is a key and the certificates that go with it: its own, then its CA's.
type pair struct {
	key   ed25519.PrivateKey
	chain []*x509.Certificate
}

// load reads NAME.key: one file, so that a key is never there without its certificate.
func (s *Store) load(name string) (*pair, error) {
	b, err := s.read(name + ".key")
	if err != nil {
		return nil, err
	}
	p, err := parsePair(b)
	if err != nil {
		return nil, &sdk.Failure{Code: "bad-keys", Message: fmt.Sprintf("%s.key is no key with its certificate: %v", s.path(name), err),
			Hint: "bring it back from a copy, or remove it and pair anew"}
	}
	return p, nil
}

// parsePair reads what save has written.
func parsePair(b []byte) (*pair, error) {
	block, rest := pem.Decode(b)
	if block == nil || block.Type != "PRIVATE KEY" {
		return nil, errors.New("it does not begin with a key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, err
	}
	p := &pair{}
	var ok bool
	if p.key, ok = key.(ed25519.PrivateKey); !ok {
		return nil, errors.New("the key is not of Ed25519")
	}
	for len(bytes.TrimSpace(rest)) > 0 {
		if block, rest = pem.Decode(rest); block == nil || len(p.chain) >= maxChain {
			return nil, errors.New("what follows the key is no certificate")
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		p.chain = append(p.chain, c)
	}
	if len(p.chain) == 0 || !p.key.Public().(ed25519.PublicKey).Equal(p.chain[0].PublicKey) {
		return nil, errors.New("the certificate is of another key, or missing")
	}
	if ca := p.ca(); !ca.IsCA || p.chain[0].CheckSignatureFrom(ca) != nil {
		return nil, errors.New("the certificate is not of the CA behind it")
	}
	return p, nil
}

func (p *pair) ca() *x509.Certificate { return p.chain[len(p.chain)-1] }

func (p *pair) tls() *tls.Certificate {
	c := &tls.Certificate{PrivateKey: p.key, Leaf: p.chain[0]}
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
	return s.write(name+".key", append(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), encodeChain(p.chain)...))
}

func encodeChain(chain []*x509.Certificate) (b []byte) {
	for _, c := range chain {
		b = append(b, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return b
}
