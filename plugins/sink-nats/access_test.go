package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"

	"tsrun/sdk"
)

// An nkey of this test alone.
const (
	testSeed = "SUACNPW7X2P2UTGU2M37F5BJXXVRPVVYSTILUZPM53QOEZMT4ESMY2VU5Y"
	testNkey = "UBNFOY7Y2WUFBBYJOXU3FFYPFFSAUNSEGLMB5R3PAZTFSDWEZH3NSY2T"
)

// TestAccess: over TLS of a CA that is named, with a password or an nkey of files, a run is
// sent and followed; with anything else nobody is let in, and no secret is said.
func TestAccess(t *testing.T) {
	lab := newAuthority(t)
	ca, certificate := lab.file, lab.issue(func(*x509.Certificate) {})
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, NoLog: true,
		TLS: true, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12},
		Users: []*server.User{{Username: "lab", Password: "the-password"}}, Nkeys: []*server.NkeyUser{{Nkey: testNkey}}})
	if err != nil {
		t.Fatal(err)
	}
	go s.Start()
	defer s.WaitForShutdown()
	defer s.Shutdown()
	if !s.ReadyForConnections(patient) {
		t.Fatal("the server is not ready")
	}
	dir := t.TempDir()
	secret := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	password, seed := secret("password", "the-password"), secret("seed", testSeed)
	url := "tls://" + s.Addr().String()
	for name, a := range map[string]access{"a password": {User: "lab", Password: password}, "an nkey": {Nkey: seed}} {
		a.URL, a.CA = url, ca
		conn, err := a.dial()
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		conn.Close()
	}
	for name, a := range map[string]access{
		"nothing":          {URL: url, CA: ca},
		"a wrong password": {URL: url, CA: ca, User: "lab", Password: secret("wrong", "another-password")},
		"no password":      {URL: url, CA: ca, User: "lab", Password: filepath.Join(dir, "none")},
		"no seed":          {URL: url, CA: ca, Nkey: password},
		"no CA":            {URL: url, User: "lab", Password: password},
		"an empty CA":      {URL: url, CA: seed, User: "lab", Password: password},
		"in the address":   {URL: strings.Replace(url, "tls://", "tls://lab:another-password@", 1), CA: ca},
	} {
		conn, err := a.dial()
		if err == nil {
			conn.Close()
			t.Errorf("%s lets in", name)
		} else if says := err.Error(); strings.Contains(says, "-password") || strings.Contains(says, testSeed) {
			t.Errorf("%s: a secret is said: %s", name, says)
		}
	}
	c := testConfig(url)
	c.CA, c.User, c.Password = ca, "lab", password
	r := newRecorder(t, c, t.TempDir(), 1)
	r.begin()
	r.segment(2)
	if err := r.finish(); err != nil {
		t.Fatal(err)
	}
	r.close()
	var out bytes.Buffer
	if code := followMain([]string{url, "--count", "--ca", ca, "--nkey-file", seed}, &out, &out); code != 0 || !strings.Contains(out.String(), `"tags":2`) {
		t.Errorf("follow ends with %d: %s", code, out.String())
	}
}

// TestAccessMistakes are told before a run.
func TestAccessMistakes(t *testing.T) {
	for name, a := range map[string]access{
		"a user alone":     {User: "lab"},
		"a password alone": {Password: "p"},
		"two ways":         {TokenFile: "t", Nkey: "n"},
		"a user of lines":  {User: "a\nb", Password: "p"},
		"half of a key":    {Cert: "c"},
	} {
		c := remoteDefaults()
		c.access = a
		c.URL = "nats://127.0.0.1"
		if found := c.Check(sdk.Recording{}); len(found) != 1 {
			t.Errorf("%s: %v", name, found)
		}
	}
}
