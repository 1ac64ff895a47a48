package recipe

import (
	"testing"

	"pgregory.net/rapid"

	"tsrun/sdk/quantity"
)

func TestCompensationTexts(t *testing.T) {
	for text, want := range map[string]Compensation{
		"250 us": {Time: 250 * quantity.Microsecond}, "-1 us": {Time: -quantity.Microsecond},
		"auto": {Auto: true}, "auto + 250 us": {Auto: true, Time: 250 * quantity.Microsecond},
		"auto-10us": {Auto: true, Time: -10 * quantity.Microsecond}, "auto  +1 ns": {Auto: true, Time: quantity.Nanosecond},
	} {
		var got Compensation
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "auto 250 us", "auto +", "auto + x", "auto + -1 us", "auto - - 1 us", "autos", "Auto", "+ auto", "250 us + auto", "auto + 1"} {
		var got Compensation
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %+v", text, got)
		}
	}
}

// What is written is read as the same.
func TestCompensationIsReadAsWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := Compensation{rapid.Bool().Draw(t, "auto"), quantity.Time(rapid.Int64Range(-50_000_000, 50_000_000).Draw(t, "ns")) * quantity.Nanosecond}
		var got Compensation
		if err := got.UnmarshalText([]byte(c.String())); err != nil || got != c {
			t.Fatalf("%q is %+v, %v; want %+v", c, got, err, c)
		}
		r, err := Parse("r.yaml", []byte("version: 1\nextends: testdata/good.yaml\ntrigger: {compensation: {bob: "+c.String()+"}}\n"), Options{Stages: kindsOfStages, Env: noEnv})
		if err != nil || r.Recipe.Trigger.Compensation["bob"] != c {
			t.Fatalf("%q: %v", c, err)
		}
	})
}
