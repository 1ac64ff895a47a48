package keys

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"tsrun/pipeline/wire"
)

// TestPairingAgain: of each name only the newest certificate is good, at a master and
// with a slave that are at work and read their keys anew.
func TestPairingAgain(t *testing.T) {
	master, bob := laboratory(t)
	running, waiting := security(t, master.Master), security(t, node(bob, "bob"))
	old := copiedAs(t, bob, "node-bob", "node-bob")
	p := newPairing(t, master)
	paired, err := bob.Join(t.Context(), p.Code(), "bob")
	if err != nil || !paired.Replaced {
		t.Fatalf("%+v, %v", paired, err)
	}
	if told, err := p.Wait(t.Context()); err != nil || !told.Replaced {
		t.Errorf("the master's PC is told %+v, %v", told, err)
	}
	if name, here, there := meet(t, running, waiting); name != "bob" {
		t.Errorf("the slave that waited is %q: %v, %v", name, here, there)
	}
	if _, here, there := meet(t, running, security(t, node(old, "bob"))); here == nil || there == nil || !strings.Contains(here.Error(), "another was issued in its place") {
		t.Errorf("the old key: %v, %v", here, there)
	}
	if _, err := master.Revoke("bob"); err != nil {
		t.Fatal(err)
	}
	if _, here, there := meet(t, running, waiting); here == nil || there == nil {
		t.Error("a revoked slave that waited is let in")
	}
	good := 0
	all, err := master.Issued()
	for _, i := range all {
		if i.Revoked.IsZero() {
			good++
		}
	}
	if err != nil || len(all) != 3 || good != 1 {
		t.Errorf("issued: %+v, %v", all, err)
	}
}

// TestExpiryWhileWaiting: a certificate ends while master and slave are at work; a
// connection that there is stays, the next one is refused.
func TestExpiryWhileWaiting(t *testing.T) {
	master, bob := laboratory(t)
	running, waiting := security(t, master.Master), security(t, node(bob, "bob"))
	if name, _, _ := meet(t, running, waiting); name != "bob" {
		t.Fatal("not let in before")
	}
	chain := []*x509.Certificate{waiting.Certificate().Leaf}
	master.now = func() time.Time { return time.Now().Add(2 * time.Hour) }
	if _, here, there := meet(t, running, waiting); here == nil || there == nil || !strings.Contains(here.Error(), "bob expired on ") || !strings.Contains(here.Error(), "the clock of "+thisPC()) {
		t.Errorf("%v, %v", here, there)
	}
	if err := running.Still(chain); err != nil {
		t.Errorf("a connection is closed because a certificate has expired: %v", err)
	}
	if _, err := master.Revoke("bob"); err != nil {
		t.Fatal(err)
	}
	if running.Still(chain) == nil {
		t.Error("a revoked certificate may stay")
	}
}

// TestListGrowsNewer: also where the clock was set back.
func TestListGrowsNewer(t *testing.T) {
	master, bob := laboratory(t)
	if err := bob.KeepRevocations("bob", master.Revocations()); err != nil {
		t.Fatal(err)
	}
	master.now = func() time.Time { return time.Now().Add(-30 * time.Minute) }
	if _, err := master.Revoke("bob"); err != nil {
		t.Fatal(err)
	}
	if err := bob.KeepRevocations("bob", master.Revocations()); err != nil {
		t.Fatal(err)
	}
	kept, err := bob.Kept()
	if err != nil || len(kept) != 1 || !strings.Contains(kept[0].Trouble, "was revoked on ") {
		t.Errorf("%+v, %v", kept, err)
	}
}

// TestChangesAtOnce: nothing is lost where many change the keys of one directory.
func TestChangesAtOnce(t *testing.T) {
	master, out := store(t), t.TempDir()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			s := &Store{dir: master.dir, now: time.Now}
			if _, err := s.Init(); err != nil {
				t.Error(err)
			}
			if err := s.Issue("bob", fmt.Sprint(out, "/", i), time.Hour); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	issued, err := master.Issued()
	good := 0
	for _, i := range issued {
		if i.Revoked.IsZero() && !i.Master {
			good++
		}
	}
	if err != nil || len(issued) != 9 || good != 1 {
		t.Errorf("%d issued, %d of bob good, want 9 and 1: %v", len(issued), good, err)
	}
}

