package quantity

import (
	"encoding/json"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestFineText(t *testing.T) {
	for _, c := range []struct {
		f    Fine
		want string
	}{
		{Fine{}, "0.000"},
		{NewFine(0, -0.25), "-0.250"},
		{NewFine(5, -0.25), "4.750"},
		{NewFine(-5, 0.25), "-4.750"},
		{NewFine(1, -0.9), "0.100"},
		{NewFine(1<<53, 1.125), "9007199254740993.125"},
		{NewFine(-1<<62, 0.001), "-4611686018427387903.999"},
		{NewFine(7, 0.4999), "7.500"},
		{NewFine(-7, -0.9999), "-8.000"},
	} {
		if got := c.f.String(); got != c.want {
			t.Errorf("%+v is written %s, want %s", c.f, got, c.want)
		}
	}
}

func TestFineReadsWhatItWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := NewFine(rapid.Int64Range(-1<<62, 1<<62).Draw(t, "whole"), rapid.Float64Range(-100, 100).Draw(t, "part"))
		if f.Part < -0.5 || f.Part > 0.5 {
			t.Fatalf("part %g", f.Part)
		}
		text, err := json.Marshal(f)
		if err != nil {
			t.Fatal(err)
		}
		var back Fine
		if err := json.Unmarshal(text, &back); err != nil || math.Abs(back.Minus(f)) > 0.000501 {
			t.Fatalf("%+v became %s, then %+v: %v", f, text, back, err)
		}
	})
}

func TestFineRefuses(t *testing.T) {
	for _, text := range []string{`"x"`, `1e300`, `99999999999999999999`, `1.2e5`, `true`, `{}`} {
		var f Fine
		if err := json.Unmarshal([]byte(text), &f); err == nil {
			t.Errorf("%s is read as %v", text, f)
		}
	}
}
