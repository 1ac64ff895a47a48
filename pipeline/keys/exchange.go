package keys

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

const (
	pairing     = "tsrun-pair/2" // of ALPN: who speaks another is of another release
	exporter    = "EXPORTER-tsrun-pair"
	pairTimeout = 10 * time.Second // for one exchange

	maxAsking   = 4 << 10   // bytes that are read of one who has proven nothing
	maxGranting = 128 << 10 // bytes of an answer
)

// A pairing is four messages, each a line of JSON:
//
//	the other PC                 the master's PC
//	asking    ─────────────────▶ the code is used up now, right or late
//	          ◀───────────────── granting
//	keeping   ─────────────────▶ the user is told
//	          ◀───────────────── keeping
type (
	// asking is what a node's PC sends: its public key in a request that it has signed,
	// and a proof that it was given the code.
	asking struct {
		Node    string `json:"node"`
		Request []byte `json:"request"` // PKCS #10
		Proof   []byte `json:"proof"`
	}
	// granting is what the master's PC answers.
	granting struct {
		Refused  string `json:"refused,omitempty"`
		Leaf     []byte `json:"leaf,omitempty"`
		Revoked  []byte `json:"revoked,omitempty"`
		Replaced bool   `json:"replaced,omitempty"` // the certificate of that name before
	}
	// keeping says that the other PC has its keys on the disk, and then that this was heard.
	keeping struct {
		Kept bool `json:"kept"`
	}
)

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

func send(w io.Writer, message any) error {
	b, err := json.Marshal(message)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// hear reads the messages of the other end, of which all together have at most limit bytes.
func hear(r io.Reader, limit int64) func(message any) error {
	d := json.NewDecoder(io.LimitReader(r, limit))
	return func(message any) error {
		if err := d.Decode(message); err != nil {
			return fmt.Errorf("read what the other end says: %w", err)
		}
		return nil
	}
}