// TestPairingIsForOneName: a code that was made for a node is of no use for another, and
// hostile names are none.
func TestPairingIsForOneName(t *testing.T) {
	master := store(t)
	p, err := master.Pair("127.0.0.1:0", "bob")
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	_, err = store(t).Join(t.Context(), p.Code(), "carol")
	wants(t, err, "pairing-refused", "type --node bob")
	for _, name := range []string{"", "../bob", "bob/x", "bob\x1b[31m", "master vm", "Bob", strings.Repeat("b", 1000), "\u202eboB", "*"} {
		if _, err := store(t).Join(t.Context(), p.Code(), name); err == nil {
			t.Errorf("%q is taken for a node", name)
		}
		_, err := asks(t, p, func(c *tls.Conn) asking { return honest(t, p, c, name) })
		if err != nil && strings.ContainsRune(err.Error(), '\x1b') {
			t.Errorf("%q is repeated raw", err)
		}
		if name == "" {
			continue // a code for any
		}
		if _, err := master.Pair("127.0.0.1:0", name); err == nil {
			t.Errorf("a code is made for %q", name)
		}
	}
	if _, err := store(t).Join(t.Context(), p.Code(), "bob"); err != nil {
		t.Error(err)
	}
}

// honest is what one says who has the code.
func honest(t *testing.T, p *Pairing, c *tls.Conn, name string) asking {
	t.Helper()
	other, err := laboratoryRequest()
	if err != nil {
		t.Fatal(err)
	}
	a := asking{Node: name, Request: other}
	if a.Proof, err = proof(p.code.secret[:], c.ConnectionState(), name, other); err != nil {
		t.Fatal(err)
	}
	return a
}

// asks says something at the port of pairing, and returns the answer.
func asks(t *testing.T, p *Pairing, what func(c *tls.Conn) asking) (granting, error) {
	t.Helper()
	c := visit(t, p)
	defer c.Close()
	var g granting
	err := send(c, what(c))
	if err == nil {
		err = hear(c, maxGranting)(&g)
	}
	if err == nil && g.Refused != "" {
		err = errors.New(g.Refused)
	}
	return g, err
}

func visit(t *testing.T, p *Pairing) *tls.Conn {
	t.Helper()
	c, err := tls.Dial("tcp", p.code.Address, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{pairing}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPairingIsCut: the connection ends at each step. The code works for nobody
// afterwards where it was shown, nothing half written is taken for keys, and the
// keys that were there before stay as they are.
func TestPairingIsCut(t *testing.T) {
	master, bob := laboratory(t)
	before, err := bob.read("node-bob.key")
	if err != nil {
		t.Fatal(err)
	}
	p := newPairing(t, master)
	c := visit(t, p) // before the proof
	c.Write([]byte(`{"node":"bob","req`))
	c.Close()
	if _, err := asks(t, p, func(c *tls.Conn) asking { return honest(t, p, c, "bob") }); err != nil { // and leaves with what was granted
		t.Fatal(err)
	}
	_, err = p.Wait(t.Context())
	wants(t, err, "pairing-cut", "did not confirm")
	_, err = bob.Join(t.Context(), p.Code(), "bob")
	wants(t, err, "pairing-refused", "was used already")
	if now, err := bob.read("node-bob.key"); err != nil || string(now) != string(before) {
		t.Errorf("the keys are others: %v", err)
	}

	code := p.Code()
	code.Address = halfAnswers(t, master)
	_, err = bob.Join(t.Context(), code, "bob")
	wants(t, err, "pairing-cut", "type tsrun pair there again")
	if now, err := bob.read("node-bob.key"); err != nil || string(now) != string(before) {
		t.Errorf("the keys are others: %v", err)
	}
}

// halfAnswers is a master's PC whose connection breaks within its answer.
func halfAnswers(t *testing.T, master *Store) string {
	t.Helper()
	own, err := master.load("master")
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{*own.tls()}, NextProtos: []string{pairing}})
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		var a asking
		if hear(c, maxAsking)(&a) == nil {
			_, _ = c.Write([]byte(`{"leaf":"MIIB`))
		}
	})
	t.Cleanup(func() { l.Close(); running.Wait() })
	return l.Addr().String()
}

