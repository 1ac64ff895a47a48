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
		{"cut in records", good()[:len(good())-1], "it ends within a record of 4 bytes, 3 bytes after the last whole one; the file is cut off"},
		{"huge string", entry("File_Comment", ptuAnsi, 1<<62), `header tag "File_Comment" at byte 16 is 4611686018427387904 bytes long`},
		{"negative string", entry("File_Comment", ptuAnsi, math.MaxUint64), "longer than the file"},
		{"T3 without steps", entry(ptuType, ptuInt, 0x01010304), "lacks MeasDesc_Resolution, which mode T3 needs"},
		{"unknown type", entry(ptuType, ptuInt, 0x00010299), "unknown record type 0x00010299"},
		{"type of no PicoQuant file", entry(ptuType, ptuInt, math.MaxUint64), "unknown record type 0xffffffffffffffff"},
		{"type of type", entry(ptuType, ptuDouble, 0x01010204), "has type 0x20000008, want 0x10000008"},
		{"bits", entry(ptuBits, ptuInt, 64), "is 64, want 32"},
		{"long unit", entry(ptuUnit, ptuDouble, math.Float64bits(1.5)), "is 1.5 s, which is no resolution; it is between 1 fs and 1 s"},
		{"negative unit", entry(ptuUnit, ptuDouble, math.Float64bits(-1e-12)), "is -1e-12 s"},
		{"no unit", entry(ptuUnit, ptuDouble, math.Float64bits(math.NaN())), "is NaN s"},
		{"infinite unit", entry(ptuUnit, ptuDouble, math.Float64bits(math.Inf(1))), "is +Inf s"},
		{"lacking", bytes.Replace(good(), []byte(ptuUnit), []byte("MeasDesc_Something0000000"), 1), "lacks"},
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

// TestPTURemarks: what a header says wrong, and records that mean nothing, are
// said; the reading goes on, and finds the tags.
func TestPTURemarks(t *testing.T) {
	entry := func(ident string, kind uint32, value uint64) []byte {
		b := ptuFile(0x01010204, 1e-12, 2, 5, 6)
		at := bytes.Index(b, []byte(ident))
		copy(b[at:], ptuEntry(ident, kind, value, ""))
		return b
	}
	mode := func(mode uint64) []byte {
		b := entry("HW_Marker", 0x00000008, 0)
		copy(b[bytes.Index(b, []byte("HW_Marker")):], ptuEntry(ptuModeTag, ptuInt, mode, ""))
		return b
	}
	for _, tt := range []struct {
		name    string
		content []byte
		kind    FactKind
		want    string // in what it says, or where it is first
	}{
		{"many", entry(ptuRecords, ptuInt, 1<<40), Remarks, "says 1099511627776 records, the file holds 2; it is cut off, or"},
		{"most", entry(ptuRecords, ptuInt, 1<<63-1), Remarks, "says 9223372036854775807 records, the file holds 2"},
		{"negative", entry(ptuRecords, ptuInt, 1<<63), Remarks, "says -9223372036854775808 records, as counts of more than 32 bits come out; the file holds 2"},
		{"few", entry(ptuRecords, ptuInt, 1), Remarks, "says 1 records, the file holds 2; the 1 beyond them are read too"},
		{"none", entry(ptuRecords, ptuInt, 0), Remarks, "says 0 records, the file holds 2, which are all read; the recording was not closed properly"},
		{"bits", entry(ptuBits, ptuInt, 0), Remarks, "says 0 bits a record, which is taken for 32"},
		{"mode", mode(3), Remarks, "says measurement mode 3, its record type 0x01010204 is of mode T2"},
		{"mode that fits", mode(2), "", ""},
		{"reserved", ptuFile(0x01010204, 1e-12, 3, 5, 0x80000000|20<<25, 6), Unknown, "record 1"},
		{"pico channel", ptuFile(0x00010203, 1e-12, 3, 7<<28, 5, 6), Unknown, "record 0"},
	} {
		got, err := ReadRecording(write(t, "x.ptu", tt.content), "")
		all := slices.Concat(got.Channels[1], got.Channels[0])
		if err != nil || !slices.Equal(all, []uint64{5, 6}) {
			t.Errorf("%s: %v, %v", tt.name, got.Channels, err)
		}
		if tt.kind == "" && len(got.Info.Facts) == 0 {
			continue
		}
		if f := got.Info.Facts; len(f) != 1 || f[0].Kind != tt.kind || f[0].Count != 1 || !strings.Contains(f[0].Says+f[0].First, tt.want) {
			t.Errorf("%s: %+v, want %q", tt.name, f, tt.want)
		}
	}
}

