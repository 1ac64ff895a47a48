package instrument

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestHostileWordsStayShort: what a device says stays readable and short,
// whatever it says.
func TestHostileWordsStayShort(t *testing.T) {
	for _, text := range []string{strings.Repeat("\x00\"<", 10_000), strings.Repeat("ä", 100), "\xff\xfe", ""} {
		if got, err := json.Marshal(Clip(text, 64)); err != nil || len(got) > 70 {
			t.Errorf("%d bytes kept of %d, %v", len(got), len(text), err)
		}
		if got := Quote(text); len(got) > 1000 || strings.ContainsAny(got, "\x00\n") || !utf8.ValidString(got) {
			t.Errorf("%d bytes quoted of %d", len(got), len(text))
		}
	}
	if got := Clip("-0.400000V", 64); got != "-0.400000V" {
		t.Errorf("%q", got)
	}
}
