package web

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"net"
	"strings"
	"time"
)

// certificateFor is how long the certificate of a page is good: longer than any run.
const certificateFor = 400 * 24 * time.Hour

// newCertificate makes the certificate of one page, which nobody but itself has signed:
// browsers know no laboratory's CA, and take no Ed25519, which tsrun's own have. Its
// fingerprint, as browsers show it, is what to compare.
func newCertificate(names ...string) (c tls.Certificate, fingerprint string, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, "", fmt.Errorf("make a key for the page: %w", err)
	}
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return c, "", fmt.Errorf("number the certificate of the page: %w", err)
	}
	now := time.Now()
	t := &x509.Certificate{
		SerialNumber: number, Subject: pkix.Name{CommonName: "tsrun page"},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(certificateFor),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
		} else if name != "" {
			t.DNSNames = append(t.DNSNames, name)
		}
	}
	raw, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return c, "", fmt.Errorf("make a certificate for the page: %w", err)
	}
	sum := sha256.Sum256(raw)
	return tls.Certificate{Certificate: [][]byte{raw}, PrivateKey: key}, strings.ReplaceAll(fmt.Sprintf("% X", sum), " ", ":"), nil
}

// ownNames are the names and addresses under which other PCs reach a page that was told
// to listen at host.
func ownNames(host string) []string {
	names := []string{thisPC(), "localhost"}
	if ip := net.ParseIP(host); host != "" && (ip == nil || !ip.IsUnspecified()) {
		return append(names, host)
	}
	addresses, _ := net.InterfaceAddrs() // without them the names remain
	for _, a := range addresses {
		if n, ok := a.(*net.IPNet); ok {
			names = append(names, n.IP.String())
		}
	}
	return names
}
