package quantity

import (
	"encoding/json"
	"math"
	"regexp"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestParseExactly(t *testing.T) {
	tests := []struct {
		kind *kind
		text string
		want int64
	}{
		{&timeKind, "5 s", 5e12},
		{&timeKind, "5s", 5e12},
		{&timeKind, "+5 s", 5e12},
		{&timeKind, " 48.2 ns ", 48200},
		{&timeKind, "0.001 ns", 1},
		{&timeKind, "-12.4 ns", -12400},
		{&periodKind, "13.157894ns", 13_157_894},
		{&periodKind, "13157.894 ps", 13_157_894},
		{&periodKind, "1 s", 1e15},
		{&timeKind, "100 µs", 1e8}, // micro sign
		{&timeKind, "100 μs", 1e8}, // Greek mu
		{&timeKind, "1.5 min", 90e12},
		{&timeKind, "2 h", 7200e12},
		{&timeKind, "1.000 ps", 1},
		{&timeKind, "0 s", 0},
		{&timeKind, "-0 s", 0},
		{&timeKind, "134217728 ps", 1 << 27},
		{&timeKind, "4.294967296 ms", 1 << 32},
		{&timeKind, "1.099511627776 s", 1 << 40},
		{&timeKind, "9007199.254740993 ms", 1<<53 + 1},
		{&timeKind, "9223372.036854775807 s", math.MaxInt64},
		{&timeKind, "-9223372036854775808 ps", math.MinInt64},
		{&voltageKind, "120 mV", 120000},
		{&voltageKind, "-0.5 V", -500000},
		{&voltageKind, "3 µV", 3},
		{&frequencyKind, "20 kHz", 20e6},
		{&frequencyKind, "1 mHz", 1},
		{&frequencyKind, "1 MHz", 1e9},
		{&frequencyKind, "0.0005 GHz", 5e8},
		{&sizeKind, "1 MiB", 1 << 20},
		{&sizeKind, "1 MB", 1e6},
		{&sizeKind, "1.5 KiB", 1536},
		{&sizeKind, "8388607.99999904632568359375 TiB", math.MaxInt64 - 1048575},
		{&shareKind, "60 %", 600000},
		{&shareKind, "0.0001 %", 1},
		{&driftKind, "12 ppb", 12e6},
		{&driftKind, "-1 ppt", -1000},
		{&driftKind, "0.000000001 ppm", 1},
	}
	for _, tt := range tests {
		got, err := tt.kind.parse(tt.text)
		if err != nil || got != tt.want {
			t.Errorf("%s %q = %d, %v; want %d", tt.kind.name, tt.text, got, err, tt.want)
		}
	}
}

func TestParseErrorsSayTheFix(t *testing.T) {
	tests := []struct {
		kind *kind
		text string
		want string
	}{
		{&timeKind, "5", "a time needs a unit: write 5 s, not 5"},
		{&timeKind, "0", "a time needs a unit: write 0 s, not 0"},
		{&voltageKind, "120", "a voltage needs a unit: write 120 mV, not 120"},
		{&timeKind, "0.5 ps", "0.5 ps is finer than 1 ps; give fewer digits"},
		{&periodKind, "13.15789474 ns", "13.15789474 ns is finer than 1 fs; give fewer digits"},
		{&periodKind, "-1 ns", "a period is never negative: write 1 ns"},
		{&timeKind, "1.0001 ns", "1.0001 ns is finer than 1 ps; give fewer digits"},
		{&sizeKind, "0.1 KiB", "0.1 KiB is finer than 1 B; give fewer digits"},
		{&driftKind, "0.0001 ppt", "0.0001 ppt is finer than 0.001 ppt; give fewer digits"},
		{&timeKind, "9223372.036854775808 s", "9223372.036854775808 s is out of range; a time reaches 9223372.036854775807 s"},
		{&sizeKind, "8388608 TiB", "out of range"},
		{&timeKind, "5 sec", `"sec" is no unit of a time: write 5 s; the units are ps, ns, us, ms, s, min, h`},
		{&timeKind, "5 parsec", `"parsec" is no unit of a time: write one of ps, ns, us, ms, s, min, h`},
		{&timeKind, "2 m", `"m" is no unit of a time: write 2 min; `},
		{&timeKind, "2 d", `"d" is no unit of a time: write 48 h; `},
		{&timeKind, "-0.125 Days", `write -3 h; `},
		{&timeKind, "0.001 d", `write 0.024 h; `},
		{&timeKind, "2 M", `"M" is no unit of a time: write one of`},
		{&timeKind, "100 d", `write 2400 h; `},
		{&timeKind, "5 NS", `write 5 ns; `},
		{&timeKind, "5 µsec", `write 5 us; `},
		{&voltageKind, "2 m", `"m" is no unit of a voltage: write one of`},
		{&voltageKind, "120 MV", `write 120 mV; `},
		{&frequencyKind, "5 MHZ", `"MHZ" is no unit of a frequency: write one of`},
		{&timeKind, ".nan", `".nan" is not a time: write a number and a unit, like 5 s`},
		{&timeKind, "-.inf", `"-.inf" is not a time: write`},
		{&voltageKind, "2026-01-01", `"2026-01-01" is a date, not a voltage: write a number and a unit, like 120 mV`},
		{&timeKind, "2026-01-01T10:00:00Z", `is a date, not a time: write`},
		{&timeKind, "1:30", `"1:30" has a colon: write one number`},
		{&timeKind, "1_000 s", `"1_000 s" has an underscore: write`},
		{&timeKind, "0x10", `"0x10" is not decimal: write`},
		{&frequencyKind, "5 hz", `"hz" is no unit of a frequency: write 5 Hz; the units are mHz, Hz, kHz, MHz, GHz`},
		{&frequencyKind, "-5 Hz", "a frequency is never negative: write 5 Hz"},
		{&shareKind, "-1 %", "a share is never negative: write 1 %"},
		{&timeKind, "", `"" is not a time: write a number and a unit, like 5 s`},
		{&timeKind, "soon", `"soon" is not a time: write a number and a unit, like 5 s`},
		{&timeKind, "1,5 s", `"1,5 s" has a comma: write the decimal fraction with a point`},
		{&timeKind, "1.2.3 s", `"1.2.3 s" has two decimal points: write one`},
		{&timeKind, ".5 s", `".5 s" starts with a point: write 0.5 s`},
		{&timeKind, "5. s", `"5. s" ends with a point: write 5 s`},
		{&timeKind, "--5 s", `"--5 s" has two signs: write one`},
		{&timeKind, "1-5 s", `"1-5" is not a decimal number`},
		{&timeKind, "1h 30min", `"1h 30min" has more than one number: write their sum as one number and one unit, like 5 s`},
		{&timeKind, "1 s 5", `"1 s 5" has more than one number`},
		{&timeKind, "1e-9 s", `"1e-9 s" has an exponent: write the digits and a unit`},
		{&timeKind, strings.Repeat("1", 65) + " s", "too long to be meant"},
	}
	for _, tt := range tests {
		got, err := tt.kind.parse(tt.text)
		if err == nil {
			t.Errorf("%s %q = %d; want an error with %q", tt.kind.name, tt.text, got, tt.want)
		} else if !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %q: error %q; want %q", tt.kind.name, tt.text, err, tt.want)
		}
	}
}

