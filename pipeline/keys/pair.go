package keys

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/sdk"
)

const (
	// CodeValidity is how long a code of pairing is taken.
	CodeValidity = 10 * time.Minute
	// PairingPort is the port of pairing where nobody names another.
	PairingPort = 5561

	wrongTries  = 3           // of one code; then it is no good any more
	wrongDelay  = time.Second // before a wrong try is answered; the next one waits
	lastAnswers = time.Second // for answers that are on their way when a pairing ends
)

// Paired says what a pairing has brought.
type Paired struct {
	Node     string
	Address  string // of the other PC
	Until    time.Time
	Replaced bool // a certificate of this name that was good until now
}

// Pairing waits for one PC that was given its code.
type Pairing struct {
	store    *Store
	code     Code
	node     string // the only one that is taken; empty: any
	ca       *pair
	listener net.Listener
	until    time.Time
	guests   guests
	running  sync.WaitGroup
	wrongs   chan string // addresses of wrong tries

	judging sync.Mutex // of one who tries at a time
	wrong   int
	over    string // why the code is taken no more; guarded by judging
	end     chan error
	paired  *Paired
}

// Pair opens the port of pairing at addr, host:port, and makes a code, for a node or,
// where that is empty, for any. Where there is no CA yet it makes one.
func (s *Store) Pair(addr, node string) (*Pairing, error) {
	if node != "" {
		if err := recipe.CheckNode(node); err != nil {
			return nil, err
		}
	}
	if _, err := s.Init(); err != nil {
		return nil, err
	}
	ca, err := s.authority()
	if err != nil {
		return nil, err
	}
	own, err := s.load("master")
	if err != nil {
		return nil, err
	}
	if err := s.checkTime(own.chain[0]); err != nil {
		return nil, &sdk.Failure{Code: "certificate-time", Message: "this PC's own certificate " + err.Error(), Hint: "set the clock where it is wrong, or type: tsrun keys issue --master"}
	}
	if !own.ca().Equal(ca.chain[0]) {
		return nil, &sdk.Failure{Code: "bad-keys", Message: fmt.Sprintf("%s and %s are of two CAs", s.path("ca.key"), s.path("master.key")), Hint: "type: tsrun keys issue --master"}
	}
	l, err := tls.Listen("tcp", addr, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{pairing}, Certificates: []tls.Certificate{*own.tls()}, SessionTicketsDisabled: true})
	if err != nil {
		return nil, &sdk.Failure{Code: "port", Message: fmt.Sprintf("open the port of pairing: %v", err),
			Hint: "where another tsrun pair waits, use its code or end it; else name an address of this PC, and another port, with --address HOST:PORT"}
	}
	p := &Pairing{store: s, node: node, ca: ca, listener: l, until: s.now().Add(CodeValidity), wrongs: make(chan string, wrongTries), end: make(chan error, 1)}
	p.code = newCode(l.Addr().String(), ca.chain[0])
	p.running.Go(p.accept)
	return p, nil
}

// Code returns what is to be typed on the other PC.
func (p *Pairing) Code() Code { return p.code }

// Wrong returns a channel of the addresses from which a wrong code was tried.
func (p *Pairing) Wrong() <-chan string { return p.wrongs }

