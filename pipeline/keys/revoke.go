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
	"strings"
	"time"

	"tsrun/sdk"
)

const (
	// MaxRevocations is how many bytes a list of revoked certificates may have.
	MaxRevocations = 64 << 10
	// outlived is how long after its end a certificate stays in the list: a clock may be wrong.
	outlived = 365 * 24 * time.Hour
)

// Issued is a certificate that this CA has issued.
type Issued struct {
	Name    string // of a node, or "master" and the name of its PC
	Master  bool
	Serial  string // hexadecimal
	At      time.Time
	Until   time.Time
	Revoked time.Time // zero: it is not
}

// Issued lists what the CA has issued, by name, the oldest first.
func (s *Store) Issued() ([]Issued, error) {
	ca, err := s.authority()
	if err != nil {
		return nil, err
	}
	return s.issued(ca)
}

func (s *Store) issued(ca *pair) ([]Issued, error) {
	list, err := s.list(ca.chain[0], "ca.crl", true)
	if err != nil {
		return nil, err
	}
	files, err := os.ReadDir(s.path("issued"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []Issued
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), ".pem") {
			continue // one that was being written
		}
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
		all = append(all, Issued{Name: c.Subject.CommonName, Master: isMaster(c), Serial: c.SerialNumber.Text(16),
			At: c.NotBefore.Add(early), Until: c.NotAfter, Revoked: revokedAt(list, c)})
	}
	slices.SortFunc(all, func(a, b Issued) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), a.At.Compare(b.At), b.Revoked.Compare(a.Revoked)) // of one second the good one is the newest
	})
	return all, nil
}

// revokedAt returns when a certificate was revoked; zero: it was not.
func revokedAt(list *x509.RevocationList, c *x509.Certificate) time.Time {
	if list != nil {
		for _, e := range list.RevokedCertificateEntries {
			if e.SerialNumber.Cmp(c.SerialNumber) == 0 {
				return e.RevocationTime
			}
		}
	}
	return time.Time{}
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
	done, err := s.change()
	if err != nil {
		return nil, err
	}
	defer done()
	ca, err := s.authority()
	if err != nil {
		return nil, err
	}
	revoked, err := s.revoke(ca, func(i Issued) bool { return i.Name == what || i.Serial == what })
	if err == nil && len(revoked) == 0 {
		return nil, &sdk.Failure{Code: "not-issued", Message: fmt.Sprintf("there is no certificate to revoke that is called %q or has that number", what),
			Hint: "tsrun keys show lists them"}
	}
	return revoked, err
}

// retire revokes the certificates in whose place newest was issued: those of the same
// node, or all of a master before it. The caller has called change.
func (s *Store) retire(ca *pair, newest *x509.Certificate) ([]Issued, error) {
	name, master, number := newest.Subject.CommonName, isMaster(newest), newest.SerialNumber.Text(16)
	return s.revoke(ca, func(i Issued) bool {
		return i.Serial != number && i.Master == master && (master || i.Name == name)
	})
}

// revoke writes the list of revoked certificates anew, with those more that which says.
func (s *Store) revoke(ca *pair, which func(Issued) bool) (revoked []Issued, err error) {
	all, err := s.issued(ca)
	if err != nil {
		return nil, err
	}
	list, err := s.list(ca.chain[0], "ca.crl", true)
	if err != nil {
		return nil, err
	}
	now := s.now()
	entries, gone := list.RevokedCertificateEntries, map[string]bool{}
	for _, i := range all {
		switch {
		case now.Sub(i.Until) > outlived:
			gone[i.Serial] = true
		case i.Revoked.IsZero() && which(i):
			n, _ := new(big.Int).SetString(i.Serial, 16)
			entries = append(entries, x509.RevocationListEntry{SerialNumber: n, RevocationTime: now})
			i.Revoked = now
			revoked = append(revoked, i)
		}
	}
	if len(revoked) == 0 {
		return nil, nil
	}
	entries = slices.DeleteFunc(entries, func(e x509.RevocationListEntry) bool { return gone[e.SerialNumber.Text(16)] })
	return revoked, s.writeList(ca, list, entries)
}

// writeList writes a list of revoked certificates that is newer than the one before.
func (s *Store) writeList(ca *pair, before *x509.RevocationList, entries []x509.RevocationListEntry) error {
	now := s.now()
	number := big.NewInt(now.UnixNano())
	if before != nil && before.Number != nil && before.Number.Cmp(number) >= 0 { // the clock was set back
		number.Add(before.Number, big.NewInt(1))
	}
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{
		Number: number, ThisUpdate: now, NextUpdate: now.Add(caValidity), RevokedCertificateEntries: entries,
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

// list reads a list of revoked certificates; nil where there is none and it need not be there.
func (s *Store) list(ca *x509.Certificate, file string, needed bool) (*x509.RevocationList, error) {
	b, err := s.read(file)
	if errors.Is(err, fs.ErrNotExist) && !needed {
		return nil, nil
	}
	var list *x509.RevocationList
	if err == nil {
		list, err = parseList(ca, b)
	}
	if err == nil {
		return list, nil
	}
	hint := "remove it and pair anew"
	if needed {
		hint = "bring it back from a copy; without it nobody knows who is revoked: make a new CA in another directory then, and pair all PCs anew"
	}
	return nil, &sdk.Failure{Code: "bad-keys", Message: fmt.Sprintf("%s is no list of revoked certificates of this laboratory: %v", s.path(file), err), Hint: hint}
}

func parseList(ca *x509.Certificate, b []byte) (*x509.RevocationList, error) {
	if len(b) > MaxRevocations {
		return nil, fmt.Errorf("it has %d bytes, at most %d are allowed", len(b), MaxRevocations)
	}
	list, err := x509.ParseRevocationList(b)
	if err == nil {
		err = list.CheckSignatureFrom(ca)
	}
	if err == nil && list.Number == nil {
		err = errors.New("it has no number")
	}
	if err != nil {
		return nil, err
	}
	return list, nil
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
	done, err := s.change()
	if err != nil {
		return err
	}
	defer done()
	p, err := s.load("node-" + node)
	if err != nil {
		return err
	}
	return s.keepList(p.ca(), node, b)
}

// keepList keeps a newer list of a CA. The caller has called change.
func (s *Store) keepList(ca *x509.Certificate, node string, b []byte) error {
	list, err := parseList(ca, b)
	if err != nil {
		return fmt.Errorf("keep the list of revoked certificates: it is none of this laboratory: %w", err)
	}
	file := "node-" + node + ".crl"
	if old, err := s.list(ca, file, false); err == nil && old != nil && old.Number.Cmp(list.Number) >= 0 {
		return nil
	}
	return s.write(file, b)
}
