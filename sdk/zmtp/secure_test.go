package zmtp

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	bigint "math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/internal/hostile"
)

// secured returns the security of one who is called name and turns those away whom refuse names.
func secured(t testing.TB, name, refuse string) *Security {
	t.Helper()
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: bigint.NewInt(1), Subject: pkix.Name{CommonName: name}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	if err != nil {
		t.Fatal(err)
	}
	return &Security{
		Certificate: func() *tls.Certificate {
			return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: private}
		},
		Verify: func(chain []*x509.Certificate) (string, error) {
			if n := chain[0].Subject.CommonName; n != refuse {
				return n, nil
			}
			return "", fmt.Errorf("%s is\x1b[31m not known", refuse)
		},
	}
}

// secureListener listens with security and keeps why peers were turned away.
func secureListener(t testing.TB, typ zmq4.SocketType, s *Security) (*Listener, chan error) {
	t.Helper()
	refused := make(chan error, 16)
	l, err := Listen("tcp", "127.0.0.1:0", typ, Options{Security: s, Refused: func(_ net.Addr, err error) {
		select {
		case refused <- err:
		default:
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, refused
}

func TestSecureMessages(t *testing.T) {
	l, _ := secureListener(t, zmq4.Pull, secured(t, "master", ""))
	push, err := DialSecure(t.Context(), "tcp", l.Addr().String(), zmq4.Push, secured(t, "bob", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer push.Close()
	pull, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer pull.Close()
	if push.PeerName() != "master" || pull.PeerName() != "bob" {
		t.Errorf("the peers are called %q and %q", push.PeerName(), pull.PeerName())
	}
	buf := make([]byte, 1<<20)
	for _, size := range []int{0, 1, 255, 256, 16 << 10, batchSize - 1, batchSize, batchSize + 1, 1 << 20} {
		body := bytes.Repeat([]byte{byte(size), 7}, size/2+1)[:size]
		sent := make(chan error, 1)
		go func() { sent <- push.Send(wait, []byte("head"), body) }()
		head, more, err := pull.ReadFrame(buf[:16])
		if err != nil || !more || string(head) != "head" {
			t.Fatalf("%d bytes: head %q, %v", size, head, err)
		}
		if got, more, err := pull.ReadFrame(buf); err != nil || more || !bytes.Equal(got, body) {
			t.Fatalf("%d bytes: %d came, %v", size, len(got), err)
		}
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
	}
	push.Close()
	if _, _, err := pull.ReadFrame(buf); err != io.EOF {
		t.Errorf("after the peer left: %v, want EOF", err)
	}
}

// TestSecureRefusals: both ends learn why, in words that a terminal can be shown.
func TestSecureRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		master, slave *Security
		here, there   string // what the dialing end is told, and the listening one
		is            error  // of the dialing end
	}{
		"certificate of the slave":  {secured(t, "master", "bob"), secured(t, "bob", ""), "the other end turns this certificate away: bob is?[31m not known", "the other end's certificate is turned away: bob is?[31m not known", nil},
		"certificate of the master": {secured(t, "master", ""), secured(t, "bob", "master"), "the other end's certificate is turned away: master is", "the other end turns this certificate away: master is?[31m", nil},
		"slave without TLS":         {secured(t, "master", ""), nil, "wants TLS", "speaks without TLS", ErrPeerSecure},
		"master without TLS":        {nil, secured(t, "bob", ""), "speaks without TLS", "wants TLS", ErrPeerPlain},
	} {
		t.Run(name, func(t *testing.T) {
			l, refused := secureListener(t, zmq4.Rep, c.master)
			conn, err := DialSecure(t.Context(), "tcp", l.Addr().String(), zmq4.Req, c.slave)
			if err == nil {
				conn.Close()
				t.Fatal("the connection was made")
			}
			if !strings.Contains(err.Error(), c.here) || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("dialing: %v, want %q", err, c.here)
			}
			select {
			case err := <-refused:
				if !strings.Contains(err.Error(), c.there) {
					t.Errorf("listening: %v, want %q", err, c.there)
				}
			case <-time.After(wait):
				t.Error("the listening end was told nothing")
			}
		})
	}
}

// TestSecureCloseWaitsForNobody closes a connection whose peer reads nothing.
func TestSecureCloseWaitsForNobody(t *testing.T) {
	l, _ := secureListener(t, zmq4.Pull, secured(t, "master", ""))
	push, err := DialSecure(t.Context(), "tcp", l.Addr().String(), zmq4.Push, secured(t, "bob", ""))
	if err != nil {
		t.Fatal(err)
	}
	sent := make(chan error, 1)
	go func() {
		for {
			if err := push.Send(time.Minute, make([]byte, 1<<20)); err != nil {
				sent <- err
				return
			}
		}
	}()
	time.Sleep(200 * time.Millisecond) // the kernel's buffers are full, or will be: either way Close ends it
	push.Close()
	select {
	case <-sent:
	case <-time.After(wait):
		t.Error("a Send outlives Close")
	}
}

// TestSecureHostilePeers says what strangers say to a port with TLS, and pieces of a true handshake.
func TestSecureHostilePeers(t *testing.T) {
	l, _ := secureListener(t, zmq4.Pull, secured(t, "master", ""))
	said := hostile.Bytes("PUSH")
	for i, record := range hostile.Records() {
		said[fmt.Sprint("record ", i)] = record
	}
	for name, b := range said {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write(b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	push, err := DialSecure(t.Context(), "tcp", l.Addr().String(), zmq4.Push, secured(t, "bob", ""))
	if err != nil {
		t.Fatal(err)
	}
	defer push.Close()
	c, err := l.Accept(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.PeerName() != "bob" {
		t.Errorf("a stranger came in, called %q", c.PeerName())
	}
}

func FuzzVerdict(f *testing.F) {
	for _, s := range []string{"\x00\x00", "\x00", "\x00\x05wrong", "\xff\xff", "\x00\x06\x1b[2J\n\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		err := readVerdict(bytes.NewReader(said))
		var rejection *CertificateError
		if err == nil && !bytes.HasPrefix(said, []byte{0, 0}) || errors.As(err, &rejection) && rejection.Error() == "" {
			t.Errorf("%q: %v", said, err)
		}
	})
}
