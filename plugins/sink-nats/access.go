package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nkeys"

	"tsrun/sdk"
)

const (
	// dialWithin bounds one attempt to reach a server.
	dialWithin = 4 * time.Second
	mostSecret = 64 << 10 // bytes of a file with a token, a key or a certificate
	mostCA     = 4 << 20  // of one with those of CAs
	mostUser   = 256      // of a name
)

// access is how a server is reached, by the sink and by who follows.
type access struct {
	URL         string `json:"url" jsonschema:"required,description=of the server: nats://HOST:4222 or tls://HOST:4222; those of a cluster with commas between them"`
	TokenFile   string `json:"token_file" jsonschema:"format=file,description=file that holds the token of the server"`
	User        string `json:"user" jsonschema:"description=name of a user of the server; with password_file"`
	Password    string `json:"password_file" jsonschema:"format=file,description=file that holds the password of the user"`
	Nkey        string `json:"nkey_file" jsonschema:"format=file,description=file that holds the seed of an nkey of the server"`
	Credentials string `json:"credentials" jsonschema:"format=file,description=.creds file of a user of the server"`
	CA          string `json:"ca" jsonschema:"format=file,description=PEM file of the CA that has signed the server's certificate; the system's without"`
	Cert        string `json:"cert" jsonschema:"format=file,description=PEM file of a client certificate; with key"`
	Key         string `json:"key" jsonschema:"format=file,description=PEM file of its key"`
}

// addresses are those of the servers of a cluster, of which any will do.
func (a access) addresses() []string { return strings.Split(a.URL, ",") }

// mistakes are those of how a user is let in.
func (a access) mistakes() (found []*sdk.Failure) {
	if (a.Cert == "") != (a.Key == "") {
		found = append(found, mistake("cert", "a client certificate needs cert and key", "name both files, or none"))
	}
	if (a.User == "") != (a.Password == "") || len(a.User) > mostUser || strings.ContainsAny(a.User, "\r\n\x00") {
		found = append(found, mistake("user", "a user needs user and password_file, and a name of one line", "write both, or neither"))
	}
	ways := 0
	for _, way := range []string{a.TokenFile, a.Password, a.Nkey, a.Credentials} {
		if way != "" {
			ways++
		}
	}
	if ways > 1 {
		found = append(found, mistake("token_file", "a server lets in by one of token_file, password_file, nkey_file and credentials", "name the one that this server asks for"))
	}
	return found
}

// who are the options by which the server knows who this is; past says of a proof that it
// has run out by the clock of this PC. Secrets are in files alone.
func (a access) who() (options []nats.Option, past string, err error) {
	switch {
	case a.TokenFile != "":
		secret, err := readSecret("token_file", a.TokenFile)
		return []nats.Option{nats.Token(secret)}, "", err
	case a.Password != "":
		secret, err := readSecret("password_file", a.Password)
		return []nats.Option{nats.UserInfo(a.User, secret)}, "", err
	case a.Nkey != "":
		text, err := readFile("nkey_file", a.Nkey, mostSecret)
		if err != nil {
			return nil, "", err
		}
		pair, name, err := userKey(text)
		if err != nil {
			return nil, "", noProof("nkey_file", a.Nkey, err, "the file holds a seed, which begins with SU")
		}
		return []nats.Option{nats.Nkey(name, pair.Sign)}, "", nil
	case a.Credentials != "":
		return a.credentials()
	}
	return nil, "", nil
}

