package keys

import (
	"context"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

	wrongTries   = 3                // of one code; then it is no good any more
	wrongDelay   = time.Second      // before a wrong try is answered; the next one waits
	pairTimeout  = 10 * time.Second // for one exchange
	maxExchange  = 128 << 10        // bytes of a message
	maxExchanges = 16               // at once
	pairing      = "tsrun-pair/1"
	exporter     = "EXPORTER-tsrun-pair"
)

// Paired says what a pairing has brought.
type Paired struct {
	Node    string
	Address string // of the other PC
	Until   time.Time
}

// asking is what a node's PC sends: its public key in a request that it has signed,
// and a proof that it was given the code.
type asking struct {
	Node    string `json:"node"`
	Request []byte `json:"request"` // PKCS #10
	Proof   []byte `json:"proof"`
}

// granting is what the master's PC answers.
type granting struct {
	Refused string `json:"refused,omitempty"`
	Leaf    []byte `json:"leaf,omitempty"`
	Revoked []byte `json:"revoked,omitempty"`
}

// proof is an HMAC with the secret of what only this connection has, of the name
// and of the request: it is of no use in another connection or for another key.
func proof(secret []byte, state tls.ConnectionState, node string, request []byte) ([]byte, error) {
	bound, err := state.ExportKeyingMaterial(exporter, nil, sha256.Size)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256(request)
	h := hmac.New(sha256.New, secret)
	h.Write(bound)
	h.Write(key[:])
	h.Write([]byte(node))
	return h.Sum(nil), nil
}

// Pairing waits for one PC that was given its code.
type Pairing struct {
	store    *Store
	code     Code
	ca       *pair
	listener net.Listener
	until    time.Time
	running  sync.WaitGroup
	places   chan bool

	judging sync.Mutex // of one who tries at a time
	wrong   int
	over    string // why the code is taken no more; guarded by judging
	end     chan error
	paired  *Paired
}

// Pair opens the port of pairing at addr, host:port, and makes a code. Where there is
// no CA yet it makes one.
func (s *Store) Pair(addr string) (*Pairing, error) {
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
		return nil, &sdk.Failure{Code: "certificate-time", Message: "this PC's own certificate: " + err.Error(), Hint: "set the clock, or type: tsrun keys issue --master"}
	}
	l, err := tls.Listen("tcp", addr, &tls.Config{MinVersion: tls.VersionTLS13, NextProtos: []string{pairing}, Certificates: []tls.Certificate{own.tls()}, SessionTicketsDisabled: true})
	if err != nil {
		return nil, &sdk.Failure{Code: "port", Message: fmt.Sprintf("open the port of pairing: %v", err), Hint: "name an address of this PC with --address, and another port with it where this one is taken"}
	}
	p := &Pairing{store: s, ca: ca, listener: l, until: s.now().Add(CodeValidity), places: make(chan bool, maxExchanges), end: make(chan error, 1)}
	p.code = newCode(l.Addr().String(), own.ca())
	p.running.Go(p.accept)
	return p, nil
}

// Code returns what is to be typed on the other PC.
func (p *Pairing) Code() Code { return p.code }

