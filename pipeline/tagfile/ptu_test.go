package tagfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// ptuEntry is a header tag; text follows it.
func ptuEntry(ident string, kind uint32, value uint64, text string) []byte {
	b := make([]byte, ptuTag, ptuTag+len(text))
	copy(b, ident)
	binary.LittleEndian.PutUint32(b[32:], math.MaxUint32)
	binary.LittleEndian.PutUint32(b[36:], kind)
	binary.LittleEndian.PutUint64(b[40:], value)
	return append(b, text...)
}

// ptuFile is a whole file. The header also has tags of the kinds to skip.
func ptuFile(recordType uint64, unit float64, count uint64, records ...uint32) []byte {
	b := []byte(ptuMagic + "1.0.00\x00\x00")
	b = append(b, ptuEntry("File_Comment", ptuAnsi, 8, "T2 Mode\x00")...)
	b = append(b, ptuEntry("File_Wide", ptuWide, 4, "a\x00\x00\x00")...)
	b = append(b, ptuEntry("HW_Marker", 0x00000008, math.MaxUint64, "")...)
	b = append(b, ptuEntry("Blob", ptuBlob, 3, "abc")...)
	b = append(b, ptuEntry(ptuType, ptuInt, recordType, "")...)
	b = append(b, ptuEntry(ptuBits, ptuInt, 32, "")...)
	b = append(b, ptuEntry(ptuUnit, ptuDouble, math.Float64bits(unit), "")...)
	b = append(b, ptuEntry(ptuRecords, ptuInt, count, "")...)
	b = append(b, ptuEntry(ptuEnd, 0xFFFF0008, 0, "")...)
	for _, r := range records {
		b = binary.LittleEndian.AppendUint32(b, r)
	}
	return b
}

// t2Layout is how a test writes the records of a type: an encoder written the
// other way round from the decoder.
type t2Layout struct {
	recordType uint64
	wrap       uint64 // ticks
	channels   int    // highest channel number
	batch      bool   // one overflow record can stand for many
	pico       bool
}

var t2Layouts = []t2Layout{
	{0x00010203, 210698240, 4, false, true},
	{0x00010204, 33552000, 64, false, false},
	{0x01010204, 33554432, 64, true, false},
	{0x00010205, 33554432, 64, true, false},
	{0x00010206, 33554432, 64, true, false},
	{0x00010207, 33554432, 64, true, false},
}

func (l t2Layout) overflows(n uint64) []uint32 {
	if l.batch && n > 0 {
		return []uint32{0x80000000 | 63<<25 | uint32(n)}
	}
	one := uint32(0x80000000 | 63<<25)
	if l.pico {
		one = 0xF0000000
	}
	return slices.Repeat([]uint32{one}, int(n))
}

func (l t2Layout) tag(channel int, ticks uint64) uint32 {
	switch {
	case l.pico:
		return uint32(channel)<<28 | uint32(ticks)
	case channel == 0:
		return 0x80000000 | uint32(ticks)
	}
	return uint32(channel-1)<<25 | uint32(ticks)
}

func (l t2Layout) marker() uint32 {
	if l.pico {
		return 0xF0000012
	}
	return 0x80000000 | 4<<25 | 77
}

func TestT2RoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := rapid.SampledFrom(t2Layouts).Draw(rt, "type")
		unit := rapid.SampledFrom([]uint64{1, 4, 25, 250}).Draw(rt, "unit")
		want := map[int][]uint64{}
		var records []uint32
		now, wraps := uint64(0), uint64(0)
		for range rapid.IntRange(0, 30).Draw(rt, "n") {
			now += rapid.SampledFrom([]uint64{0, 1, l.wrap - 1, l.wrap, 3 * l.wrap}).Draw(rt, "pause")
			for ; wraps < now/l.wrap; wraps = now / l.wrap {
				records = append(records, l.overflows(now/l.wrap-wraps)...)
			}
			channel := rapid.IntRange(0, l.channels).Draw(rt, "channel")
			records = append(records, l.tag(channel, now%l.wrap), l.marker())
			want[channel] = append(want[channel], now*unit)
		}
		content := ptuFile(l.recordType, float64(unit)*1e-12, uint64(len(records)), records...)
		got, err := ReadRecording(write(t, "x.ptu", content), "")
		if err != nil {
			rt.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Channels); diff != "" {
			rt.Fatal(diff)
		}
		if got.Info.Violations != 0 {
			rt.Fatal(got.Info)
		}
	})
}

// TestT2Overflows: what an overflow record says of how many it stands for
// depends on the type.
func TestT2Overflows(t *testing.T) {
	for _, tt := range []struct {
		recordType uint64
		overflow   uint32
		want       uint64
	}{
		{0x01010204, 0xfe000000, 33554432},     // none said: one
		{0x01010204, 0xfe000005, 5 * 33554432}, // five
		{0x00010204, 0xfe000005, 33552000},     // version 1: always one
		{0x00010203, 0xf0000010, 210698240},    // bits that are no markers
	} {
		got, err := ReadAll(write(t, "x.ptu", ptuFile(tt.recordType, 1e-12, 0, tt.overflow, 0)), "", OnlyChannel)
		if err != nil || len(got) != 1 || got[0] != tt.want {
			t.Errorf("type %#x, overflow %#x: %v, %v, want %d", tt.recordType, tt.overflow, got, err, tt.want)
		}
	}
}

