// Package quantity turns what a recipe says with units ("48.2 ns", "120 mV",
// "12 ppb") into exact integers, and back.
//
// Each kind of quantity is an integer type of its smallest unit:
//
//	Time       ps        ps ns us ms s min h
//	Voltage    µV        uV mV V
//	Frequency  mHz       mHz Hz kHz MHz GHz
//	Size       B         B kB MB GB TB KiB MiB GiB TiB
//	Share      ppm       ppm %
//	Drift      1e-15     ppt ppb ppm
//	Period     fs        fs ps ns us ms s
//
// All of them marshal to and from the text a recipe holds, so a struct of
// quantities reads recipes, JSON configs and command-line flags alike; each
// describes itself to a JSON Schema. Nothing is ever rounded: what is finer
// than the smallest unit is an error, and so is a number without a unit.
//
// The kinds differ only in their tables (units.go); parsing is in parse.go,
// printing in format.go.
package quantity

import (
	"time"

	"github.com/invopop/jsonschema"
)

// Time is a span of time in picoseconds; 64 bits hold 106 days.
type Time int64

// Voltage is in microvolts.
type Voltage int64

// Frequency is a rate in millihertz, never negative.
type Frequency int64

// Size is in bytes, never negative.
type Size int64

// Share is a part of a whole in parts per million ("60 %" is 600000), never
// negative.
type Share int64

// Drift is a relative frequency difference in parts per 1e15 ("12 ppb" is 12000000).
type Drift int64

// Period is the time after which light repeats, in femtoseconds: a thousand
// pulses further a fraction of a picosecond counts.
type Period int64

// The units that code most often needs, to multiply with.
const (
	Picosecond  Time = 1
	Nanosecond  Time = 1e3
	Microsecond Time = 1e6
	Millisecond Time = 1e9
	Second      Time = 1e12

	Millivolt Voltage = 1e3
	Volt      Voltage = 1e6

	Hertz     Frequency = 1e3
	Kilohertz Frequency = 1e6

	Byte Size = 1
	KiB  Size = 1 << 10
	MiB  Size = 1 << 20
	GiB  Size = 1 << 30

	Percent Share = 1e4
	Whole   Share = 1e6

	PartPerBillion Drift = 1e6
)

// ParseTime reads a time with its unit: "5 s", "48.2 ns".
func ParseTime(text string) (Time, error) { return parse[Time](&timeKind, text) }

// ParseVoltage reads a voltage with its unit: "120 mV".
func ParseVoltage(text string) (Voltage, error) { return parse[Voltage](&voltageKind, text) }

// ParseFrequency reads a rate with its unit: "20 kHz".
func ParseFrequency(text string) (Frequency, error) { return parse[Frequency](&frequencyKind, text) }

// ParseSize reads a number of bytes with its unit: "1 MiB".
func ParseSize(text string) (Size, error) { return parse[Size](&sizeKind, text) }

// ParseShare reads a part of a whole with its unit: "60 %".
func ParseShare(text string) (Share, error) { return parse[Share](&shareKind, text) }

// ParseDrift reads a relative frequency difference with its unit: "12 ppb".
func ParseDrift(text string) (Drift, error) { return parse[Drift](&driftKind, text) }

// ParsePeriod reads a period with its unit: "13.157894 ns".
func ParsePeriod(text string) (Period, error) { return parse[Period](&periodKind, text) }

func parse[T ~int64](k *kind, text string) (T, error) {
	v, err := k.parse(text)
	return T(v), err
}

func unmarshal[T ~int64](k *kind, v *T, text []byte) error {
	n, err := k.parse(string(text))
	if err == nil {
		*v = T(n)
	}
	return err
}

func (t Time) String() string      { return timeKind.format(int64(t)) }
func (v Voltage) String() string   { return voltageKind.format(int64(v)) }
func (f Frequency) String() string { return frequencyKind.format(int64(f)) }
func (s Size) String() string      { return sizeKind.format(int64(s)) }
func (s Share) String() string     { return shareKind.format(int64(s)) }
func (d Drift) String() string     { return driftKind.format(int64(d)) }
func (p Period) String() string    { return periodKind.format(int64(p)) }

// Picoseconds returns p in ps.
func (p Period) Picoseconds() float64 { return float64(p) / 1e3 }

// MarshalText writes t as String does.
func (t Time) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// MarshalText writes v as String does.
func (v Voltage) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// MarshalText writes f as String does.
func (f Frequency) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// MarshalText writes s as String does.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText writes s as String does.
func (s Share) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// MarshalText writes d as String does.
func (d Drift) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// MarshalText writes p as String does.
func (p Period) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what [ParseTime] reads.
func (t *Time) UnmarshalText(text []byte) error { return unmarshal(&timeKind, t, text) }

// UnmarshalText reads what [ParseVoltage] reads.
func (v *Voltage) UnmarshalText(text []byte) error { return unmarshal(&voltageKind, v, text) }

// UnmarshalText reads what [ParseFrequency] reads.
func (f *Frequency) UnmarshalText(text []byte) error { return unmarshal(&frequencyKind, f, text) }

// UnmarshalText reads what [ParseSize] reads.
func (s *Size) UnmarshalText(text []byte) error { return unmarshal(&sizeKind, s, text) }

// UnmarshalText reads a part of a whole with its unit: "60 %".
func (s *Share) UnmarshalText(text []byte) error { return unmarshal(&shareKind, s, text) }

// UnmarshalText reads what [ParseDrift] reads.
func (d *Drift) UnmarshalText(text []byte) error { return unmarshal(&driftKind, d, text) }

// UnmarshalText reads what [ParsePeriod] reads.
func (p *Period) UnmarshalText(text []byte) error { return unmarshal(&periodKind, p, text) }

// JSONSchema describes the text form of a time.
func (Time) JSONSchema() *jsonschema.Schema { return timeKind.schema() }

// JSONSchema describes the text form of a voltage.
func (Voltage) JSONSchema() *jsonschema.Schema { return voltageKind.schema() }

// JSONSchema describes the text form of a frequency.
func (Frequency) JSONSchema() *jsonschema.Schema { return frequencyKind.schema() }

// JSONSchema describes the text form of a size.
func (Size) JSONSchema() *jsonschema.Schema { return sizeKind.schema() }

// JSONSchema describes the text form of a share.
func (Share) JSONSchema() *jsonschema.Schema { return shareKind.schema() }

// JSONSchema describes the text form of a drift.
func (Drift) JSONSchema() *jsonschema.Schema { return driftKind.schema() }

// JSONSchema describes the text form of a period.
func (Period) JSONSchema() *jsonschema.Schema { return periodKind.schema() }

// Duration returns t as Go counts time, in nanoseconds. What is finer than
// 1 ns is cut off toward zero; see [Time.WholeNanoseconds].
func (t Time) Duration() time.Duration { return time.Duration(t / Nanosecond) }

// WholeNanoseconds reports whether [Time.Duration] is exact.
func (t Time) WholeNanoseconds() bool { return t%Nanosecond == 0 }
