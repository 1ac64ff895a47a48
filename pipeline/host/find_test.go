package host

import (
	"testing"

	"pgregory.net/rapid"
)

// TestFinderFindsAcrossWrites cuts a text into pieces of any size.
func TestFinderFindsAcrossWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const text = "abcab"
		body := rapid.StringOfN(rapid.SampledFrom([]rune("abc")), 0, 40, -1).Draw(t, "body")
		want := false
		for i := range body {
			want = want || len(body)-i >= len(text) && body[i:i+len(text)] == text
		}
		f := &finder{text: []byte(text)}
		for rest := []byte(body); len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "n")
			if _, err := f.Write(rest[:n]); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if f.found != want {
			t.Fatalf("found %v, want %v", f.found, want)
		}
	})
}