// TestT3BeyondPeriod: steps that would lie in a later sync period are counted.
func TestT3BeyondPeriod(t *testing.T) {
	l := t3Layouts[2]
	content := t3File(l.recordType, 12.5e-9, 16e-12, []uint32{l.t3(1, 0, 781), l.t3(1, 1, 782), l.t3(1, 2, 783), l.t3(1, 900, 32767)})
	got, err := ReadRecording(write(t, "x.ptu", content), "")
	facts := slices.DeleteFunc(got.Info.Facts, func(f Fact) bool { return f.Kind == Remarks })
	if err != nil || got.Info.Tags() != 4 || !slices.Equal(facts, []Fact{{Kind: Beyond, Count: 2, First: "record 2"}}) {
		t.Errorf("%+v, %v", got.Info, err)
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
		if r, err := ReadRecording(path, ""); err == nil && r.Info.Tags() > 0 {
			t.Errorf("%s: %d tags", name, r.Info.Tags())
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 4<<20 {
			t.Errorf("%s: %d bytes allocated for a file of %d", name, grown, len(content))
		}
	}
}

// TestPTUMarkers: markers are tags of channels for who asks for them, in every
// layout; an event of two inputs is a tag of each.
func TestPTUMarkers(t *testing.T) {
	for _, tt := range []struct {
		name    string
		content []byte
		want    []uint64 // of m1
	}{
		{"hydra T2", ptuFile(0x01010204, 1e-12, 0, 5, 1<<31|1<<25|500, 1<<31|2<<25|600, 1<<31|63<<25|1, 1<<31|3<<25|700), []uint64{500, 1<<25 + 700}},
		{"pico T2", ptuFile(0x00010203, 4e-12, 0, 5, 0xF0000000|160|1, 0xF0000000|320|2, 0xF0000000|480|3), []uint64{640, 1920}},
		{"hydra T3", t3File(0x01010304, 1e-9, 1e-12, []uint32{5, 1<<31 | 1<<25 | 7<<10 | 500, 1<<31 | 2<<25 | 600, 1<<31 | 63<<25 | 1, 1<<31 | 3<<25 | 700}), []uint64{500_000, 1_724_000}},
		{"pico T3", t3File(0x00010303, 1e-9, 1e-12, []uint32{0x10000005, 0xF0010000 | 500, 0xF0020000 | 600, 0xF0030000 | 700}), []uint64{500_000, 700_000}},
	} {
		path := write(t, "x.ptu", tt.content)
		got, err := ReadAll(path, "", MarkerChannel(1))
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("%s: %v, %v, want %v", tt.name, got, err, tt.want)
		}
		r, _, err := Open(path, "", MarkerChannel(1))
		if err != nil {
			t.Fatal(err)
		}
		piecewise, err := drain(r, 1)
		if err != nil || r.Close() != nil || !slices.Equal(piecewise, tt.want) {
			t.Errorf("%s piece by piece: %v, %v", tt.name, piecewise, err)
		}
		info, err := Scan(path, "")
		at := slices.IndexFunc(info.Facts, func(f Fact) bool { return f.Kind == Markers })
		if err != nil || len(info.Channels) != 1 || at < 0 || info.Facts[at].Count != 3 || info.Facts[at].Inputs != "m1 2, m2 2" {
			t.Errorf("%s: %+v, %v", tt.name, info, err)
		}
		if _, err := ReadAll(path, "", MarkerChannel(3)); err == nil || !strings.Contains(err.Error(), "no tags of channel m3; it holds") {
			t.Error(err)
		}
	}
}
