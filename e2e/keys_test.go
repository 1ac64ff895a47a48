package e2e

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// tsrunKeys runs tsrun keys, or another command about them, to its end.
func tsrunKeys(t *testing.T, dir string, args ...string) *tsrun {
	t.Helper()
	p := start(t, t.TempDir(), nil, append(args, "--keys", dir)...)
	if code := p.wait(20 * time.Second); code != 0 {
		t.Fatalf("%v: exit code %d: %s", args, code, p.stderr.String())
	}
	return p
}

// keysDir returns a directory of keys with a file in it.
func keysDir(t *testing.T, name string, content []byte) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "keys")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// forged issues a certificate with the CA of a laboratory that tsrun would not issue,
// and returns what is in its file.
func forged(t *testing.T, laboratory string, from, until time.Time, use ...x509.ExtKeyUsage) []byte {
	t.Helper()
	key, rest := pem.Decode(contentOf(t, laboratory, "ca.key"))
	certificate, _ := pem.Decode(rest)
	secret, err := x509.ParsePKCS8PrivateKey(key.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(certificate.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "bob"},
		NotBefore: from, NotAfter: until, ExtKeyUsage: append(use, x509.ExtKeyUsageClientAuth)}, ca, public, secret)
	if err != nil {
		t.Fatal(err)
	}
	own, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return encoded(&pem.Block{Type: "PRIVATE KEY", Bytes: own}, &pem.Block{Type: "CERTIFICATE", Bytes: der}, certificate)
}

func encoded(blocks ...*pem.Block) []byte {
	var b bytes.Buffer
	for _, block := range blocks {
		b.Write(pem.EncodeToMemory(block))
	}
	return b.Bytes()
}