// credentials are the options of a .creds file: the JWT of a user and the seed of its key.
// What is no JWT is never shown to a server: the file may be another, with a secret.
func (a access) credentials() (options []nats.Option, past string, err error) {
	const hint = "name the .creds file that nsc or the administrator of the server has made for this user"
	text, err := readFile("credentials", a.Credentials, mostSecret)
	if err != nil {
		return nil, "", err
	}
	jwt, err := nkeys.ParseDecoratedJWT(text)
	if err != nil {
		return nil, "", noProof("credentials", a.Credentials, err, hint)
	}
	var claims struct {
		Subject string `json:"sub"`
		Ends    int64  `json:"exp"`
	}
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return nil, "", noProof("credentials", a.Credentials, errors.New("it holds no JWT"), hint)
	}
	body, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err == nil {
		err = json.Unmarshal(body, &claims)
	}
	if err != nil {
		return nil, "", noProof("credentials", a.Credentials, errors.New("its JWT cannot be read"), hint)
	}
	pair, name, err := userKey(text)
	if err == nil && name != claims.Subject {
		err = errors.New("its seed is not that of the user in its JWT")
	}
	if err != nil {
		return nil, "", noProof("credentials", a.Credentials, err, hint)
	}
	if ends := time.Unix(claims.Ends, 0); claims.Ends > 0 && time.Now().After(ends) {
		past = "the credentials ended on " + ends.UTC().Format(time.RFC3339) + " by the clock of this PC: ask for new ones"
	}
	return []nats.Option{nats.UserJWT(func() (string, error) { return jwt, nil }, pair.Sign)}, past, nil
}

// userKey is the key of the seed in a text. Its errors say nothing of that.
func userKey(text []byte) (pair nkeys.KeyPair, name string, err error) {
	if pair, err = nkeys.ParseDecoratedUserNKey(text); err == nil {
		name, err = pair.PublicKey()
	}
	return pair, name, err
}

func noProof(field, path string, err error, hint string) *sdk.Failure {
	return &sdk.Failure{Code: "bad-token", Field: field, Hint: hint,
		Message: fmt.Sprintf("read the %s of the NATS server in %s: %v", strings.TrimSuffix(field, "_file"), path, err)}
}

// dial connects once. A connection that breaks stays broken: what is in flight is
// then asked of the server anew.
func (a access) dial(more ...nats.Option) (*nats.Conn, error) {
	greeted := &greeter{}
	options := append([]nats.Option{nats.Name("tsrun sink-nats"), nats.Timeout(dialWithin), nats.NoReconnect(), nats.SetCustomDialer(greeted),
		nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}), // or it prints: see said
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(3), nats.FlusherTimeout(dialWithin)}, more...)
	as, past, err := a.who()
	if err != nil {
		return nil, err
	}
	options = append(options, as...)
	if a.CA != "" || a.Cert != "" {
		of, ended, err := a.tls()
		if err != nil {
			return nil, err
		}
		if past == "" {
			past = ended
		}
		options = append(options, nats.Secure(of))
	}
	conn, err := nats.Connect(a.URL, options...)
	if err != nil {
		var addresses []string
		for _, address := range a.addresses() {
			addresses = append(addresses, shown(address))
		}
		return nil, &sdk.Failure{Code: "nats-unreachable", Message: fmt.Sprintf("reach the NATS server at %s: %v", clip(strings.Join(addresses, ", ")), err), Hint: hintOf(err, past)}
	}
	greeted.over.Store(true)
	return conn, nil
}

// hintOf says what to do about a server that does not let this PC in.
func hintOf(err error, past string) string {
	remote := &net.OpError{Err: err}
	errors.As(err, &remote)
	switch {
	case isA[x509.UnknownAuthorityError](err):
		return "the certificate of the server is of no CA that is trusted here: name the file with that CA in ca"
	case isA[x509.HostnameError](err):
		return "the certificate of the server is for another name: write in url the name or address that stands in it"
	case isA[x509.CertificateInvalidError](err):
		return "the certificate of the server is not good, or not now: renew it, or set the clock of this PC"
	case past != "":
		return past
	case remote.Op == "remote error", errors.Is(err, nats.ErrTLS) && !os.IsTimeout(remote):
		return "the server refuses the certificate of this PC, or wants one: name cert and key, of a CA that it trusts"
	case errors.Is(err, nats.ErrSecureConnRequired):
		return "the server wants TLS: write tls://HOST:4222 in url, and name its CA in ca"
	case errors.Is(err, nats.ErrSecureConnWanted):
		return "the server has no TLS, and was told nothing: let it have some, or write nats:// and leave ca, cert and key out"
	case errors.Is(err, nats.ErrAuthorization), errors.Is(err, nats.ErrAuthExpired), errors.Is(err, nats.ErrAuthRevoked):
		return "the server lets in users only: name token_file, password_file, nkey_file or credentials of one that it knows"
	}
	return "is it running, and does this PC reach it? a server needs JetStream (nats-server -js, or tsrun hub); where it lets in users only, name token_file, password_file, nkey_file or credentials, and its CA"
}

