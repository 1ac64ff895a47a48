package keys

import (
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"time"

	"tsrun/sdk"
)

// MaxRevocations is how many bytes a list of revoked certificates may have.
const MaxRevocations = 64 << 10

// Issued is a certificate that this CA has issued.
type Issued struct {
	Name    string // of a node, or "master" and the name of its PC
	Master  bool
	Serial  string // hexadecimal
	From    time.Time
	Until   time.Time
	Revoked time.Time // zero: it is not
}

// Issued lists what the CA has issued, by name, the oldest first.
func (s *Store) Issued() ([]Issued, error) {
	ca, err := s.authority()
	if err != nil {
		return nil, err
	}
	revoked, err := s.revocations(ca.chain[0], "ca.crl")
	if err != nil {
		return nil, err
	}
	files, err := os.ReadDir(s.path("issued"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []Issued
	for _, f := range files {
		b, err := s.read(filepath.Join("issued", f.Name()))
		if err != nil {
			return nil, err
		}
		block, _ := pem.Decode(b)
		if block == nil {
			continue // a file that is no certificate
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil || c.CheckSignatureFrom(ca.chain[0]) != nil {
			continue
		}
		i := Issued{Name: c.Subject.CommonName, Master: slices.Contains(c.ExtKeyUsage, x509.ExtKeyUsageServerAuth), Serial: c.SerialNumber.Text(16), From: c.NotBefore, Until: c.NotAfter}
		for _, e := range revoked {
			if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
				i.Revoked = e.RevocationTime
			}
		}
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b Issued) int { return cmp.Or(cmp.Compare(a.Name, b.Name), a.From.Compare(b.From)) })
	return all, nil
}

// CA returns the fingerprint of this laboratory's CA and what it is called.
func (s *Store) CA() (fingerprint, name string, err error) {
	ca, err := s.authority()
	if err != nil {
		return "", "", err
	}
	return Fingerprint(ca.chain[0]), ca.chain[0].Subject.CommonName, nil
}

// Revoke revokes the certificates of a name, or the one of a serial number, and
// returns those that it has revoked now.
func (s *Store) Revoke(what string) ([]Issued, error) {
	all, err := s.Issued()
	if err != nil {
		return nil, err
	}
	now := s.now()
	var revoked []Issued
	var serials []*big.Int
	for _, i := range all {
		if (i.Name == what || i.Serial == what) && i.Revoked.IsZero() {
			n, _ := new(big.Int).SetString(i.Serial, 16)
			i.Revoked = now
			revoked, serials = append(revoked, i), append(serials, n)
		}
	}
	if len(revoked) == 0 {
		return nil, &sdk.Failure{Code: "not-issued", Message: fmt.Sprintf("there is no certificate to revoke that is called %q or has that number", what),
			Hint: "tsrun keys show lists them"}
	}
	return revoked, s.revoke(serials)
}

// revoke writes the list of revoked certificates anew, with more in it.
func (s *Store) revoke(more []*big.Int) error {
	ca, err := s.authority()
	if err != nil {
		return err
	}
	list, err := s.revocations(ca.chain[0], "ca.crl")
	if err != nil {
		return err
	}
	now := s.now()
	for _, n := range more {
		list = append(list, x509.RevocationListEntry{SerialNumber: n, RevocationTime: now})
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: big.NewInt(now.UnixNano()), ThisUpdate: now, NextUpdate: now.Add(caValidity), RevokedCertificateEntries: list,
	}, ca.chain[0], ca.key)
	if err != nil {
		return fmt.Errorf("revoke certificates: %w", err)
	}
	if len(der) > MaxRevocations {
		return &sdk.Failure{Code: "too-many-revoked", Message: fmt.Sprintf("the list of revoked certificates would have %d bytes, at most %d are allowed", len(der), MaxRevocations),
			Hint: "make a new CA in another directory, and pair all PCs anew"}
	}
	return s.write("ca.crl", der)
}

// revocations returns what a list revokes; nothing where there is none.
func (s *Store) revocations(ca *x509.Certificate, file string) ([]x509.RevocationListEntry, error) {
	b, err := s.read(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	list, err := parseList(ca, b)
	if err != nil {
		return nil, &sdk.Failure{Code: "bad-keys", Message: fmt.Sprintf("%s is no list of revoked certificates of this laboratory: %v", s.path(file), err), Hint: "bring it back from a copy"}
	}
	return list.RevokedCertificateEntries, nil
}

func parseList(ca *x509.Certificate, b []byte) (*x509.RevocationList, error) {
	list, err := x509.ParseRevocationList(b)
	if err != nil {
		return nil, err
	}
	return list, list.CheckSignatureFrom(ca)
}

// Revocations returns the list that a master hands to its slaves; nil where it has none.
func (s *Store) Revocations() []byte {
	b, err := s.read("ca.crl")
	if err != nil || len(b) > MaxRevocations {
		return nil
	}
	return b
}

// KeepRevocations keeps the list that a node was handed, where it is of its
// laboratory and newer than the one it has.
func (s *Store) KeepRevocations(node string, b []byte) error {
	if len(b) == 0 {
		return nil
	}
	p, err := s.load("node-" + node)
	if err != nil {
		return err
	}
	file := "node-" + node + ".crl"
	list, err := parseList(p.ca(), b)
	if err != nil || len(b) > MaxRevocations {
		return fmt.Errorf("keep the list of revoked certificates: it is none of this laboratory (%v)", err)
	}
	if old, err := s.read(file); err == nil {
		if known, err := parseList(p.ca(), old); err == nil && known.Number.Cmp(list.Number) >= 0 {
			return nil
		}
	}
	return s.write(file, b)
}