func contentOf(t *testing.T, dir, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCertificatesThatAreRefused lets slaves at a master whose certificates are not those
// of bob: both ends say why, and the one that is paired anew while it waits takes part.
func TestCertificatesThatAreRefused(t *testing.T) {
	t.Parallel()
	inHere, inThere, address := twoHosts(t)
	work := t.TempDir()
	here, stranger := filepath.Join(t.TempDir(), "keys"), filepath.Join(t.TempDir(), "keys")
	tsrunKeys(t, here, "keys", "init")
	tsrunKeys(t, stranger, "keys", "init")
	issue := func(laboratory, node string) []byte {
		out := filepath.Join(t.TempDir(), "out")
		tsrunKeys(t, laboratory, "keys", "issue", node, out)
		return contentOf(t, out, "node-"+node+".key")
	}
	replaced := issue(here, "bob")
	good := issue(here, "bob")
	now := time.Now()
	cases := []struct {
		name, slave, master string // what each end says
		key                 []byte
		more                []string
	}{
		{"of another laboratory", "is of another laboratory (tsrun laboratory ", "is of another laboratory (tsrun laboratory ", issue(stranger, "bob"), nil},
		{"expired", "the certificate of bob expired on ", "the certificate of bob expired on ", forged(t, here, now.Add(-48*time.Hour), now.Add(-24*time.Hour)), nil},
		{"not yet valid", "the certificate of bob is not valid before ", "the certificate of bob is not valid before ", forged(t, here, now.Add(24*time.Hour), now.Add(48*time.Hour)), nil},
		{"replaced", "the certificate of bob was revoked on ", "the certificate of bob was revoked on ", replaced, nil},
		{"of another node", "the certificate shown is that of node carol, and node bob shows that of node bob", "the certificate shown is that of ", issue(here, "carol"), nil},
		{"of another master", "the certificate of bob is a master's, not a node's", "the certificate of bob is a master's, not a node's", forged(t, here, now.Add(-time.Hour), now.Add(time.Hour), x509.ExtKeyUsageServerAuth), nil},
		{"of this master", "the certificate shown is that of the master, and node bob shows that of node bob", "the certificate shown is that of ", contentOf(t, here, "master.key"), nil},
		{"without TLS", "the other end wants TLS", "the other end speaks without TLS", good, []string{"--tls", "off"}},
	}
	master := start(t, work, inHere, append([]string{shipped(t, "coincidence.yaml"), "--keys", here, "--set", "acquire.duration=1 s", "--set", "network.master=" + address,
		"--set", "nodes.bob.host=remote", "--set", "network.join=300 s"}, patient...)...)
	slaveWith := func(keys string, more ...string) *tsrun {
		return start(t, t.TempDir(), inThere, append([]string{"--mode", "slave", "--node", "bob", "--master", address, "--keys", keys}, more...)...)
	}
	slaves, dirs := make([]*tsrun, len(cases)), make([]string, len(cases))
	for i, c := range cases {
		dirs[i] = keysDir(t, "node-bob.key", c.key)
		slaves[i] = slaveWith(dirs[i], c.more...)
	}
	for i, c := range cases {
		says := func(p *tsrun, words string) {
			eventually(t, 20*time.Second, "a certificate "+c.name+": somebody says "+words, func() bool { return strings.Contains(p.stderr.String(), words) })
		}
		says(slaves[i], c.slave)
		says(master, c.master)
	}
	readable := keysDir(t, "node-bob.key", good)
	if err := os.Chmod(filepath.Join(readable, "node-bob.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	for dir, want := range map[string]string{readable: "chmod 600", keysDir(t, "node-bob.key", good[:len(good)/2]): "pair anew", keysDir(t, "node-bob.key", nil): "pair anew", t.TempDir() + "/none": "tsrun pair --node bob"} {
		p := slaveWith(dir)
		if code := p.wait(20 * time.Second); code != 5 {
			t.Errorf("exit code %d, want 5", code)
		}
		contains(t, p.stderr.String(), want)
	}
	const replacedSlave = 3
	if err := os.WriteFile(filepath.Join(dirs[replacedSlave], "new"), good, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(dirs[replacedSlave], "new"), filepath.Join(dirs[replacedSlave], "node-bob.key")); err != nil {
		t.Fatal(err)
	}
	if code := master.wait(60 * time.Second); code != 0 {
		t.Errorf("exit code %d\n%s\n%s\nslave:\n%s", code, master.stdout.String(), master.stderr.String(), slaves[replacedSlave].stderr.String())
	}
}

// TestTwoLaboratories: each of two masters at work on one network has a slave of the other
// dial it. Both ends say so, and both runs end with their own.
func TestTwoLaboratories(t *testing.T) {
	t.Parallel()
	here, there, address := twoHosts(t)
	type laboratory struct {
		keys   string
		port   int
		master *tsrun
		bob    string // directory of keys
	}
	labs := make([]laboratory, 2)
	for i := range labs {
		l := &labs[i]
		l.keys, l.port, l.bob = filepath.Join(t.TempDir(), "keys"), 6000+10*i, filepath.Join(t.TempDir(), "keys")
		pairing := start(t, t.TempDir(), nil, "pair", "--keys", l.keys, "--node", "bob", "--address", fmt.Sprintf("127.0.0.1:%d", ownPort(t, "127.0.0.1")))
		eventually(t, 20*time.Second, "a code is printed", func() bool { return strings.Contains(pairing.stdout.String(), " --node bob\n") })
		tsrunKeys(t, l.bob, strings.Fields(pairing.stdout.String())[1:]...)
		if code := pairing.wait(20 * time.Second); code != 0 {
			t.Fatalf("exit code %d: %s", code, pairing.stderr.String())
		}
		l.master = start(t, t.TempDir(), here, append([]string{shipped(t, "coincidence.yaml"), "--keys", l.keys, "--set", "acquire.duration=1 s", "--set", "network.master=" + address,
			"--set", "nodes.bob.host=remote", "--set", "network.join=300 s", "--set", fmt.Sprintf("network.ports.status=%d", l.port),
			"--set", fmt.Sprintf("network.ports.trigger=%d", l.port+1), "--set", fmt.Sprintf("network.ports.files=%d", l.port+2),
			"--set", fmt.Sprintf("network.ports.clock=%d", l.port+3)}, patient...)...)
	}
	slave := func(keys string, port int, more ...string) *tsrun {
		return start(t, t.TempDir(), there, append([]string{"--mode", "slave", "--node", "bob", "--keys", keys, "--master", fmt.Sprintf("%s:%d", address, port)}, more...)...)
	}
	for i := range labs {
		crossed := slave(labs[1-i].bob, labs[i].port)
		for _, end := range []*tsrun{crossed, labs[i].master} {
			eventually(t, 20*time.Second, "an end says that the other is of another laboratory", func() bool {
				return strings.Contains(end.stderr.String(), "is of another laboratory (tsrun laboratory ")
			})
		}
		if crossed.cmd.ProcessState != nil {
			t.Error("the slave of another laboratory does not wait")
		}
	}
	for i := range labs {
		slave(labs[i].bob, labs[i].port, "--once")
	}
	for i := range labs {
		if code := labs[i].master.wait(60 * time.Second); code != 0 {
			t.Errorf("laboratory %d: exit code %d\n%s\n%s", i, code, labs[i].master.stdout.String(), labs[i].master.stderr.String())
		}
	}
}
