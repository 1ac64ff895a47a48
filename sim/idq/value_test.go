package idq

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestValues(t *testing.T) {
	duration, threshold := times(7, 1, longestSpan), &command{kind: volts, low: -5e6, high: 5e6}
	records, edge, on := counting(1), oneOf("RISIng", "FALLing"), onOff("OFF")
	block := linked("NONE")
	for _, test := range []struct {
		c          *command
		argument   string
		set, query string // what setting and asking reply
	}{
		{duration, "1000000000000.0", "1000000000000", "1000000000000TB"},
		{duration, "600000000000.0", "600000000000", "600000000000TB"},
		{duration, "1e+16", "10000000000000000", "10000000000000000TB"},
		{duration, "1E3", "1000", "1000TB"},
		{duration, "2.5e3", "2500", "2500TB"},
		{duration, "3000 GTB", "3000000000000", "3000000000000TB"},
		{duration, "3 TTB", "3000000000000", "3000000000000TB"},
		{duration, "1000TB", "1000", "1000TB"},
		{duration, "5MTB", "5000000", "5000000TB"},
		{duration, "5 ktb", "5000", "5000TB"},
		{duration, "300000000000.00006", "300000000000", "300000000000TB"},
		{duration, "1.5", "2", "2TB"},
		{duration, "", "7", "7TB"},
		{threshold, "-0.4V", "-0.4", "-0.4V"},
		{threshold, "-0.400V", "-0.4", "-0.4V"},
		{threshold, "+0.100V", "0.1", "0.1V"},
		{threshold, "1V", "1", "1V"},
		{threshold, "1000mV", "1", "1V"},
		{threshold, "-120 mV", "-0.12", "-0.12V"},
		{threshold, "0.25", "0.25", "0.25V"},
		{threshold, "-0.0000004", "0", "0V"},
		{records, "INF", "INF", "INF"},
		{records, "inf", "INF", "INF"},
		{records, "12", "12", "12"},
		{edge, "RISI", "RISING", "RISING"},
		{edge, "falling", "FALLING", "FALLING"},
		{on, "", "ON", "ON"},
		{on, "off", "OFF", "OFF"},
		{block, "dela8", "DELA8", "DELA8"},
		{block, "DELAY8", "DELA8", "DELA8"},
		{block, "none", "NONE", "NONE"},
		{block, "STARt", "STAR", "STAR"},
		{block, "TSCO24", "TSCO24", "TSCO24"},
		{block, "REC", "REC", "REC"},
	} {
		v, err := test.c.parse(test.argument)
		if err != nil {
			t.Errorf("%q: %v", test.argument, err)
			continue
		}
		if set, query := test.c.print(v), test.c.query(v); set != test.set || query != test.query {
			t.Errorf("%q: %q and %q, want %q and %q", test.argument, set, query, test.set, test.query)
		}
	}
}

func TestWrongValues(t *testing.T) {
	duration, threshold := times(7, 1, longestSpan), &command{kind: volts, low: -5e6, high: 5e6}
	for _, test := range []struct {
		c        *command
		argument string
		want     string
	}{
		{duration, "0", "PARAM_TYPE"},
		{duration, "-5", "PARAM_TYPE"},
		{duration, "1e30", "PARAM_TYPE"},
		{duration, "1e999999999", "PARAM_TYPE"},
		{duration, "1e", "PARAM_TYPE"},
		{duration, "5 V", "PARAM_TYPE"},
		{duration, "5 xTB", "PARAM_TYPE"},
		{duration, "1.2.3", "PARAM_TYPE"},
		{duration, "--5", "PARAM_TYPE"},
		{duration, ".", "PARAM_TYPE"},
		{duration, "+", "PARAM_TYPE"},
		{duration, "nan", "PARAM_TYPE"},
		{duration, "0x10", "PARAM_TYPE"},
		{duration, strings.Repeat("1", 100), "PARAM_TYPE"},
		{threshold, "6V", "PARAM_TYPE"},
		{threshold, "1TB", "PARAM_TYPE"},
		{counting(1), "0", "PARAM_TYPE"},
		{counting(1), "INFINITE", "PARAM_TYPE"},
		{onOff("OFF"), "maybe", "PARAM_TYPE"},
		{oneOf("RISIng"), "RIS", "PARAM_TYPE"},
		{linked("NONE"), "DELA9", "PARAM_TYPE"},
		{linked("NONE"), "REC1", "PARAM_TYPE"},
		{linked("NONE"), "STAR0", "PARAM_TYPE"},
		{do(nothing), "5", "PARAM_TYPE"},
	} {
		v, err := test.c.parse(test.argument)
		var e *scpiError
		if !errors.As(err, &e) || e.name != test.want {
			t.Errorf("%q: %v, %v, want %s", test.argument, v, err, test.want)
		}
	}
}

func TestScaleRoundsHalfAwayFromZero(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		digits := rapid.Int64().Draw(t, "digits")
		exponent := rapid.IntRange(-20, 20).Draw(t, "exponent")
		text := big.NewInt(digits).String()
		got, ok := scale(text, exponent)
		if !ok {
			t.Fatalf("%s is refused", text)
		}
		exact := new(big.Rat).SetInt64(digits)
		ten := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(exponent, -exponent))), nil))
		if exponent < 0 {
			ten.Inv(ten)
		}
		exact.Mul(exact, ten)
		off := exact.Sub(exact, new(big.Rat).SetInt(got))
		if off.Abs(off).Cmp(big.NewRat(1, 2)) > 0 {
			t.Fatalf("%s e%d: %v is off by %v", text, exponent, got, off)
		}
	})
}
