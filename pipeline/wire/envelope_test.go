package wire

import (
	"bytes"
	"testing"

	"pgregory.net/rapid"
)

func drawEnvelope(t *rapid.T) envelope {
	return envelope{
		kind:   envelopeKind(rapid.IntRange(int(question), int(refusal)).Draw(t, "kind")),
		client: rapid.Uint64().Draw(t, "client"),
		seq:    rapid.Uint64().Draw(t, "seq"),
		body:   rapid.SliceOf(rapid.Byte()).Draw(t, "body"),
	}
}

func TestEnvelopeIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawEnvelope(t)
		b := want.encode()
		got, err := decodeEnvelope(b)
		if err != nil || got.kind != want.kind || got.client != want.client || got.seq != want.seq || !bytes.Equal(got.body, want.body) {
			t.Fatal(got, err)
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := decodeEnvelope(b); err == nil {
			t.Fatalf("byte %d was changed unseen", at)
		}
	})
}

func FuzzDecodeEnvelope(f *testing.F) {
	f.Add(envelope{kind: question, client: 1, seq: 2, body: []byte("{}")}.encode())
	f.Add([]byte(envelopeMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEnvelope(b)
		if err == nil && len(e.body) != len(b)-envelopeSize {
			t.Fatalf("%d bytes of body in %d", len(e.body), len(b))
		}
	})
}
