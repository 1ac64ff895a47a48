package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"path/filepath"
	"testing"
	"time"
)

// laboratoryRequest returns a request for a certificate of a new key.
func laboratoryRequest() ([]byte, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	return x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
}

// FuzzParseCode: what is taken for a code is written again as one that is the same.
func FuzzParseCode(f *testing.F) {
	c := Code{Address: "192.168.10.1:5561"}
	f.Add(c.String())
	c.Address = "[fe80::1]:5561"
	f.Add(c.String())
	f.Add("host:1/")
	f.Add("/")
	f.Fuzz(func(t *testing.T, typed string) {
		c, err := ParseCode(typed)
		if err != nil {
			return
		}
		if again, err := ParseCode(c.String()); err != nil || again != c {
			t.Errorf("%q is read as %v, and that as %v: %v", typed, c, again, err)
		}
	})
}

// fuzzed returns a laboratory without the checks of a test's own.
func fuzzed(f *testing.F) (*Store, *pair) {
	s := &Store{dir: filepath.Join(f.TempDir(), "keys"), now: time.Now}
	if _, err := s.Init(); err != nil {
		f.Fatal(err)
	}
	ca, err := s.authority()
	if err != nil {
		f.Fatal(err)
	}
	return s, ca
}

// FuzzPairing gives each end of a pairing what the other may send: neither takes
// more than there can be, and nothing is granted that is not the laboratory's.
func FuzzPairing(f *testing.F) {
	s, ca := fuzzed(f)
	request, err := laboratoryRequest()
	if err != nil {
		f.Fatal(err)
	}
	for _, message := range []any{asking{Node: "bob", Request: request, Proof: make([]byte, 32)}, granting{Refused: "no"},
		granting{Leaf: ca.chain[0].Raw, Revoked: s.Revocations()}, keeping{true}} {
		b, err := json.Marshal(message)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var a asking
		if hear(bytes.NewReader(b), maxAsking)(&a) == nil {
			if key, err := parseRequest(a.Request); err == nil && len(key) != ed25519.PublicKeySize {
				t.Errorf("a key of %d bytes", len(key))
			}
		}
		var g granting
		if hear(bytes.NewReader(b), maxGranting)(&g) == nil {
			if leaf, err := granted(g, ca.chain[0], ca.key, "bob"); err == nil {
				t.Errorf("%v is granted", leaf.Subject)
			}
		}
		var k keeping
		_ = hear(bytes.NewReader(b), maxAsking)(&k)
	})
}

// FuzzFiles reads what a file of keys and a list of revoked certificates may hold.
func FuzzFiles(f *testing.F) {
	s, ca := fuzzed(f)
	key, err := s.read("master.key")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(key)
	f.Add(s.Revocations())
	f.Add([]byte(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parsePair(b); err == nil && (len(p.chain) == 0 || p.tls() == nil) {
			t.Error("keys without a certificate")
		}
		if list, err := parseList(ca.chain[0], b); err == nil && list.Number == nil {
			t.Error("a list without a number")
		}
	})
}

// FuzzCertificate: whatever certificate a peer shows, it is turned away in words that
// are short, unless it is of the laboratory.
func FuzzCertificate(f *testing.F) {
	s, ca := fuzzed(f)
	h, err := s.masterHolder()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(ca.chain[0].Raw)
	f.Add(h.last.chain[0].Raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := x509.ParseCertificate(b)
		if err != nil {
			return
		}
		if err := h.check(h.last.ca(), c); err == nil && !c.Equal(h.last.chain[0]) && !c.Equal(ca.chain[0]) {
			t.Errorf("%v is taken", c.Subject)
		} else if err != nil && len(err.Error()) > 1024 {
			t.Errorf("a reason of %d bytes", len(err.Error()))
		}
	})
}