// Wait returns when a PC has been paired, and with an error when the code is taken
// no more or ctx ends.
func (p *Pairing) Wait(ctx context.Context) (*Paired, error) {
	late := time.NewTimer(p.until.Sub(p.store.now()))
	defer late.Stop()
	select {
	case err := <-p.end:
		return p.paired, err
	case <-late.C:
		return nil, &sdk.Failure{Code: "pairing-late", Message: fmt.Sprintf("nobody used the code within %v", CodeValidity), Hint: "type tsrun pair again for a new one"}
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Close closes the port.
func (p *Pairing) Close() error {
	err := p.listener.Close()
	p.running.Wait()
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
		select {
		case p.places <- true:
			p.running.Go(func() {
				defer func() { <-p.places }()
				p.serve(nc.(*tls.Conn))
			})
		default:
			nc.Close()
		}
	}
}

func (p *Pairing) serve(c *tls.Conn) {
	defer c.NetConn().Close()
	if c.SetDeadline(time.Now().Add(pairTimeout)) != nil || c.Handshake() != nil {
		return
	}
	var a asking
	if receive(c, &a) != nil {
		return
	}
	g := p.judge(c, a)
	if c.SetDeadline(time.Now().Add(pairTimeout)) == nil { // it may have waited for another's turn
		_ = send(c, g)
		_ = c.CloseWrite()
		_, _ = c.Read(make([]byte, 1)) // until the other end has read it
	}
}

// judge answers one who tries, one after the other.
func (p *Pairing) judge(c *tls.Conn, a asking) granting {
	p.judging.Lock()
	defer p.judging.Unlock()
	if p.over == "" && p.store.now().After(p.until) {
		p.over = fmt.Sprintf("the code was valid for %v, until %s", CodeValidity, p.until.UTC().Format("15:04 MST"))
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
	p.end <- nil
	return g
}

// refuseWrong counts a wrong try. The caller holds judging, so tries are slow.
func (p *Pairing) refuseWrong(peer net.Addr) granting {
	time.Sleep(wrongDelay)
	if p.wrong++; p.wrong < wrongTries {
		return granting{Refused: fmt.Sprintf("the code is wrong; %d more tries", wrongTries-p.wrong)}
	}
	p.over = "a wrong code was tried several times, so this one is taken no more"
	p.end <- &sdk.Failure{Code: "pairing-guessed", Message: fmt.Sprintf("a wrong code was tried %d times, last from %v, so this one is taken no more", wrongTries, peer),
		Hint: "type tsrun pair again for a new one; where nobody mistyped, somebody guesses: look at who is on this network"}
	return granting{Refused: p.over}
}

// grant issues the certificate that was asked for.
func (p *Pairing) grant(peer net.Addr, a asking) (granting, error) {
	if err := recipe.CheckNode(a.Node); err != nil {
		return granting{}, fmt.Errorf("node: %w", err)
	}
	r, err := x509.ParseCertificateRequest(a.Request)
	if err != nil {
		return granting{}, fmt.Errorf("read request for a certificate: %w", err)
	}
	key, ok := r.PublicKey.(ed25519.PublicKey)
	if err := r.CheckSignature(); err != nil || !ok {
		return granting{}, errors.New("read request for a certificate: it is not signed by a key of Ed25519")
	}
	c, err := p.store.sign(p.ca, key, a.Node, false, Validity)
	if err != nil {
		return granting{}, err
	}
	p.paired = &Paired{Node: a.Node, Address: peer.String(), Until: c.NotAfter}
	return granting{Leaf: c.Raw, Revoked: p.store.Revocations()}, nil
}

// Join makes a key for a node and has it certified by the PC that has printed code.
func (s *Store) Join(ctx context.Context, code Code, node string) (*Paired, error) {
	if err := recipe.CheckNode(node); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*pairTimeout)
	defer cancel()
	var ca *x509.Certificate
	d := tls.Dialer{Config: &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{pairing}, InsecureSkipVerify: true, // the code pins the CA
		VerifyConnection: func(state tls.ConnectionState) (err error) {
			ca, err = s.pinned(code, state.PeerCertificates)
			return err
		},
	}}
	nc, err := d.DialContext(ctx, "tcp", code.Address)
	var f *sdk.Failure
	if errors.As(err, &f) {
		return nil, f
	}
	if err != nil {
		return nil, &sdk.Failure{Code: "pairing-unreachable", Message: fmt.Sprintf("reach the PC that printed the code: %v", err),
			Hint: fmt.Sprintf("a code is taken once, within %v, and while tsrun pair waits there; look whether a firewall keeps the port closed, or type tsrun pair there again", CodeValidity)}
	}
	c := nc.(*tls.Conn)
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.NetConn().Close() })()
	return s.ask(c, code, ca, node)
}

// pinned finds the CA of a code among a peer's certificates, the first of which it must have signed.
func (s *Store) pinned(code Code, chain []*x509.Certificate) (*x509.Certificate, error) {
	for _, ca := range chain {
		if fingerprintOf(ca) != code.fingerprint {
			continue
		}
		if chain[0].CheckSignatureFrom(ca) != nil {
			break
		}
		if err := s.checkTime(chain[0]); err != nil {
			return nil, &sdk.Failure{Code: "certificate-time", Message: "the certificate of the master " + err.Error(), Hint: "the clocks of both PCs must agree within an hour"}
		}
		return ca, nil
	}
	return nil, &sdk.Failure{Code: "pairing-stranger", Message: fmt.Sprintf("the PC at %s is not the one that printed the code: its CA is another", code.Address),
		Hint: "nothing was told to it; type tsrun pair on the master's PC again, and look at who is on this network"}
}

// ask sends a request over a connection to the right PC, and keeps what comes back.
func (s *Store) ask(c *tls.Conn, code Code, ca *x509.Certificate, node string) (*Paired, error) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		return nil, err
	}
	request, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key)
	if err != nil {
		return nil, err
	}
	a := asking{Node: node, Request: request}
	if a.Proof, err = proof(code.secret[:], c.ConnectionState(), node, request); err != nil {
		return nil, err
	}
	var g granting
	if err = send(c, a); err == nil {
		err = receive(c, &g)
	}
	if err != nil {
		return nil, &sdk.Failure{Code: "pairing-unreachable", Message: fmt.Sprintf("pair with %s: %v", code.Address, err), Hint: "type tsrun pair there again"}
	}
	if g.Refused != "" {
		return nil, &sdk.Failure{Code: "pairing-refused", Message: fmt.Sprintf("the master's PC refuses: %s", text.Printable(g.Refused)), Hint: "look at the code, or type tsrun pair there again for a new one"}
	}
	leaf, err := x509.ParseCertificate(g.Leaf)
	if err != nil {
		return nil, fmt.Errorf("read the certificate that came: %w", err)
	}
	p := &pair{key, []*x509.Certificate{leaf, ca}}
	if leaf.CheckSignatureFrom(ca) != nil || !key.Public().(ed25519.PublicKey).Equal(leaf.PublicKey) || leaf.Subject.CommonName != node {
		return nil, errors.New("read the certificate that came: it is not what was asked for")
	}
	if err := s.save("node-"+node, p); err != nil {
		return nil, err
	}
	if list, err := parseList(ca, g.Revoked); err == nil && list != nil {
		if err := s.write("node-"+node+".crl", g.Revoked); err != nil {
			return nil, err
		}
	}
	return &Paired{Node: node, Address: code.Address, Until: leaf.NotAfter}, nil
}

func send(w io.Writer, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	if len(b) > maxExchange {
		return fmt.Errorf("a message of %d bytes", len(b))
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func receive(r io.Reader, message any) error {
	return json.NewDecoder(io.LimitReader(r, maxExchange)).Decode(message)
}