func TestStringTakesTheShortestExactUnit(t *testing.T) {
	tests := []struct {
		value interface{ String() string }
		want  string
	}{
		{Time(0), "0 s"},
		{Time(1), "1 ps"},
		{Time(-12400), "-12.4 ns"},
		{100 * Millisecond, "100 ms"},
		{5 * Second, "5 s"},
		{60 * Second, "1 min"},
		{90 * Second, "90 s"},
		{5400 * Second, "90 min"},
		{5*Second + 1, "5.000000000001 s"},
		{Time(math.MinInt64), "-9223372.036854775808 s"},
		{Voltage(120000), "120 mV"},
		{Frequency(20e6), "20 kHz"},
		{Size(1 << 20), "1 MiB"},
		{Size(1e6), "1 MB"},
		{Size(1000), "1 kB"},
		{Size(1025), "1.025 kB"},
		{Share(600000), "60 %"},
		{Share(5000), "5000 ppm"},
		{Drift(12e6), "12 ppb"},
		{Drift(1), "0.001 ppt"},
	}
	for _, tt := range tests {
		if got := tt.value.String(); got != tt.want {
			t.Errorf("%d is written %q, want %q", tt.value, got, tt.want)
		}
	}
}

// Every value survives being written and read, and what is written obeys the
// pattern that editors check with.
func TestRoundTrip(t *testing.T) {
	for _, k := range kinds {
		pattern := regexp.MustCompile(k.pattern())
		check := func(t interface{ Errorf(string, ...any) }, v int64) {
			text := k.format(v)
			if got, err := k.parse(text); err != nil || got != v {
				t.Errorf("%s %d is written %q and read as %d, %v", k.name, v, text, got, err)
			}
			if !pattern.MatchString(text) {
				t.Errorf("%s %q does not match %s", k.name, text, pattern)
			}
		}
		for _, bits := range []int{0, 27, 32, 40, 53, 62} {
			check(t, 1<<bits)
			check(t, 1<<bits-1)
			check(t, 1<<bits+1)
		}
		check(t, math.MaxInt64)
		rapid.Check(t, func(t *rapid.T) {
			v := rapid.Int64Min(0).Draw(t, "value")
			if k.signed {
				v = rapid.Int64().Draw(t, "value")
			}
			check(t, v)
			u := rapid.SampledFrom(k.units).Draw(t, "unit")
			check(t, v/u.scale*u.scale)
		})
	}
}

