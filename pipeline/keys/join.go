package keys

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/sdk"
)

// Join makes a key for a node and has it certified by the PC that has printed code.
// An error leaves the keys that were there as they were.
func (s *Store) Join(ctx context.Context, code Code, node string) (*Paired, error) {
	if err := recipe.CheckNode(node); err != nil {
		return nil, err
	}
	done, err := s.change()
	if err != nil {
		return nil, err
	}
	done() // so keys can be kept here: that is to be known before the code is used
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
	if err != nil {
		return nil, explainDial(err)
	}
	c := nc.(*tls.Conn)
	defer c.Close()
	defer context.AfterFunc(ctx, func() { c.NetConn().Close() })()
	return s.ask(c, code, ca, node)
}

func explainDial(err error) error {
	var f *sdk.Failure
	switch {
	case errors.As(err, &f):
		return f
	case strings.Contains(err.Error(), "no application protocol"):
		return &sdk.Failure{Code: "protocol", Message: "the PC that printed the code pairs in another way than this one", Hint: "install the same release of tsrun on both PCs"}
	}
	return &sdk.Failure{Code: "pairing-unreachable", Message: fmt.Sprintf("reach the PC that printed the code: %v", err),
		Hint: fmt.Sprintf("a code is taken once, within %v, and while tsrun pair waits there: look whether it does; where it does, whether a firewall keeps the port closed, and whether the code has an address that this PC can reach (tsrun pair --address HOST)", CodeValidity)}
}

// pinned finds the CA of a code among a peer's certificates, the first of which it must have signed.
func (s *Store) pinned(code Code, chain []*x509.Certificate) (*x509.Certificate, error) {
	for _, ca := range chain {
		if fingerprintOf(ca) != code.fingerprint {
			continue
		}
		if !ca.IsCA || chain[0].CheckSignatureFrom(ca) != nil || !isMaster(chain[0]) {
			break
		}
		if err := s.checkTime(chain[0]); err != nil {
			return nil, &sdk.Failure{Code: "certificate-time", Message: "the certificate of the master's PC " + err.Error(), Hint: "the clocks of both PCs must agree within an hour"}
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
	a := asking{Node: node}
	if a.Request, err = x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{}, key); err != nil {
		return nil, err
	}
	if a.Proof, err = proof(code.secret[:], c.ConnectionState(), node, a.Request); err != nil {
		return nil, err
	}
	heard := hear(c, maxGranting)
	var g granting
	if err = send(c, a); err == nil {
		err = heard(&g)
	}
	if err != nil {
		return nil, &sdk.Failure{Code: "pairing-cut", Message: fmt.Sprintf("pair with %s: the connection ended before a certificate came: %v", code.Address, err),
			Hint: "nothing was kept here, and the code may be used up: type tsrun pair there again"}
	}
	if g.Refused != "" {
		return nil, &sdk.Failure{Code: "pairing-refused", Message: "the master's PC refuses: " + text.Printable(g.Refused), Hint: "look at the code, or type tsrun pair there again for a new one"}
	}
	leaf, err := granted(g, ca, key, node)
	if err != nil {
		return nil, err
	}
	if err := s.keep(node, &pair{key, []*x509.Certificate{leaf, ca}}, g.Revoked); err != nil {
		_ = send(c, keeping{false})
		return nil, err
	}
	var k keeping
	if err := send(c, keeping{true}); err != nil || heard(&k) != nil {
		return nil, &sdk.Failure{Code: "pairing-cut", Message: fmt.Sprintf("the keys of %s are in %s, but the master's PC did not confirm that it heard so", node, s.dir),
			Hint: "look there whether it says that " + node + " is paired; where it does not, type tsrun pair there again"}
	}
	return &Paired{Node: node, Address: code.Address, Until: leaf.NotAfter, Replaced: g.Replaced}, nil
}

// granted returns the certificate of an answer, where it is what was asked for.
func granted(g granting, ca *x509.Certificate, key ed25519.PrivateKey, node string) (*x509.Certificate, error) {
	leaf, err := x509.ParseCertificate(g.Leaf)
	if err != nil {
		return nil, fmt.Errorf("read the certificate that came: %w", err)
	}
	if leaf.CheckSignatureFrom(ca) != nil || !key.Public().(ed25519.PublicKey).Equal(leaf.PublicKey) || leaf.Subject.CommonName != node || isMaster(leaf) {
		return nil, errors.New("read the certificate that came: it is not what was asked for")
	}
	if len(g.Revoked) > 0 {
		if _, err := parseList(ca, g.Revoked); err != nil {
			return nil, fmt.Errorf("read the list of revoked certificates that came: %w", err)
		}
	}
	return leaf, nil
}

// keep writes the list first: the key, without which it is of no use, comes last and whole.
func (s *Store) keep(node string, p *pair, revoked []byte) error {
	done, err := s.change()
	if err != nil {
		return err
	}
	defer done()
	if len(revoked) > 0 {
		if err := s.keepList(p.ca(), node, revoked); err != nil {
			return err
		}
	}
	return s.save("node-"+node, p)
}