// TestPairingWithoutRoom: keys that cannot be kept are known before the code is used.
func TestPairingWithoutRoom(t *testing.T) {
	p := newPairing(t, store(t))
	file := store(t)
	if err := os.WriteFile(file.dir, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := file.Join(t.Context(), p.Code(), "bob")
	wants(t, err, "keys-directory", "--keys")
	if _, err := store(t).Join(t.Context(), p.Code(), "bob"); err != nil {
		t.Error(err)
	}
}

// TestTwoPairings: two codes of one master at once are each good for one PC.
func TestTwoPairings(t *testing.T) {
	master := store(t)
	p, q := newPairing(t, master), newPairing(t, master)
	_, err := master.Pair(p.Code().Address, "")
	wants(t, err, "port", "another tsrun pair")
	crossed := p.Code()
	crossed.Address = q.Code().Address
	_, err = store(t).Join(t.Context(), crossed, "bob")
	wants(t, err, "pairing-refused", "the code is wrong; tries left: 2")
	if from := <-q.Wrong(); !strings.HasPrefix(from, "127.0.0.1:") {
		t.Errorf("told of a wrong try from %q", from)
	}
	var both sync.WaitGroup
	for _, each := range []struct {
		p    *Pairing
		name string
	}{{p, "bob"}, {q, "carol"}} {
		s := store(t)
		both.Go(func() {
			if _, err := s.Join(context.Background(), each.p.Code(), each.name); err != nil {
				t.Error(err)
			}
			if name, here, _ := meet(t, security(t, master.Master), security(t, node(s, each.name))); name != each.name {
				t.Errorf("%s is %q: %v", each.name, name, here)
			}
		})
	}
	both.Wait()
}

// TestPairingUnderFlood: who holds more connections than there are places, silent or
// with endless words, keeps nobody out.
func TestPairingUnderFlood(t *testing.T) {
	p := newPairing(t, store(t))
	var flood []net.Conn
	for i := range 2 * maxGuests {
		from := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
		c, err := from.DialContext(t.Context(), "tcp", p.Code().Address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if i%2 == 0 {
			_, _ = c.Write([]byte("\x16\x03\x01\xff"))
		}
		flood = append(flood, c)
	}
	long := visit(t, p)
	defer long.Close()
	_, _ = long.Write([]byte(`{"node":"` + strings.Repeat("b", 4*maxAsking)))
	_, _ = io.ReadAll(long) // returns: it was read for 4 kB, and closed
	if _, err := store(t).Join(t.Context(), p.Code(), "bob"); err != nil {
		t.Errorf("with %d strangers: %v", len(flood), err)
	}
	if _, err := p.Wait(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTwoLaboratories: on one network, none takes the other's nodes.
func TestTwoLaboratories(t *testing.T) {
	a, bob := laboratory(t)
	b, carol := laboratory(t)
	for _, c := range []struct{ master, slave *Store }{{a, carol}, {b, bob}} {
		_, here, there := meet(t, security(t, c.master.Master), security(t, node(c.slave, "bob")))
		if here == nil || there == nil || !strings.Contains(here.Error(), "is of another laboratory (tsrun laboratory ") || !strings.Contains(there.Error(), "is of another laboratory (tsrun laboratory ") {
			t.Errorf("%v, %v", here, there)
		}
	}
	if name, here, _ := meet(t, security(t, a.Master), security(t, a.Own)); name != wire.MasterName {
		t.Error(here)
	}
	if _, err := bob.Join(t.Context(), newPairing(t, b).Code(), "bob"); err != nil { // bob moves to the other one
		t.Fatal(err)
	}
	if name, here, _ := meet(t, security(t, b.Master), security(t, node(bob, "bob"))); name != "bob" {
		t.Errorf("bob has moved and is %q: %v", name, here)
	}
}