func isA[E error](err error) bool {
	_, is := errors.AsType[E](err)
	return is
}

// shown is an address without a password.
func shown(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return "an address that cannot be read"
}

// tls is what certificates are checked and shown by.
func (a access) tls() (of *tls.Config, past string, err error) {
	of = &tls.Config{MinVersion: tls.VersionTLS12}
	if a.CA != "" {
		text, err := readFile("ca", a.CA, mostCA)
		if err != nil {
			return nil, "", err
		}
		of.RootCAs = x509.NewCertPool()
		if !of.RootCAs.AppendCertsFromPEM(text) {
			return nil, "", &sdk.Failure{Code: "bad-config", Message: "read the CA of the NATS server: " + a.CA + " holds no certificate", Hint: "name a PEM file", Field: "ca"}
		}
	}
	if a.Cert == "" {
		return of, "", nil
	}
	cert, err := readFile("cert", a.Cert, mostSecret)
	if err != nil {
		return nil, "", err
	}
	key, err := readFile("key", a.Key, mostSecret)
	if err != nil {
		return nil, "", err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, "", &sdk.Failure{Code: "bad-config", Field: "cert", Message: fmt.Sprintf("read the certificate for the NATS server in %s and its key in %s: %v", a.Cert, a.Key, err),
			Hint: "name PEM files: a certificate, and its key without a password"}
	}
	if pair.Leaf != nil && time.Now().After(pair.Leaf.NotAfter) {
		past = "the certificate in " + a.Cert + " ended on " + pair.Leaf.NotAfter.UTC().Format(time.RFC3339) + " by the clock of this PC: renew it"
	}
	of.Certificates = []tls.Certificate{pair}
	return of, past, nil
}

// readFile reads a file that proves who somebody is, or a pipe that holds it: it waits for
// nobody and reads so much at most.
func readFile(field, path string, most int64) (text []byte, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err == nil {
		defer f.Close()
		if info, failed := f.Stat(); failed != nil {
			err = failed
		} else if !info.Mode().IsRegular() {
			if err = f.SetReadDeadline(time.Now().Add(dialWithin)); err != nil { // which a pipe has
				err = fmt.Errorf("%s is neither a file nor a pipe", path)
			}
		}
	}
	if err == nil {
		text, err = io.ReadAll(io.LimitReader(f, most+1))
	}
	switch {
	case err == nil && int64(len(text)) > most:
		err = fmt.Errorf("%s has more than %d bytes", path, most)
	case err == nil && len(bytes.TrimSpace(text)) == 0:
		err = fmt.Errorf("%s is empty", path)
	}
	if err != nil {
		return nil, &sdk.Failure{Code: "bad-token", Field: field, Message: fmt.Sprintf("read the %s of the NATS server: %v", strings.TrimSuffix(field, "_file"), err),
			Hint: "name a file that holds it, which the user of this process may read"}
	}
	return text, nil
}

// readSecret reads a token or a password: one line of a small file.
func readSecret(field, path string) (string, error) {
	text, err := readFile(field, path, mostSecret)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(text))
	if strings.ContainsAny(secret, "\r\n") {
		return "", noProof(field, path, errors.New("it is not one line"), "the file holds it and nothing else")
	}
	return secret, nil
}
