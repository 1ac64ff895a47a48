package recipe

import (
	"errors"
	"strings"
	"testing"
)

// Recipes that are made to hurt are refused, with a place, in bounded work:
// the limits are on values and levels, so a test needs no clock.
func TestHostileRecipes(t *testing.T) {
	const half = MaxFile / 2
	tests := map[string]string{
		"deep lists":      "version: 1\nname: " + strings.Repeat("[", half),
		"deep maps":       "version: 1\nname: " + strings.Repeat("{a: ", half/4),
		"many keys":       "version: 1\n" + strings.Repeat("k: 1\n", half/5),
		"many values":     "version: 1\nname: [" + strings.Repeat("1,", half/2) + "1]\n",
		"long key":        "version: 1\n" + strings.Repeat("k", half) + ": 1\n",
		"long text":       "version: 1\nname: " + strings.Repeat("n", half) + "\n",
		"long number":     "version: 1\nacquire: {duration: " + strings.Repeat("9", half) + " s}\n",
		"long line":       "version: 1\nname: \"" + strings.Repeat("\x1b[2J", half/4) + "\"\n",
		"many variables":  "version: 1\nname: \"" + strings.Repeat("${env:A:-b}", half/11) + "\"\n",
		"many anchors":    "version: 1\nname: [" + strings.Repeat("&a x,", half/5) + "x]\n",
		"escape sequence": "version: 1\n\"\\e[2J\": 1\n",
		"NUL":             "version: 1\nname: \x00\n",
		"byte order mark": "\ufeffversion: 2\n",
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := Parse("hostile.yaml", []byte(text), Options{Stages: kindsOfStages, Env: noEnv})
			var problems Problems
			if !errors.As(err, &problems) {
				t.Fatalf("error %v; want problems", err)
			}
			for _, p := range problems {
				if p.Line < 1 || p.Column < 1 {
					t.Errorf("a problem without a place: %+v", p)
				}
				if shown := p.String(); len(shown) > 10*maxText || strings.ContainsAny(shown, "\x1b\x00") {
					t.Errorf("a message of %d bytes, or with control characters: %.100q", len(shown), shown)
				}
			}
		})
	}
}
