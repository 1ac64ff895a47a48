package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"tsrun/sdk"
)

// TestCredentialsAndClientCertificates: a server that wants both gets the tags of a run, what
// its stages found and its merged tags, and is followed; whoever lacks one of them is told
// which, at once, and no word of a secret.
func TestCredentialsAndClientCertificates(t *testing.T) {
	lab, other, o := newAuthority(t), newAuthority(t), newOperator(t)
	same := func(*x509.Certificate) {}
	ended := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }
	url := strings.Replace(strictServer(t, server.Options{TLS: true, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{lab.issue(same)},
		ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: lab.pool}, TrustedKeys: []string{o.claims.Subject}, SystemAccount: o.claims.SystemAccount, AccountResolver: o.known}), "nats://", "tls://", 1)
	jwt, seed := o.user(o.account, 0)
	cert, key := lab.files(lab.issue(same))
	whole := access{URL: url, CA: lab.file, Cert: cert, Key: key, Credentials: o.credentials(jwt, seed)}
	secrets := []string{string(seed), jwt}

	stranger, err := nkeys.CreateAccount()
	if err != nil {
		t.Fatal(err)
	}
	_, seed2 := o.user(o.account, 0)
	good, err := os.ReadFile(whole.Credentials)
	if err != nil {
		t.Fatal(err)
	}
	mixed := secretFile(t, "mixed", strings.Replace(string(good), string(seed), string(seed2), 1))
	dir := t.TempDir()
	pipe, locked := filepath.Join(dir, "pipe"), filepath.Join(dir, "locked")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(locked, []byte("secret"), 0); err != nil {
		t.Fatal(err)
	}
	creds := func(path string) func(*access) { return func(a *access) { a.Credentials = path } }
	pair := func(cert, key string) func(*access) { return func(a *access) { a.Cert, a.Key = cert, key } }
	made := func(by *authority, change func(*x509.Certificate)) func(*access) {
		return pair(by.files(by.issue(change)))
	}
	for name, c := range map[string]struct {
		change func(*access)
		says   string
		hint   string
	}{
		"no credentials":                      {creds(""), "Authorization Violation", "lets in users only"},
		"empty credentials":                   {creds(secretFile(t, "e", " \n")), "is empty", "may read"},
		"a seed for credentials":              {creds(secretFile(t, "s", string(seed))), "holds no JWT", "name the .creds file"},
		"a JWT without a seed":                {creds(secretFile(t, "j", jwt)), "no nkey seed found", "name the .creds file"},
		"another's seed":                      {creds(mixed), "not that of the user", "name the .creds file"},
		"nonsense as a JWT":                   {creds(secretFile(t, "n", "a.*.c\n")), "its JWT cannot be read", "name the .creds file"},
		"a directory":                         {creds(dir), dir, "may read"},
		"a pipe of nobody":                    {creds(pipe), "is empty", "may read"},
		"a device without an end":             {creds("/dev/zero"), "neither a file", "may read"},
		"a file that is not":                  {creds(filepath.Join(dir, "none")), "no such file", "may read"},
		"one of an account that is not known": {creds(o.credentials(o.user(stranger, 0))), "Authorization Violation", "lets in users only"},
		"credentials that ended":              {creds(o.credentials(o.user(o.account, time.Now().Add(-time.Hour).Unix()))), "Authorization", "the credentials ended on "},
		"no certificate":                      {pair("", ""), "tls", "name cert and key"},
		"a certificate of somebody's":         {made(other, same), "tls", "refuses the certificate of this PC"},
		"a certificate that ended":            {made(lab, ended), "tls", "ended on "},
		"a key of another":                    {pair(cert, func() string { _, key := lab.files(lab.issue(same)); return key }()), "does not match", "name PEM files"},
		"no key":                              {pair(cert, filepath.Join(dir, "none")), "read the key of the NATS server", "may read"},
		"a certificate for a key":             {pair(cert, cert), "found a certificate rather than a key", "name PEM files"},
		"a pipe for a certificate":            {pair(pipe, key), "is empty", "may read"},
		"another CA":                          {func(a *access) { a.CA = other.file }, "unknown authority", "no CA that is trusted"},
		"no TLS in the address": {func(a *access) {
			*a = access{URL: strings.Replace(url, "tls://", "nats://", 1), Credentials: a.Credentials}
		}, "unknown authority", "no CA that is trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			a := whole
			c.change(&a)
			refused(t, a, c.says, c.hint, secrets...)
		})
	}
	if os.Geteuid() != 0 { // whom nothing is locked for
		a := whole
		a.Credentials = locked
		refused(t, a, "permission denied", "may read", secrets...)
	}
	useful(t, whole, secrets)
}

