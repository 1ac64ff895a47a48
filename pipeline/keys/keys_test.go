package keys

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"
	"go.uber.org/goleak"

	"tsrun/pipeline/wire"
	"tsrun/sdk"
	"tsrun/sdk/zmtp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wait = 20 * time.Second // longer than any test needs

// laboratory returns the keys of a master, and of a node bob that it has paired by hand.
func laboratory(t *testing.T) (master, bob *Store) {
	t.Helper()
	master, bob = store(t), store(t)
	if made, err := master.Init(); err != nil || !made {
		t.Fatalf("made %v, %v", made, err)
	}
	if err := master.Issue("bob", bob.dir, time.Hour); err != nil {
		t.Fatal(err)
	}
	return master, bob
}

func store(t *testing.T) *Store {
	t.Helper()
	s, err := Open(filepath.Join(t.TempDir(), "keys"))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// meet lets a slave dial a master, and returns what each is told.
func meet(t *testing.T, master, slave *zmtp.Security) (name string, here, there error) {
	t.Helper()
	refused := make(chan error, 1)
	guard := wire.Guard{Security: master}
	l, err := zmtp.Listen("tcp", "127.0.0.1:0", zmq4.Rep, zmtp.Options{Security: guard.Security, Refused: func(_ net.Addr, err error) { refused <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, here := zmtp.DialSecure(t.Context(), "tcp", l.Addr().String(), zmq4.Req, slave)
	if here != nil {
		select {
		case there = <-refused:
		case <-time.After(wait):
			t.Fatal("the master was told nothing")
		}
		return "", here, there
	}
	defer dialed.Close()
	c, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return c.PeerName(), nil, nil
}

func security(t *testing.T, get func() (*zmtp.Security, error)) *zmtp.Security {
	t.Helper()
	s, err := get()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func node(s *Store, name string) func() (*zmtp.Security, error) {
	return func() (*zmtp.Security, error) { return s.Node(name) }
}

func TestCertificatesOfOneLaboratory(t *testing.T) {
	master, bob := laboratory(t)
	if name, here, there := meet(t, security(t, master.Master), security(t, node(bob, "bob"))); name != "bob" || here != nil || there != nil {
		t.Errorf("bob is %q: %v, %v", name, here, there)
	}
	if name, here, _ := meet(t, security(t, master.Master), security(t, master.Own)); name != wire.MasterName || here != nil {
		t.Errorf("a slave of the master's own is %q: %v", name, here)
	}
	if made, err := master.Init(); made || err != nil {
		t.Errorf("a second CA was made: %v, %v", made, err)
	}
}

// TestCertificatesThatAreTurnedAway: both ends are told the same, true reason.
func TestCertificatesThatAreTurnedAway(t *testing.T) {
	master, bob := laboratory(t)
	stranger, strange := laboratory(t)
	other := copied(t, master) // another master of the same laboratory
	other.anew(t)
	late, early := *master, *master
	late.now = func() time.Time { return time.Now().Add(2 * time.Hour) } // the one of bob is valid for an hour
	early.now = func() time.Time { return time.Now().Add(-2 * time.Hour) }
	security0 := security(t, master.Master)
	of := func(s *Store) *zmtp.Security { // keys of a PC whose clock is wrong only when it looks at others
		h, err := s.masterHolder()
		if err != nil {
			t.Fatal(err)
		}
		return h.security(h.verifyNode)
	}
	for name, c := range map[string]struct {
		master, slave *zmtp.Security
		want          string
	}{
		"another laboratory's slave":  {security0, security(t, node(strange, "bob")), "the certificate of"},
		"another laboratory's master": {security(t, stranger.Master), security(t, node(bob, "bob")), "is of another laboratory"},
		"expired":                     {of(&late), security(t, node(bob, "bob")), "the certificate of bob expired on "},
		"not yet valid":               {of(&early), security(t, node(bob, "bob")), "the certificate of bob is not valid before "},
		"a node as a master":          {security(t, node(bob, "bob")), security(t, node(bob, "bob")), "is a node's, not a master's"},
		"a node as one's own master":  {security(t, node(bob, "bob")), security(t, master.Own), "is not the one in "},
		"a master's key as a node's":  {security0, security(t, node(copiedAs(t, other, "master", "node-bob"), "bob")), "is a master's, not a node's"},
	} {
		_, here, there := meet(t, c.master, c.slave)
		if here == nil || !strings.Contains(here.Error(), c.want) || there == nil || !strings.Contains(there.Error(), c.want) {
			t.Errorf("%s: the slave is told %v, the master %v; want %q", name, here, there, c.want)
		}
	}
	if _, err := master.Revoke("bob"); err != nil {
		t.Fatal(err)
	}
	_, here, there := meet(t, security0, security(t, node(bob, "bob"))) // by a master that was running already
	if here == nil || !strings.Contains(here.Error(), "was revoked on ") || there == nil || !strings.Contains(there.Error(), "was revoked on ") {
		t.Errorf("revoked: the slave is told %v, the master %v", here, there)
	}
	if _, err := master.Revoke("bob"); err == nil {
		t.Error("revoked twice")
	}
	if all, err := master.Issued(); err != nil || len(all) != 2 || all[0].Name != "bob" || all[0].Revoked.IsZero() || !all[1].Master {
		t.Errorf("issued: %+v, %v", all, err)
	}
}

// TestRevocationEndsLiveConnections: a listener that is running closes the connections of
// a certificate that is revoked, whatever they have shown, refuses it from then on with
// the reason at both ends, and leaves the others alone.
func TestRevocationEndsLiveConnections(t *testing.T) {
	master, bob := laboratory(t)
	refused := make(chan error, 1)
	l, err := zmtp.Listen("tcp", "127.0.0.1:0", zmq4.Rep, zmtp.Options{Security: security(t, master.Master), Refused: func(_ net.Addr, err error) { refused <- err }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	connect := func(s *zmtp.Security) (dialed, accepted *zmtp.Conn) {
		t.Helper()
		dialed, err := zmtp.DialSecure(t.Context(), "tcp", l.Addr().String(), zmq4.Req, s)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { dialed.Close() })
		if accepted, err = l.Accept(t.Context()); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { accepted.Close() })
		return dialed, accepted
	}
	revoked := security(t, node(bob, "bob"))
	stranger, _ := connect(revoked)
	kept, known := connect(revoked)
	known.Keep("bob")
	own, here := connect(security(t, master.Own))
	if _, err := master.Revoke("bob"); err != nil {
		t.Fatal(err)
	}
	for _, c := range []*zmtp.Conn{stranger, kept} {
		if err := c.SetReadDeadline(time.Now().Add(wait)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.ReadFrame(make([]byte, 8)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a live connection of a revoked certificate: %v", err)
		}
	}
	if _, err := zmtp.DialSecure(t.Context(), "tcp", l.Addr().String(), zmq4.Req, revoked); err == nil || !strings.Contains(err.Error(), "was revoked on ") {
		t.Errorf("the slave that dials again is told %v", err)
	}
	select {
	case err := <-refused:
		if !strings.Contains(err.Error(), "was revoked on ") {
			t.Errorf("the master is told %v", err)
		}
	case <-time.After(wait):
		t.Error("the master is told nothing")
	}
	go func() { _ = own.Send(wait, []byte("still here")) }()
	if _, _, err := here.ReadFrame(make([]byte, 32)); err != nil {
		t.Errorf("the connection of another certificate: %v", err)
	}
}

// TestSlavesKeepTheListOfRevoked: a master whose certificate was issued anew is turned
// away, where it shows the old one, by a slave that was handed the list.
func TestSlavesKeepTheListOfRevoked(t *testing.T) {
	master, bob := laboratory(t)
	thief := copied(t, master)
	if err := master.IssueMaster(time.Hour); err != nil {
		t.Fatal(err)
	}
	all, err := master.Issued()
	if err != nil || len(all) != 3 || all[1].Revoked.IsZero() || !all[2].Revoked.IsZero() {
		t.Fatalf("%+v, %v", all, err)
	}
	other, _ := laboratory(t)
	if err := bob.KeepRevocations("bob", other.Revocations()); err == nil {
		t.Error("the list of another laboratory is kept")
	}
	if err := bob.KeepRevocations("bob", master.Revocations()); err != nil {
		t.Fatal(err)
	}
	if err := bob.KeepRevocations("bob", thief.Revocations()); err != nil { // an older one
		t.Fatal(err)
	}
	if _, here, there := meet(t, security(t, thief.Master), security(t, node(bob, "bob"))); here == nil || there == nil || !strings.Contains(here.Error(), "was revoked") {
		t.Errorf("the revoked master: %v, %v", here, there)
	}
	if _, here, _ := meet(t, security(t, master.Master), security(t, node(bob, "bob"))); here != nil {
		t.Error(here)
	}
}

// anew gives a copy a certificate of its own as a master, which the original knows nothing of.
func (s *Store) anew(t *testing.T) {
	t.Helper()
	if err := s.IssueMaster(time.Hour); err != nil {
		t.Fatal(err)
	}
}

// copiedAs returns the keys of one who has given a file of keys another name.
func copiedAs(t *testing.T, s *Store, from, to string) *Store {
	t.Helper()
	b, err := s.read(from + ".key")
	if err != nil {
		t.Fatal(err)
	}
	other := store(t)
	if err := other.write(to+".key", b); err != nil {
		t.Fatal(err)
	}
	return other
}

// copied returns the keys of one who has stolen a copy of s.
func copied(t *testing.T, s *Store) *Store {
	t.Helper()
	other := &Store{dir: filepath.Join(t.TempDir(), "keys"), now: time.Now}
	if err := os.CopyFS(other.dir, os.DirFS(s.dir)); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ca.key", "master.key"} {
		if err := os.Chmod(other.path(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return other
}

func TestKeysThatOthersMayRead(t *testing.T) {
	master, bob := laboratory(t)
	for _, mode := range []os.FileMode{0o640, 0o604, 0o660, 0o777} {
		if err := os.Chmod(bob.path("node-bob.key"), mode); err != nil {
			t.Fatal(err)
		}
		_, err := bob.Node("bob")
		wants(t, err, "keys-readable", "chmod 600")
	}
	if err := os.Chmod(master.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	_, err := Open(master.dir)
	wants(t, err, "keys-readable", "chmod 700")
	_, err = store(t).Master()
	wants(t, err, "no-keys", "tsrun pair")
	_, err = store(t).Node("bob")
	wants(t, err, "no-keys", "--node bob")
	_, err = Open(bob.path("node-bob.key"))
	wants(t, err, "keys-directory", "is no directory")
}

// TestDamagedKeys cuts a file of keys everywhere, and puts other things in its place:
// it is whole, or it is refused.
func TestDamagedKeys(t *testing.T) {
	master, bob := laboratory(t)
	whole, err := bob.read("node-bob.key")
	if err != nil {
		t.Fatal(err)
	}
	ca, err := master.read("ca.key")
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(bytes.TrimSpace(whole)) {
		if p, err := parsePair(whole[:n]); err == nil {
			t.Fatalf("%d of %d bytes are taken for %v", n, len(whole), p.chain[0].Subject)
		}
	}
	key := whole[:bytes.Index(whole, []byte("-----BEGIN CERTIFICATE"))]
	for name, content := range map[string][]byte{
		"empty": nil, "text": []byte("nothing"), "zeros": make([]byte, len(whole)), "a key alone": key, "without a key": whole[len(key):],
		"the key of another": append(slices.Clone(ca[:len(key)]), whole[len(key):]...), "text behind": append(slices.Clone(whole), "more"...),
		"twice": append(slices.Clone(whole), whole...), "too long": make([]byte, maxFile+1),
	} {
		if err := bob.write("node-bob.key", content); err != nil {
			t.Fatal(err)
		}
		_, err := bob.Node("bob")
		var f *sdk.Failure
		if !errors.As(err, &f) || f.Code != "bad-keys" || !strings.Contains(f.Message, "node-bob.key") || !strings.Contains(f.Hint, "pair anew") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(master.path("ca.crl")); err != nil {
		t.Fatal(err)
	}
	if err := bob.write("node-bob.key", whole); err != nil {
		t.Fatal(err)
	}
	if _, here, there := meet(t, security(t, master.Master), security(t, node(bob, "bob"))); here == nil || there == nil {
		t.Error("a master without its list of revoked certificates believes somebody")
	}
	_, err = master.Revoke("bob")
	wants(t, err, "bad-keys", "ca.crl")
}

func wants(t *testing.T, err error, code, words string) {
	t.Helper()
	var f *sdk.Failure
	if !errors.As(err, &f) || f.Code != code || !strings.Contains(f.Message+f.Hint, words) {
		t.Errorf("%v, want a failure %s about %q", err, code, words)
	}
}

// pairing makes a pairing on the loopback.
func newPairing(t *testing.T, master *Store) *Pairing {
	t.Helper()
	p, err := master.Pair("127.0.0.1:0", "")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

func TestPair(t *testing.T) {
	master, bob := store(t), store(t)
	p := newPairing(t, master)
	code, err := ParseCode(strings.ToLower(p.Code().String()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bob.Join(t.Context(), code, "bob"); err != nil {
		t.Fatal(err)
	}
	if paired, err := p.Wait(t.Context()); err != nil || paired.Node != "bob" {
		t.Errorf("%+v, %v", paired, err)
	}
	if name, here, there := meet(t, security(t, master.Master), security(t, node(bob, "bob"))); name != "bob" {
		t.Errorf("bob is %q: %v, %v", name, here, there)
	}
	_, err = store(t).Join(t.Context(), code, "carol")
	wants(t, err, "pairing-refused", "was used already, for node bob")
}

func TestPairTooLate(t *testing.T) {
	master := store(t)
	var later atomic.Int64
	master.now = func() time.Time { return time.Now().Add(time.Duration(later.Load())) }
	p := newPairing(t, master)
	later.Store(int64(CodeValidity + time.Second))
	_, err := store(t).Join(t.Context(), p.Code(), "bob")
	wants(t, err, "pairing-refused", "the code was valid for 10m0s")
	_, err = p.Wait(t.Context())
	wants(t, err, "pairing-late", "tsrun pair again")
}

// TestPairByGuessing: wrong codes end a pairing, and no certificate is issued, also
// where many try at once.
func TestPairByGuessing(t *testing.T) {
	master := store(t)
	p := newPairing(t, master)
	tries := make(chan error, 8)
	for i := range cap(tries) {
		other, wrong := store(t), p.Code()
		wrong.secret[i] ^= 1
		go func() {
			_, err := other.Join(context.Background(), wrong, "bob")
			tries <- err
		}()
	}
	refused := 0
	for range cap(tries) {
		if err := <-tries; err != nil && strings.Contains(err.Error(), "wrong") {
			refused++
		}
	}
	if refused != cap(tries) {
		t.Errorf("%d of %d wrong codes were refused as such", refused, cap(tries))
	}
	_, err := p.Wait(t.Context())
	wants(t, err, "pairing-guessed", "3 times")
	_, err = store(t).Join(t.Context(), p.Code(), "bob")
	wants(t, err, "pairing-refused", "a wrong code was tried")
	if all, err := master.Issued(); err != nil || len(all) != 1 {
		t.Errorf("issued: %+v, %v", all, err)
	}
}

// TestPairWithAStranger: one who listens at the address of a code learns nothing.
func TestPairWithAStranger(t *testing.T) {
	code := newPairing(t, store(t)).Code()
	stranger := store(t)
	if _, err := stranger.Init(); err != nil {
		t.Fatal(err)
	}
	own, err := stranger.load("master")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*own.tls()}, NextProtos: []string{pairing}})
	if err != nil {
		t.Fatal(err)
	}
	heard := make(chan int, 1)
	go func() {
		defer close(heard)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		n, _ := c.Read(make([]byte, 1000))
		heard <- n
	}()
	code.Address = l.Addr().String()
	_, err = store(t).Join(t.Context(), code, "bob")
	wants(t, err, "pairing-stranger", "nothing was told to it")
	if n := <-heard; n != 0 {
		t.Errorf("the stranger heard %d bytes", n)
	}
	l.Close()
}

func TestCodesThatAreMistyped(t *testing.T) {
	good := newPairing(t, store(t)).Code().String()
	if c, err := ParseCode("  " + strings.ReplaceAll(good, "-", "") + "\n"); err != nil || c.String() != good {
		t.Errorf("%v, %v", c, err)
	}
	slash := strings.IndexByte(good, '/')
	for i := range good {
		other := byte('A')
		if good[i] == 'A' {
			other = 'C'
		}
		if good[i] == '-' {
			continue
		}
		if i < slash && (good[i] < '0' || good[i] > '9') {
			continue
		}
		typed := good[:i] + string(other) + good[i+1:]
		if i < slash {
			typed = good[:i] + string('0'+(good[i]-'0'+1)%10) + good[i+1:]
		}
		if _, err := ParseCode(typed); err == nil {
			t.Errorf("%s is taken for %s", typed, good)
		}
	}
	for _, typed := range []string{"", "/", "host", "host:5561", "host:0/" + good[slash+1:], good + "A", good[:len(good)-1], strings.Repeat("A", 1<<20)} {
		_, err := ParseCode(typed)
		wants(t, err, "pairing-code", "tsrun pair")
	}
}
