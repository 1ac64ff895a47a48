package transfer

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestHeadIsReadBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := head{
			file:   rapid.Uint32().Draw(t, "file"),
			number: rapid.Uint64().Draw(t, "number"),
			offset: rapid.Uint64Range(0, maxSize).Draw(t, "offset"),
			length: rapid.Uint32Range(1, MaxChunk).Draw(t, "length"),
			sum:    rapid.Uint32().Draw(t, "sum"),
		}
		copy(want.token[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "token"))
		var b [headSize]byte
		want.encode(b[:])
		if got, err := decodeHead(b[:]); err != nil || got != want {
			t.Fatal(got, err)
		}
		at := rapid.IntRange(0, headSize-1).Draw(t, "at")
		b[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		if _, err := decodeHead(b[:]); err == nil {
			t.Fatalf("byte %d was changed unseen", at)
		}
	})
}

func TestHeadOutOfBoundsIsRefused(t *testing.T) {
	for _, h := range []head{{length: 0}, {length: MaxChunk + 1}, {length: math.MaxUint32}, {length: 1, offset: maxSize + 1}, {length: 1, offset: math.MaxUint64}} {
		var b [headSize]byte
		h.encode(b[:])
		if _, err := decodeHead(b[:]); err == nil {
			t.Errorf("%d bytes at %d were believed", h.length, h.offset)
		}
	}
}

func FuzzDecodeHead(f *testing.F) {
	var b [headSize]byte
	head{file: 1, number: 2, offset: 3, length: 4}.encode(b[:])
	f.Add(b[:])
	f.Add([]byte(headMagic))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := decodeHead(b)
		if err == nil && (h.length > MaxChunk || h.offset > maxSize) {
			t.Fatalf("believed %d bytes at %d", h.length, h.offset)
		}
	})
}

// What is written and what is missing make up the file, whatever comes in whatever order.
func TestSpansAgainstABitmap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const size = 60
		var s spans
		var written [size]bool
		for range rapid.IntRange(0, 30).Draw(t, "chunks") {
			start := rapid.Int64Range(0, size-1).Draw(t, "start")
			end := rapid.Int64Range(start+1, size).Draw(t, "end")
			var ok bool
			if s, ok = s.add(span{start, end}); !ok {
				t.Fatal("too many spans")
			}
			for i := start; i < end; i++ {
				written[i] = true
			}
		}
		var got [size]bool
		for i := range got {
			got[i] = true
		}
		last := int64(-1)
		for _, r := range s.missing(size) {
			if r.Offset <= last || r.check(size) != nil {
				t.Fatalf("gap %v", r)
			}
			last = r.Offset + r.Length // gaps do not touch
			for i := r.Offset; i < last; i++ {
				got[i] = false
			}
		}
		n := int64(0)
		for _, w := range written {
			if w {
				n++
			}
		}
		if got != written || s.bytes() != n {
			t.Fatalf("spans %v, written %v", s, written)
		}
	})
}

func TestSpansAreBounded(t *testing.T) {
	var s spans
	for i := range int64(maxRanges) {
		s, _ = s.add(span{2 * i, 2*i + 1})
	}
	if _, ok := s.add(span{1 << 20, 1<<20 + 1}); ok || len(s) != maxRanges {
		t.Fatalf("%d spans", len(s))
	}
	if gaps := s.missing(1 << 30); len(gaps) != maxRanges {
		t.Fatalf("%d gaps", len(gaps))
	}
	if s, ok := s.add(span{1, 2}); !ok || len(s) != maxRanges-1 {
		t.Fatalf("a chunk that closes a gap was dropped: %d spans", len(s))
	}
}

func TestFileNamesAreChecked(t *testing.T) {
	good := File{Name: "raw/bob/idler-000000.bin", Size: 8}
	if err := good.check("bob"); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{
		"", "/etc/passwd", "raw/bob", "raw/bob/", "raw/alice/x.bin", "raw/bobby/x.bin", "manifest.json",
		"raw/bob/../alice/x.bin", "raw/bob/../../x", "raw/bob/./x", "raw/bob//x", "../raw/bob/x", "raw/bob/..",
		"raw/bob/.hidden", "raw/bob/x.part", `raw/bob/..\x`, "raw/bob/a\nb", "raw/bob/a\x00b", "raw/bob/" + strings.Repeat("x", 2000),
	} {
		f := good
		f.Name = name
		if f.check("bob") == nil {
			t.Errorf("accepted %q", name)
		}
	}
	for _, size := range []int64{-1, math.MinInt64, maxSize + 1, math.MaxInt64} {
		f := good
		f.Size = size
		if f.check("bob") == nil {
			t.Errorf("accepted a size of %d", size)
		}
	}
}

func TestRangesAreChecked(t *testing.T) {
	for _, r := range []Range{{-1, 1}, {0, 0}, {0, -1}, {0, 11}, {10, 1}, {math.MaxInt64, 1}, {1, math.MaxInt64}} {
		if r.check(10) == nil {
			t.Errorf("accepted %v of 10 bytes", r)
		}
	}
	if err := (Range{9, 1}).check(10); err != nil {
		t.Error(err)
	}
}

func TestQuestionAndAnswerSurviveJSON(t *testing.T) {
	file := File{ID: 7, Name: "raw/bob/x.bin", Path: "/elsewhere/x.bin", Size: 9, SHA256: Digest{1, 0xab}}
	text, err := json.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(text), "elsewhere") || !strings.Contains(string(text), `"01ab0000`) {
		t.Fatalf("got %s", text)
	}
	var back File
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	file.Path = ""
	if diff := cmp.Diff(file, back); diff != "" {
		t.Fatal(diff)
	}
	for _, bad := range []string{`{"sha256":"01"}`, `{"sha256":"` + strings.Repeat("x", 64) + `"}`} {
		if err := json.Unmarshal([]byte(bad), &back); err == nil {
			t.Errorf("accepted %s", bad)
		}
	}
	want := Answer{Missing: []Range{{1, 2}}, Looked: 3, Differs: 1}
	text, err = json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	var got Answer
	if err := json.Unmarshal(text, &got); err != nil || !cmp.Equal(got, want) {
		t.Fatal(got, err)
	}
}
