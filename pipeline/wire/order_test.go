package wire

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func drawOrder(t *rapid.T) Order {
	o := Order{
		Kind:    OrderKind(rapid.IntRange(int(Beacon), int(Release)).Draw(t, "kind")),
		Seq:     rapid.Uint64().Draw(t, "seq"),
		Instant: rapid.Int64().Draw(t, "instant"),
		Sent:    rapid.Int64().Draw(t, "sent"),
		Shared:  rapid.Bool().Draw(t, "shared"),
	}
	if o.Shared {
		o.Instant, o.SharedNs = 0, o.Instant
	}
	copy(o.Run[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "run"))
	return o
}

func TestOrderIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawOrder(t)
		b := encodeOrder(want)
		if len(b) != orderSize {
			t.Fatalf("%d bytes", len(b))
		}
		if got, err := decodeOrder(b); err != nil || got != want {
			t.Fatal(got, err)
		}
		text, err := json.Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		var got Order
		if err := json.Unmarshal(text, &got); err != nil || got != want {
			t.Fatal(got, err)
		}
		at := rapid.IntRange(0, len(b)-1).Draw(t, "at")
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := decodeOrder(b); err == nil {
			t.Fatalf("byte %d was changed unseen", at)
		}
	})
}

func TestOrderKindsHaveNames(t *testing.T) {
	for k, want := range map[OrderKind]string{Beacon: "beacon", Fire: "fire", Release: "release", 0: "order 0", 9: "order 9"} {
		if k.String() != want {
			t.Errorf("%d is %q, not %q", k, k, want)
		}
	}
}

func FuzzDecodeOrder(f *testing.F) {
	f.Add(encodeOrder(Order{Kind: Fire, Seq: 7, Instant: 1, Sent: 2}))
	f.Add([]byte(orderMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		o, err := decodeOrder(b)
		if err == nil && !cmp.Equal(encodeOrder(o)[:52], b[:52]) && b[10] == 0 && b[11] == 0 {
			t.Fatalf("%v reads back as something else", o)
		}
	})
}
