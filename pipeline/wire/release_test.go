package wire

import (
	"context"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-zeromq/zmq4"

	"tsrun/sdk/zmtp"
)

// TestOtherProtocol: whatever form the question of another release has, it is refused
// with both releases, both numbers, and which is older.
func TestOtherProtocol(t *testing.T) {
	for body, says := range map[string]string{
		`{"node":"bob","join":{"protocol":5,"version":"v0.5","host":"pc"}}`:                                         "the slave's is the older",
		`{"node":"bob","join":{"protocol":7,"version":"v0.7","host":"pc","held":"x","instance":12}}`:                "this master's is the older",
		`{"node":"bob","report":[1],"join":{"protocol":-1,"version":"` + strings.Repeat("v", 1000) + `\u001b[2J"}}`: "the slave's is the older",
	} {
		r, err := DecodeRequest([]byte(body))
		if err != nil || r.Node != "bob" || r.Join == nil {
			t.Errorf("%s: %+v, %v", body, r, err)
			continue
		}
		f := OtherProtocol(r.Join, "v0.6")
		if f == nil || f.Code != "protocol" || !strings.Contains(f.Hint, says) || !strings.Contains(f.Message, "tsrun v0.6, protocol 6") || len(f.Message) > 200 || strings.Contains(f.Message, "\x1b") {
			t.Errorf("%s: %+v", body, f)
		}
	}
	if f := OtherProtocol(&Join{Protocol: Protocol}, "x"); f != nil {
		t.Error(f)
	}
	for _, body := range []string{`{`, `{"node":1}`, `{"node":"bob","join":{"protocol":6,"held":"x"}}`, `{"node":"bob","report":[]}`} {
		if r, err := DecodeRequest([]byte(body)); err == nil {
			t.Errorf("%s was read as %+v", body, r)
		}
	}
}

func FuzzDecodeRequest(f *testing.F) {
	f.Add([]byte(`{"node":"bob","join":{"protocol":7,"version":"v0.7","host":"pc","held":"x"}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := DecodeRequest(body)
		if err == nil && json.Unmarshal(body, &Request{}) != nil && (r.Join == nil || OtherProtocol(r.Join, "") == nil) {
			t.Fatalf("%q is nobody's question, and was read as %+v", body, r)
		}
	})
}

// TestEnvelopeOfAnotherRelease: who speaks with another form of envelopes is answered
// with one of this release, and the user is told.
func TestEnvelopeOfAnotherRelease(t *testing.T) {
	told := make(chan string, 4)
	s, err := ListenStatus(t.Context(), "127.0.0.1:0", Guard{Refused: func(_ net.Addr, why error) { told <- why.Error() }}, echo)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	c, err := zmtp.Dial(t.Context(), "tcp", s.Addr().String(), zmq4.Req)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	other := envelope{kind: question, client: 1, seq: 1}.encode()
	other[4] = envelopeVersion + 1
	if err := c.Send(wait, nil, other); err != nil {
		t.Fatal(err)
	}
	var buf []byte
	e, err := receiveEnvelope(c, &buf)
	if err != nil || e.kind != refusal || !strings.Contains(string(e.body), "version 2, this release reads 1; install the same release") {
		t.Errorf("answered %+v, %v", e, err)
	}
	if why := <-told; why != string(e.body) {
		t.Errorf("the user was told %q", why)
	}
}

// TestCloseAnswersFirst: the answer to a question that ends the server still arrives.
func TestCloseAnswersFirst(t *testing.T) {
	opened, closed := make(chan *StatusServer, 1), make(chan error, 1)
	s := listenStatus(t, func(peer Peer, body []byte) []byte {
		go func() { closed <- (<-opened).Close() }()
		time.Sleep(50 * time.Millisecond) // it is most likely at work then, and need not be
		return echo(peer, body)
	})
	opened <- s
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if reply, err := newClient(t, s.Addr().String()).Call(ctx, []byte("over")); err != nil || string(reply) != "re: over" {
		t.Errorf("%q, %v", reply, err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
