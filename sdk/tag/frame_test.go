package tag

import (
	"encoding/binary"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"
)

// times draws n tags in time order that start near one of the places where a
// narrower integer or a float would break.
func times(t *rapid.T, n int) []uint64 {
	start := rapid.SampledFrom([]uint64{0, 1 << 27, 1 << 32, 1 << 40, 1 << 53, 1 << 63, math.MaxUint64 - 1000}).Draw(t, "near")
	tags := make([]uint64, n)
	for i := range tags {
		tags[i] = start - min(start, 500) + rapid.Uint64Range(0, 1000).Draw(t, "t")
	}
	slices.Sort(tags)
	return tags
}

func anyBlock(t *rapid.T) Block {
	b := Block{
		Kind:   rapid.SampledFrom([]Kind{Data, Mark, End}).Draw(t, "kind"),
		Stream: rapid.Uint16().Draw(t, "stream"),
		Seq:    rapid.Uint64().Draw(t, "seq"),
		Until:  rapid.Uint64().Draw(t, "until"),
		Lost:   rapid.Uint64().Draw(t, "lost"),
	}
	copy(b.Run[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "run"))
	if b.Kind == Data {
		b.Tags = times(t, rapid.IntRange(1, 50).Draw(t, "n"))
	}
	return b
}

// frames encodes a block as its two frames.
func frames(b Block) (header, payload []byte) {
	payload = AppendTags(nil, b.Tags)
	header = make([]byte, HeaderSize)
	b.EncodeHeader(header)
	return header, payload
}

// decode is what every receiver of blocks does.
func decode(header, payload []byte) (Block, error) {
	h, err := DecodeHeader(header)
	if err != nil {
		return Block{}, err
	}
	if err := h.Check(payload); err != nil {
		return Block{}, err
	}
	return h.Block(payload, nil), nil
}

func TestFrameRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := anyBlock(t)
		got, err := decode(frames(b))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(b, got, cmpopts.EquateEmpty()); diff != "" {
			t.Fatal(diff)
		}
	})
}

func TestHeaderNoticesEveryFlippedBit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		header, payload := frames(anyBlock(t))
		bit := rapid.IntRange(0, 8*len(header)-1).Draw(t, "bit")
		header[bit/8] ^= 1 << (bit % 8)
		if _, err := decode(header, payload); err == nil {
			t.Fatalf("bit %d flipped and nobody noticed", bit)
		}
	})
}

func TestDisorderIsFoundAtEveryPlace(t *testing.T) {
	for n := 1; n < 42; n++ {
		for at := 1; at < n; at++ {
			tags := make([]uint64, n)
			for i := range tags {
				tags[i] = uint64(10 + i/3)
			}
			tags[at] = 9
			if got := Disorder(AppendTags(nil, tags)); got != at {
				t.Errorf("tag %d of %d: found %d", at, n, got)
			}
			for later := at + 1; later < n; later++ {
				twice := slices.Clone(tags)
				twice[later] = 8
				if got := Disorder(AppendTags(nil, twice)); got != at {
					t.Errorf("tags %d and %d of %d: found %d", at, later, n, got)
				}
			}
			tags[at] = tags[at-1]
			slices.Sort(tags)
			if got := Disorder(AppendTags(nil, tags)); got != 0 {
				t.Errorf("%v: found %d", tags, got)
			}
		}
	}
}

// reseal makes the checksum of tampered frames right again, so that the checks
// behind it are reached.
func reseal(header []byte) {
	binary.LittleEndian.PutUint32(header[checksumAt:], crc32.Checksum(header[:checksumAt], Castagnoli))
}