// TestT2LongRecording goes past the places where a narrower integer breaks.
func TestT2LongRecording(t *testing.T) {
	l := t2Layouts[2]
	var records []uint32
	var want []uint64
	wraps := uint64(0)
	for _, at := range []uint64{1 << 27, 1 << 32, 1 << 40, 1 << 53, 1<<63 - 1, 1 << 63} {
		for wraps < at/l.wrap {
			n := min(at/l.wrap-wraps, 1<<25-1)
			records = append(records, l.overflows(n)...)
			wraps += n
		}
		records = append(records, l.tag(1, at%l.wrap))
		want = append(want, at)
	}
	got, err := ReadAll(write(t, "x.ptu", ptuFile(l.recordType, 1e-12, 0, records...)), "", 1)
	if err != nil || !slices.Equal(got, want) {
		t.Fatal(got, want, err)
	}
}

func TestPTURefuses(t *testing.T) {
	good := func() []byte { return ptuFile(0x01010204, 1e-12, 2, 5, 6) }
	entry := func(ident string, kind uint32, value uint64) []byte {
		b := good()
		at := bytes.Index(b, []byte(ident))
		copy(b[at:], ptuEntry(ident, kind, value, ""))
		return b
	}
	for _, tt := range []struct {
		name    string
		content []byte
		want    string
	}{
		{"magic", append([]byte("PQTTTS"), good()[6:]...), `it begins with "PQTTTS\x00\x00", a PicoQuant file with "PQTTTR\x00\x00"`},
		{"cut in header", good()[:100], "without Header_End; the file is cut off"},
		{"cut in records", good()[:len(good())-1], "the header says 2 records, the file holds 1; it is cut off"},
		{"many records", entry(ptuRecords, ptuInt, 1<<40), "the header says 1099511627776 records, the file holds 2"},
		{"negative records", entry(ptuRecords, ptuInt, 1<<63), "the header says -9223372036854775808 records"},
		{"huge string", entry("File_Comment", ptuAnsi, 1<<62), `header tag "File_Comment" at byte 16 is 4611686018427387904 bytes long`},
		{"negative string", entry("File_Comment", ptuAnsi, math.MaxUint64), "longer than the file"},
		{"T3 without steps", entry(ptuType, ptuInt, 0x01010304), "lacks MeasDesc_Resolution, which mode T3 needs"},
		{"unknown type", entry(ptuType, ptuInt, 0x00010299), "unknown record type 0x00010299"},
		{"type of type", entry(ptuType, ptuDouble, 0x01010204), "has type 0x20000008, want 0x10000008"},
		{"bits", entry(ptuBits, ptuInt, 64), "is 64, want 32"},
		{"long unit", entry(ptuUnit, ptuDouble, math.Float64bits(1.5)), "is 1.5 s, which is no resolution; it is between 1 fs and 1 s"},
		{"negative unit", entry(ptuUnit, ptuDouble, math.Float64bits(-1e-12)), "is -1e-12 s"},
		{"no unit", entry(ptuUnit, ptuDouble, math.Float64bits(math.NaN())), "is NaN s"},
		{"infinite unit", entry(ptuUnit, ptuDouble, math.Float64bits(math.Inf(1))), "is +Inf s"},
		{"lacking", bytes.Replace(good(), []byte(ptuUnit), []byte("MeasDesc_Something0000000"), 1), "lacks"},
		{"illegal record", ptuFile(0x01010204, 1e-12, 0, 5, 0x80000000|20<<25), "record 1 is 0xa8000000"},
		{"illegal pico channel", ptuFile(0x00010203, 4e-12, 0, 7<<28), "record 0 is 0x70000000"},
		{"too late", ptuFile(0x01010204, 4e-3, 0, append(slices.Repeat([]uint32{0xffffffff}, 40), 5)...), "record 40 is later than 64 bits"},
		{"too many overflows", ptuFile(0x01010204, 1e-12, 0, slices.Repeat([]uint32{0xffffffff}, 20_000)...), "later than 64 bits"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ReadRecording(write(t, "x.ptu", tt.content), "")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("%v, want %q", err, tt.want)
			}
		})
	}
}

// TestHostileHeaderCostsNothing: what a header claims is never allocated.
func TestHostileHeaderCostsNothing(t *testing.T) {
	for name, content := range map[string][]byte{
		"records": ptuFile(0x01010204, 1e-12, 1<<60),
		"string":  append([]byte(ptuMagic+"1.0.00\x00\x00"), ptuEntry("x", ptuAnsi, 1<<62, "")...),
	} {
		path := write(t, "x.ptu", content)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, err := ReadRecording(path, ""); err == nil {
			t.Errorf("%s: accepted", name)
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, grown, len(content))
		}
	}
}