func TestJSON(t *testing.T) {
	type config struct {
		Delay Time      `json:"delay"`
		Level Voltage   `json:"level"`
		Rate  Frequency `json:"rate"`
		Chunk Size      `json:"chunk"`
		Part  Share     `json:"part"`
		Fast  Drift     `json:"fast"`
		Pulse Period    `json:"pulse"`
		By    map[string]Time
	}
	want := config{12400, 120000, 20e6, 1 << 20, 600000, -12e6, 13157894, map[string]Time{"bob": 250 * Microsecond}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	const expect = `{"delay":"12.4 ns","level":"120 mV","rate":"20 kHz","chunk":"1 MiB","part":"60 %","fast":"-12 ppb","pulse":"13.157894 ns","By":{"bob":"250 us"}}`
	if string(text) != expect {
		t.Errorf("marshalled %s\nwant %s", text, expect)
	}
	var got config
	if err := json.Unmarshal(text, &got); err != nil || got.By["bob"] != want.By["bob"] || got.Chunk != want.Chunk || got.Fast != want.Fast {
		t.Errorf("unmarshalled %+v, %v", got, err)
	}
	if err := json.Unmarshal([]byte(`{"delay":"5"}`), &got); err == nil || !strings.Contains(err.Error(), "needs a unit") {
		t.Errorf("a time without unit: %v", err)
	}
}

func TestDurations(t *testing.T) {
	for _, d := range []time.Duration{0, time.Nanosecond, -time.Second, 106 * 24 * time.Hour, math.MaxInt64 / 1000} {
		if v := Time(d) * Nanosecond; v.Duration() != d || !v.WholeNanoseconds() {
			t.Errorf("%v comes back as %v", d, v.Duration())
		}
	}
	if v := Time(1999); v.WholeNanoseconds() || v.Duration() != 1 {
		t.Errorf("1999 ps: %v, whole %v", v.Duration(), v.WholeNanoseconds())
	}
}

func TestSchemasAndFormats(t *testing.T) {
	checks := Formats()
	for _, k := range kinds {
		s := k.schema()
		if s.Type != "string" || len(s.Examples) == 0 {
			t.Errorf("%s: schema %+v", k.name, s)
		}
		check := checks[s.Format]
		if check == nil {
			t.Fatalf("%s: no check for format %q", k.name, s.Format)
		}
		for _, example := range s.Examples {
			if err := check(example.(string)); err != nil {
				t.Errorf("%s: the example is wrong: %v", k.name, err)
			}
		}
		if check("5") == nil {
			t.Errorf("%s: a number without unit passes", k.name)
		}
	}
}

// Whatever is read is written and read again as the same value.
func FuzzParse(f *testing.F) {
	for _, text := range []string{"5 s", "-48.2 ns", "1,5 V", "60 %", "1e-9 s", "9223372.036854775808 s", "100 μs", "0.0", "..", "+-"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for _, k := range kinds {
			v, err := k.parse(text)
			if err != nil {
				continue
			}
			if again, err := k.parse(k.format(v)); err != nil || again != v {
				t.Errorf("%s %q = %d, written %q, read %d, %v", k.name, text, v, k.format(v), again, err)
			}
		}
	})
}