// Wait returns when a PC has been paired, and with an error when the code is taken
// no more or ctx ends.
func (p *Pairing) Wait(ctx context.Context) (*Paired, error) {
	late := time.NewTimer(p.until.Sub(p.store.now()))
	defer late.Stop()
	for {
		select {
		case err := <-p.end:
			return p.paired, err
		case <-late.C:
			if p.expire() {
				return nil, &sdk.Failure{Code: "pairing-late", Message: fmt.Sprintf("nobody used the code within %v", CodeValidity), Hint: "type tsrun pair again for a new one"}
			}
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// expire ends the time of the code, unless it has been used just now.
func (p *Pairing) expire() bool {
	p.judging.Lock()
	defer p.judging.Unlock()
	if p.over != "" && p.over != p.late() {
		return false
	}
	p.over = p.late()
	return true
}

func (p *Pairing) late() string {
	return fmt.Sprintf("the code was valid for %v, until %s", CodeValidity, p.until.UTC().Format("15:04 MST"))
}

// Close closes the port.
func (p *Pairing) Close() error {
	err := p.listener.Close()
	late := time.AfterFunc(lastAnswers, p.guests.dismiss)
	p.running.Wait()
	late.Stop()
	return err
}

func (p *Pairing) accept() {
	for {
		nc, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(50 * time.Millisecond) // out of file descriptors, usually
			continue
		}
		c := nc.(*tls.Conn)
		p.guests.admit(c.NetConn())
		p.running.Go(func() {
			defer p.guests.leave(c.NetConn())
			p.serve(c)
		})
	}
}

func (p *Pairing) serve(c *tls.Conn) {
	if c.SetDeadline(time.Now().Add(pairTimeout)) != nil || c.Handshake() != nil {
		return
	}
	heard := hear(c, maxAsking)
	var a asking
	if heard(&a) != nil {
		return
	}
	g := p.judge(c, a)
	if g.Refused == "" {
		p.guests.trust(c.NetConn())
		p.finish(c, g, heard)
		return
	}
	if c.SetDeadline(time.Now().Add(pairTimeout)) == nil { // it may have waited for another's turn
		_ = send(c, g)
		_ = c.CloseWrite()
		_, _ = c.Read(make([]byte, 1)) // until the other end has read it
	}
}

// finish hands over what was granted, and ends the pairing.
func (p *Pairing) finish(c *tls.Conn, g granting, heard func(any) error) {
	var k keeping
	err := c.SetDeadline(time.Now().Add(pairTimeout))
	if err == nil {
		err = send(c, g)
	}
	if err == nil {
		err = heard(&k)
	}
	if err == nil && !k.Kept {
		err = errors.New("it could not keep the keys")
	}
	if err != nil {
		p.end <- &sdk.Failure{Code: "pairing-cut",
			Message: fmt.Sprintf("%s (%s) was given a certificate and did not confirm that it has it: %v", p.paired.Node, p.paired.Address, err),
			Hint:    "what it had before is no good any more, and this code neither: type tsrun pair again, and on that PC what it prints"}
		return
	}
	_ = send(c, keeping{true})
	_ = c.CloseWrite()
	p.end <- nil
	_, _ = c.Read(make([]byte, 1))
}

// judge answers one who tries, one after the other.
func (p *Pairing) judge(c *tls.Conn, a asking) granting {
	p.judging.Lock()
	defer p.judging.Unlock()
	if p.over == "" && p.store.now().After(p.until) {
		p.over = p.late()
	}
	if p.over != "" {
		return granting{Refused: p.over}
	}
	want, err := proof(p.code.secret[:], c.ConnectionState(), a.Node, a.Request)
	if err != nil || !hmac.Equal(want, a.Proof) {
		return p.refuseWrong(c.RemoteAddr())
	}
	g, err := p.grant(c.RemoteAddr(), a)
	if err != nil {
		return granting{Refused: text.Printable(err.Error())} // a mistake of one who has the code
	}
	p.over = fmt.Sprintf("the code was used already, for node %s", a.Node)
	return g
}

// refuseWrong counts a wrong try. The caller holds judging, so tries are slow.
func (p *Pairing) refuseWrong(peer net.Addr) granting {
	time.Sleep(wrongDelay)
	p.wrong++
	p.wrongs <- peer.String()
	if p.wrong < wrongTries {
		return granting{Refused: fmt.Sprintf("the code is wrong; tries left: %d", wrongTries-p.wrong)}
	}
	p.over = "a wrong code was tried several times, so this one is taken no more"
	p.end <- &sdk.Failure{Code: "pairing-guessed", Message: fmt.Sprintf("a wrong code was tried %d times, last from %v, so this one is taken no more", wrongTries, peer),
		Hint: "type tsrun pair again for a new one; where nobody mistyped, somebody guesses: look at who is on this network"}
	return granting{Refused: p.over}
}

// grant issues the certificate that was asked for, in place of the one before.
func (p *Pairing) grant(peer net.Addr, a asking) (granting, error) {
	if err := recipe.CheckNode(a.Node); err != nil {
		return granting{}, fmt.Errorf("node: %w", err)
	}
	if p.node != "" && p.node != a.Node {
		return granting{}, fmt.Errorf("the code is for node %s, not for %s: type --node %s", p.node, a.Node, p.node)
	}
	r, err := parseRequest(a.Request)
	if err != nil {
		return granting{}, err
	}
	done, err := p.store.change()
	if err != nil {
		return granting{}, err
	}
	defer done()
	c, err := p.store.sign(p.ca, r, a.Node, false, Validity)
	if err != nil {
		return granting{}, err
	}
	before, err := p.store.retire(p.ca, c)
	if err != nil {
		return granting{}, err
	}
	p.paired = &Paired{Node: a.Node, Address: peer.String(), Until: c.NotAfter, Replaced: len(before) > 0}
	return granting{Leaf: c.Raw, Revoked: p.store.Revocations(), Replaced: len(before) > 0}, nil
}

// parseRequest returns the key of a request for a certificate, whose owner has signed it.
func parseRequest(b []byte) (ed25519.PublicKey, error) {
	r, err := x509.ParseCertificateRequest(b)
	if err != nil {
		return nil, fmt.Errorf("read request for a certificate: %w", err)
	}
	key, ok := r.PublicKey.(ed25519.PublicKey)
	if !ok || r.CheckSignature() != nil {
		return nil, errors.New("read request for a certificate: it is not signed by a key of Ed25519")
	}
	return key, nil
}