// refused wants an error in time that says what and what to do, and no secret.
func refused(t *testing.T, a access, says, hint string, secrets ...string) {
	t.Helper()
	conn, err := a.dial()
	for trial := 1; trial < 5 && err != nil && says != "timeout" && strings.Contains(err.Error(), "timeout"); trial++ { // this PC was held up
		conn, err = a.dial()
	}
	if err == nil {
		conn.Close()
		t.Fatal("it lets in")
	}
	f, ok := err.(*sdk.Failure)
	if !ok || !strings.Contains(f.Message, says) || !strings.Contains(f.Hint, hint) || strings.ContainsAny(f.Message, "\r\n") {
		t.Errorf("%#v, want %q and %q", err, says, hint)
	}
	for _, secret := range secrets {
		if strings.Contains(err.Error()+f.Hint, secret) {
			t.Errorf("a secret is said: %v", f)
		}
	}
}

// useful brings tags, results and merged tags to a server, and follows them; no secret is in
// what remains beside the files.
func useful(t *testing.T, a access, secrets []string) {
	t.Helper()
	c := testConfig(a.URL)
	c.access = a
	dir := t.TempDir()
	r := newRecorder(t, c, dir, 1)
	r.begin()
	r.segment(2)
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	r.close()
	said, err := os.ReadFile(filepath.Join(dir, reportName))
	if err != nil {
		t.Fatal(err)
	}
	m := mergedAt(a.URL)
	m.access = a
	got, err := takeMerged(t.Context(), sdk.Merged{Run: relayedRun, Socket: liveRun(t, mergedMessage("tags", 0, 3), mergedMessage("end", 1, 0))}, m)
	if err != nil || got.Tags != 3 || !got.Ended {
		t.Errorf("merged: %+v, %v", got, err)
	}
	var out bytes.Buffer
	if code := followMain([]string{a.URL, "--count", "--ca", a.CA, "--cert", a.Cert, "--key", a.Key, "--credentials", a.Credentials}, &out, &out); code != 0 || !strings.Contains(out.String(), `"tags":2`) {
		t.Errorf("follow ends with %d: %s", code, out.String())
	}
	for _, secret := range secrets {
		if strings.Contains(string(said)+out.String(), secret) {
			t.Error("a secret is in what remains")
		}
	}
}

// TestServersThatAreNotWhatTheyShouldBe: a certificate of another name or that has ended, no
// TLS where it is wanted, and one that says nothing, or never stops: each is told, in time.
func TestServersThatAreNotWhatTheyShouldBe(t *testing.T) {
	lab := newAuthority(t)
	password := secretFile(t, "password", "the-password")
	serves := func(change func(*x509.Certificate)) string {
		return strings.Replace(strictServer(t, server.Options{TLS: true, TLSConfig: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{lab.issue(change)}},
			Users: []*server.User{{Username: "lab", Password: "the-password"}}}), "nats://", "tls://", 1)
	}
	for name, c := range map[string]struct{ url, ca, says, hint string }{
		"of another name": {serves(func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 9)} }), lab.file, "127.0.0.1", "is for another name"},
		"that has ended":  {serves(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) }), lab.file, "expired", "renew it"},
		"without TLS":     {strings.Replace(strictServer(t, server.Options{}), "nats://", "tls://", 1), lab.file, "secure connection not available", "has no TLS"},
		"that is silent":  {liar(t, ""), "", "timeout", "is it running"},
		"of TLS, silent":  {liar(t, `INFO {"server_id":"x","tls_required":true,"max_payload":1048576}`+"\r\n"), lab.file, "timeout", "is it running"},
		"without an end":  {liar(t, "INFO "+strings.Repeat("x", 4<<20)), "", "more than a NATS server", "is it running"},
		"of nonsense":     {liar(t, "HTTP/1.0 400 no\r\n\r\n"), "", "INFO not received", "is it running"},
		"that hangs up":   {liar(t, "-"), "", "EOF", "is it running"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			refused(t, access{URL: c.url, CA: c.ca, User: "lab", Password: password}, c.says, c.hint, "the-password")
		})
	}
}

// liar is a server that says something and is silent then; "-": it hangs up. Nobody tells it
// a password.
func liar(t *testing.T, says string) string {
	return falseServer(t, func(conn net.Conn) {
		if says == "-" {
			return
		}
		_, _ = conn.Write([]byte(says))   // the client may not hear it to its end
		_, _ = conn.Read(make([]byte, 1)) // until it leaves, or begins a handshake
		_, _ = conn.Read(make([]byte, 1<<16))
		_, _ = conn.Read(make([]byte, 1<<16))
	})
}

// falseServer answers one client after the other as no server does, and returns its address.
func falseServer(t *testing.T, answer func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			answer(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-ended })
	return "nats://" + l.Addr().String()
}
