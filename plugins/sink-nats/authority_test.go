package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"
)

// authority is a CA of one test alone.
type authority struct {
	t    testing.TB
	of   *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
	pool *x509.CertPool
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{t: t, of: &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "of a test"}, NotBefore: time.Now().Add(-48 * time.Hour),
		NotAfter: time.Now().Add(48 * time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}, pool: x509.NewCertPool()}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, a.of, a.of, &a.key.PublicKey, a.key)
	if err == nil {
		a.of, err = x509.ParseCertificate(der)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.pool.AddCert(a.of)
	a.file = secretFile(t, "ca.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	return a
}

// issue makes a certificate for a server at 127.0.0.1 and for a client, with what is changed.
func (a *authority) issue(change func(*x509.Certificate)) tls.Certificate {
	a.t.Helper()
	of := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "one of a test"}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	change(of)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, of, a.of, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// files writes a certificate and its key.
func (a *authority) files(of tls.Certificate) (cert, key string) {
	a.t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(of.PrivateKey)
	if err != nil {
		a.t.Fatal(err)
	}
	return secretFile(a.t, "cert.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: of.Certificate[0]}))),
		secretFile(a.t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func secretFile(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// operator is the operator of a server whose users have credentials, with one account.
type operator struct {
	t       testing.TB
	account nkeys.KeyPair
	claims  *jwt.OperatorClaims
	known   *server.MemAccResolver
}

func newOperator(t testing.TB) *operator {
	t.Helper()
	own, err := nkeys.CreateOperator()
	if err != nil {
		t.Fatal(err)
	}
	o := &operator{t: t, known: &server.MemAccResolver{}}
	o.claims = jwt.NewOperatorClaims(nameOf(t, own))
	if o.account, err = nkeys.CreateAccount(); err != nil {
		t.Fatal(err)
	}
	system, err := nkeys.CreateAccount() // without one such a server has no JetStream
	if err != nil {
		t.Fatal(err)
	}
	o.claims.SystemAccount = nameOf(t, system)
	for _, name := range []string{nameOf(t, o.account), o.claims.SystemAccount} {
		account := jwt.NewAccountClaims(name)
		if name != o.claims.SystemAccount {
			account.Limits.JetStreamLimits = jwt.JetStreamLimits{DiskStorage: jwt.NoLimit, MemoryStorage: jwt.NoLimit, Streams: jwt.NoLimit, Consumer: jwt.NoLimit}
		}
		text, err := account.Encode(own)
		if err == nil {
			err = o.known.Store(name, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return o
}

func nameOf(t testing.TB, pair nkeys.KeyPair) string {
	t.Helper()
	name, err := pair.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// user makes one of an account: its JWT and its seed. It ends at a time, unless that is 0.
func (o *operator) user(of nkeys.KeyPair, ends int64) (text string, seed []byte) {
	o.t.Helper()
	own, err := nkeys.CreateUser()
	if err != nil {
		o.t.Fatal(err)
	}
	claims := jwt.NewUserClaims(nameOf(o.t, own))
	claims.Expires = ends
	if text, err = claims.Encode(of); err == nil {
		seed, err = own.Seed()
	}
	if err != nil {
		o.t.Fatal(err)
	}
	return text, seed
}

// credentials writes a .creds file.
func (o *operator) credentials(text string, seed []byte) string {
	o.t.Helper()
	creds, err := jwt.FormatUserConfig(text, seed)
	if err != nil {
		o.t.Fatal(err)
	}
	return secretFile(o.t, "user.creds", string(creds))
}

// strictServer is one with JetStream, and with TLS and whatever else is asked for.
func strictServer(t testing.TB, options server.Options) string {
	t.Helper()
	options.JetStream, options.StoreDir = true, t.TempDir()
	return startServer(t, options)
}

// startServer starts a server with what is asked for and nothing else.
func startServer(t testing.TB, options server.Options) string {
	t.Helper()
	options.Host, options.Port, options.NoSigs, options.NoLog = "127.0.0.1", server.RANDOM_PORT, true, true
	s, err := server.NewServer(&options)
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	if !s.ReadyForConnections(patient) {
		t.Fatal("the server is not ready")
	}
	return "nats://" + s.Addr().String()
}