func TestFrameRefuses(t *testing.T) {
	le := binary.LittleEndian
	data := Block{Kind: Data, Stream: 3, Seq: 9, Tags: []uint64{10, 20, 20, 30}}
	mark := Block{Kind: Mark, Until: 5}
	for _, tt := range []struct {
		name   string
		block  Block
		tamper func(h, p []byte) ([]byte, []byte)
		want   string
	}{
		{"short header", data, func(h, p []byte) ([]byte, []byte) { return h[:79], p }, "79 bytes, want 80"},
		{"long header", data, func(h, p []byte) ([]byte, []byte) { return append(h, 0), p }, "81 bytes, want 80"},
		{"magic", data, func(h, p []byte) ([]byte, []byte) { h[0] = 'X'; return h, p }, `begins with "XSBK"`},
		{"version", data, func(h, p []byte) ([]byte, []byte) { h[4] = 2; return h, p }, "version 2"},
		{"reserved", data, func(h, p []byte) ([]byte, []byte) { h[73] = 1; return h, p }, "reserved"},
		{"count", data, func(h, p []byte) ([]byte, []byte) { le.PutUint32(h[12:], MaxBlockTags+1); return h, p }, "131073 tags, at most 131072"},
		{"kind", data, func(h, p []byte) ([]byte, []byte) { h[6] = 4; return h, p }, "unknown kind 4"},
		{"kind zero", data, func(h, p []byte) ([]byte, []byte) { h[6] = 0; return h, p }, "unknown kind 0"},
		{"data without tags", mark, func(h, p []byte) ([]byte, []byte) { h[6] = byte(Data); return h, p }, "data block without tags"},
		{"mark with tags", data, func(h, p []byte) ([]byte, []byte) { h[6] = byte(Mark); return h, p }, "mark block with 4 tags"},
		{"end with tags", data, func(h, p []byte) ([]byte, []byte) { h[6] = byte(End); return h, p }, "end block with 4 tags"},
		{"first after last", data, func(h, p []byte) ([]byte, []byte) { le.PutUint64(h[56:], 31); return h, p }, "first tag 31 ps is after last tag 30 ps"},
		{"mark with times", mark, func(h, p []byte) ([]byte, []byte) { le.PutUint64(h[64:], 7); return h, p }, "holds none"},
		{"payload short", data, func(h, p []byte) ([]byte, []byte) { return h, p[:31] }, "payload of 31 bytes, want 32"},
		{"payload long", mark, func(h, p []byte) ([]byte, []byte) { return h, []byte{0} }, "payload of 1 bytes, want 0"},
		{"first differs", data, func(h, p []byte) ([]byte, []byte) { le.PutUint64(h[56:], 9); return h, p }, "the header says 9 to 30 ps"},
		{"last differs", data, func(h, p []byte) ([]byte, []byte) { le.PutUint64(h[64:], 31); return h, p }, "the header says 10 to 31 ps"},
		{"order", Block{Kind: Data, Seq: 9, Tags: []uint64{10, 30, 20, 40}}, nil, "tag 2 at 20 ps is before its predecessor at 30 ps"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h, p := frames(tt.block)
			if tt.tamper != nil {
				h, p = tt.tamper(h, p)
			}
			if len(h) == HeaderSize {
				reseal(h)
			}
			_, err := decode(h, p)
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
	h, p := frames(data)
	h[33]++
	if _, err := decode(h, p); err == nil || !strings.Contains(err.Error(), "decode block header: checksum") {
		t.Errorf("damaged header: %v", err)
	}
}

// FuzzFrame: whatever arrives, a block that is accepted keeps every promise,
// and encoding it again gives the same bytes.
func FuzzFrame(f *testing.F) {
	for _, b := range []Block{{Kind: Data, Tags: []uint64{1, 2, 1 << 63}}, {Kind: Mark, Until: 9}, {Kind: End, Until: 9, Lost: 3}} {
		h, p := frames(b)
		f.Add(h, p)
	}
	f.Add([]byte{}, []byte{})
	f.Fuzz(func(t *testing.T, header, payload []byte) {
		if len(header) == HeaderSize {
			reseal(header)
		}
		b, err := decode(header, payload)
		if err != nil {
			return
		}
		if !slices.IsSorted(b.Tags) || len(b.Tags) > MaxBlockTags || (b.Kind == Data) != (len(b.Tags) > 0) {
			t.Fatalf("accepted %+v", b)
		}
		h, p := frames(b)
		if string(h) != string(header) || string(p) != string(payload) {
			t.Fatalf("encoded again: %x %x, was %x %x", h, p, header, payload)
		}
	})
}

func TestViews(t *testing.T) {
	tags := []uint64{1, 1<<63 + 5, math.MaxUint64}
	want := []byte{1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0x80, 255, 255, 255, 255, 255, 255, 255, 255}
	if got := AsBytes(tags); string(got) != string(want) {
		t.Errorf("AsBytes: % x", got)
	}
	if got := AppendTags([]byte{7}, tags); string(got) != "\x07"+string(want) {
		t.Errorf("AppendTags: % x", got)
	}
	buf := append([]byte{0}, want...)
	for name, payload := range map[string][]byte{"aligned": AsBytes(slices.Clone(tags)), "unaligned": buf[1:], "rest ignored": append(slices.Clone(want), 1, 2, 3)} {
		if got := AsTags(payload, nil); !slices.Equal(got, tags) {
			t.Errorf("AsTags %s: %v", name, got)
		}
	}
	scratch := make([]uint64, 0, 8)
	if got := decodeTags(want, scratch, 3); !slices.Equal(got, tags) || &got[0] != &scratch[:1][0] {
		t.Errorf("decodeTags into scratch: %v", got)
	}
	if AsBytes(nil) != nil || AsTags(nil, nil) != nil {
		t.Error("views of nothing")
	}
}

func TestSequence(t *testing.T) {
	run := RunID{1}
	head := func(k Kind, seq uint64, until uint64, tags ...uint64) Header {
		b := Block{Kind: k, Run: run, Stream: 2, Seq: seq, Until: until, Tags: tags}
		h, p := frames(b)
		header, err := DecodeHeader(h)
		if err == nil {
			err = header.Check(p)
		}
		if err != nil {
			t.Fatal(err)
		}
		return header
	}
	good := []Header{head(Data, 0, 0, 5, 9), head(Data, 1, 0, 9, 12), head(Mark, 2, 20), head(Data, 3, 0, 20, 21), head(Mark, 4, 3)}
	for _, tt := range []struct {
		name string
		next Header
		want string
	}{
		{"gap", head(Data, 7, 0, 30), "block 5 is due; 2 blocks are missing"},
		{"twice", head(Mark, 4, 3), "block 5 is due; this one came twice"},
		{"back in time", head(Data, 5, 0, 20), "first tag at 20 ps, but the blocks before it reach 21 ps"},
		{"stream", Header{Kind: Mark, Run: run, Stream: 3, Seq: 5}, "it came on stream 2"},
		{"run", Header{Kind: Mark, Stream: 2, Seq: 5}, "it belongs to run 00000000000000000000000000000000"},
		{"equal tags are in order", head(Data, 5, 0, 21, 21), ""},
		{"end", head(End, 5, 100), ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := Sequence{Stream: 2}
			for _, h := range good {
				if err := s.Accept(h); err != nil {
					t.Fatal(err)
				}
			}
			if s.Run != run || s.Accepted() != 5 || s.Until() != 21 || s.Ended() {
				t.Fatalf("%+v", s)
			}
			err := s.Accept(tt.next)
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	s := Sequence{Run: run, Stream: 2}
	if err := s.Accept(head(End, 0, 100)); err != nil || !s.Ended() || s.Until() != 100 {
		t.Fatal(err, s)
	}
	if err := s.Accept(head(Mark, 1, 100)); err == nil {
		t.Error("a block after the end was accepted")
	}
	s = Sequence{Stream: 2}
	if s.Accept(head(Mark, 0, 50)) != nil || s.Accept(head(Data, 1, 0, 49)) == nil {
		t.Error("the promise of a mark was not kept")
	}
}

func BenchmarkFrame(b *testing.B) {
	tags := make([]uint64, MaxBlockTags)
	for i := range tags {
		tags[i] = uint64(i) * 1000
	}
	block := Block{Kind: Data, Tags: tags}
	header := make([]byte, HeaderSize)
	b.Run("encode", func(b *testing.B) {
		b.SetBytes(MaxPayload)
		for b.Loop() {
			block.EncodeHeader(header)
		}
	})
	b.Run("decode", func(b *testing.B) {
		b.SetBytes(MaxPayload)
		for b.Loop() {
			if _, err := decode(header, AsBytes(tags)); err != nil {
				b.Fatal(err)
			}
		}
	})
}
