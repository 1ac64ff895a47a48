package quantity

import (
	"math"
	"testing"
)

func TestMeasured(t *testing.T) {
	for _, c := range []struct {
		value, sd float64
		want      string
	}{
		{12.000281, 0.00032, "12.00028 ± 0.00032"}, {1234.5, 45.6, "1 234 ± 46"}, {1, 0, "1.000 ± 0.000"},
		{-339543001.25, 1.04, "-339 543 001.2 ± 1.0"}, {0, 1e-30, "0.000000000000 ± 0.000000000000"},
		{1, math.Inf(1), "1.000 ± +Inf"}, {math.NaN(), math.NaN(), "NaN ± NaN"}, {-6.9e-18, 0.00071, "0.00000 ± 0.00071"}, {-0.4, 50, "0 ± 50"}, {-0.6, 50, "-1 ± 50"},
		{1e15, 1e6, "1 000 000 000 000 000 ± 1 000 000"},
	} {
		if got := Measured(c.value, c.sd); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	for number, want := range map[string]string{"0": "0", "999": "999", "-1000": "-1 000", "1234567.5": "1 234 567.5", "": "", "Inf": "Inf"} {
		if got := Thousands(number); got != want {
			t.Errorf("%q: got %q, want %q", number, got, want)
		}
	}
}
