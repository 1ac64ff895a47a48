package tagfile

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/internal/need"
	"tsrun/sdk/fifteen"
)

// TestFifteenSamples reads one recording of an S-Fifteen unit in three formats:
// the events are the same. What they are is computed here from the digits of
// the third, with no code in common.
func TestFifteenSamples(t *testing.T) {
	text, err := os.ReadFile(need.Data(t, "timestamp7_c14_rollover.Aa2f.ts"))
	if err != nil {
		t.Fatal(err)
	}
	want := map[int][]uint64{}
	dummies := uint64(0)
	for line := range strings.Lines(string(text)) {
		var word uint64
		for _, digit := range strings.TrimSpace(line) {
			word = word*16 + uint64(strings.IndexRune("0123456789abcdef", digit))
		}
		if word/16%2 == 1 {
			dummies++
			continue
		}
		ticks := word / 1024
		ps := ticks/256*1000 + (ticks%256*1000+128)/256
		for detector := range 4 {
			if word>>detector%2 == 1 {
				want[detector+1] = append(want[detector+1], ps)
			}
		}
	}
	for _, tags := range want {
		slices.Sort(tags)
	}
	if len(want) != 2 || dummies != 138 {
		t.Fatalf("%d channels, %d dummies in the sample", len(want), dummies)
	}
	for name, format := range map[string]string{
		"timestamp7_c14_rollover.Aa0f.ts": A0, "timestamp7_c14_rollover.Aa1fX.ts": A1X, "timestamp7_c14_rollover.Aa2f.ts": A2,
	} {
		got, err := ReadRecording(need.Data(t, name), "")
		if err != nil || got.Info.Format != format {
			t.Fatal(name, got.Info, err)
		}
		if diff := cmp.Diff(want, got.Channels); diff != "" {
			t.Error(name, diff)
		}
		if diff := cmp.Diff([]Fact{{Kind: Dummies, Count: dummies, First: "record 2"}}, got.Info.Facts); diff != "" {
			t.Error(name, diff)
		}
		r, _, err := Open(need.Data(t, name), "", 1)
		if err != nil {
			t.Fatal(err)
		}
		one, err := drain(r, 100)
		if err != nil || r.Close() != nil || !slices.Equal(one, want[1]) {
			t.Errorf("%s: piece by piece %d tags, %v", name, len(one), err)
		}
	}
}

// TestFifteenPlainSample: a unit that does not swap halves.
func TestFifteenPlainSample(t *testing.T) {
	path := need.Data(t, "timestamp7_c1234.Aa1.ts")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadRecording(path, "")
	if err != nil || got.Info.Format != A1 || got.Info.Size != int64(len(content)) {
		t.Fatal(got.Info, err)
	}
	events := uint64(0)
	for at := 0; at < len(content); at += 8 {
		if flags := content[at]; flags&16 == 0 {
			for ; flags&15 != 0; flags &= flags&15 - 1 {
				events++
			}
		}
	}
	if got.Info.Tags() != events || len(got.Channels) != 4 {
		t.Errorf("%d tags, want %d: %+v", got.Info.Tags(), events, got.Info)
	}
}

// TestTicks compares the steps of S-Fifteen with their definition in whole
// numbers, 256 ticks to 1000 ps, over all the range.
func TestTicks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ticks := rapid.Uint64Range(0, 1<<62).Draw(t, "ticks")
		ps, ok := fifteen.TicksToPs(ticks)
		if want := ticks/256*1000 + (ticks%256*1000+128)/256; !ok || ps != want {
			t.Fatalf("%d ticks are %d ps, %t, want %d", ticks, ps, ok, want)
		}
		if back := fifteen.PsToTicks(ps); back != ticks {
			t.Fatalf("%d ticks come back as %d", ticks, back)
		}
		ps = rapid.Uint64().Draw(t, "ps")
		near, ok := fifteen.TicksToPs(fifteen.PsToTicks(ps))
		if off := int64(near - ps); !ok && ps < 1<<64-4 || ok && (off < -2 || off > 2) {
			t.Fatalf("%d ps become %d", ps, near)
		}
	})
}

// TestFifteenWraps: the counter of a1 begins again after 19.5 hours.
func TestFifteenWraps(t *testing.T) {
	var content []byte
	for _, ticks := range []uint64{1<<54 - 256, 1<<54 - 1, 0, 1<<54 - 100, 256, 1 << 53} {
		content = binary.LittleEndian.AppendUint64(content, ticks<<10|1)
	}
	path := write(t, "x.a1", content)
	r, info, err := Open(path, "", 1)
	if err != nil {
		t.Fatal(err)
	}
	got, err := drain(r, 10)
	r.Close()
	const period = 1 << 54 / 256 * 1000
	want := []uint64{period - 1000, period - 391, period - 4, period, period + 1000, period + period/2}
	if err != nil || !slices.Equal(got, want) || info.Resolution != 3.90625 {
		t.Errorf("%v, %v, want %v", got, err, want)
	}
	if facts := r.Info().Facts; !cmp.Equal(facts, []Fact{{Kind: Wraps, Count: 1, First: "record 2"}}) || r.Info().Violations != 1 {
		t.Errorf("%+v", r.Info())
	}
}

// TestFifteenSeveralDetectors: an event of two detectors is a tag of each; one
// of none is a marker.
func TestFifteenSeveralDetectors(t *testing.T) {
	got, err := ReadRecording(write(t, "x.a2", []byte("0000000000000409\r\n0000000000000800\r\n")), "")
	if diff := cmp.Diff(map[int][]uint64{1: {4}, 4: {4}}, got.Channels); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if !cmp.Equal(got.Info.Facts, []Fact{{Kind: Markers, Count: 1, First: "record 1"}}) {
		t.Errorf("%+v", got.Info)
	}
}

func TestFifteenSniffing(t *testing.T) {
	tags := []uint64{1 << 50, 1<<50 + 1_000_000, 1<<50 + 2_000_007, 1<<50 + 3_000_001}
	for name := range fifteenFormats {
		content := encoded(t, name, 2, tags)
		info, err := Scan(write(t, "x.ts", content), "")
		if err != nil || info.Format != name {
			t.Errorf("%s is taken for %s, %v", name, info.Format, err)
		}
	}
	if _, err := Scan(write(t, "x.ts", encoded(t, A1, 2, tags[:1])), ""); err == nil || !strings.Contains(err.Error(), "does not tell whether it is a1 or a1x; name one") {
		t.Error(err)
	}
	for _, content := range []string{"0000000000000409\nhello, this is no\n", "00000409\n0000000\n"} {
		if _, err := ReadRecording(write(t, "x.a2", []byte(content)), ""); err == nil {
			t.Errorf("%q was read", content)
		}
	}
}

// swabian is a record as Swabian Instruments describe it.
func swabianOf(kind byte, missed uint16, channel int32, t int64) []byte {
	b := []byte{kind, 0}
	b = binary.LittleEndian.AppendUint16(b, missed)
	b = binary.LittleEndian.AppendUint32(b, uint32(channel))
	return binary.LittleEndian.AppendUint64(b, uint64(t))
}

func TestSwabian(t *testing.T) {
	content := slices.Concat(
		swabianOf(0, 0, 1, 5), swabianOf(2, 0, 0, 6), swabianOf(4, 300, 1, 6), swabianOf(4, 50, -2, 7), swabianOf(3, 0, 0, 8),
		swabianOf(0, 0, -2, 9), swabianOf(1, 0, 0, 10), swabianOf(0, 0, 1, 1<<62))
	got, err := ReadRecording(write(t, "x.swabian", content), "")
	want := Recording{First: 5, Channels: map[int][]uint64{1: {5, 1 << 62}, -2: {9}}, Info: Info{
		Format: Swabian, Size: 128, Resolution: 1, Pause: 1<<62 - 9, PauseFrom: 9,
		Channels: []ChannelInfo{{-2, 1, 9, 9}, {1, 2, 5, 1 << 62}},
		Facts: []Fact{{Kind: Overflows, Count: 1, First: "record 1"}, {Kind: Missed, Count: 2, First: "record 2", Lost: 350},
			{Kind: Faults, Count: 1, First: "record 6"}},
	}}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
	if tags, err := ReadAll(write(t, "x.dump", content), "", -2); err != nil || !slices.Equal(tags, []uint64{9}) {
		t.Error(tags, err)
	}
	for wrong, content := range map[string][]byte{
		"record 0 is of type 9":                    swabianOf(9, 0, 1, 5),
		"record 0 is at -1 ps, before 0":           swabianOf(0, 0, 1, -1),
		"it ends within a record of 16 bytes, 3 b": swabianOf(0, 0, 1, 5)[:3],
	} {
		if _, err := ReadRecording(write(t, "x.swabian", content), ""); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%v, want %q", err, wrong)
		}
	}
}

// TestQuTAG5 reads records as qutools describe them: 37 bits of time, 3 of
// channel; the time begins again every 0.137 s.
func TestQuTAG5(t *testing.T) {
	var content []byte
	for _, record := range []uint64{5 | 1<<37, 1<<37 - 1 | 7<<37, 3 | 2<<37, 1<<37 - 7 | 2<<37, 1 << 36} {
		content = append(binary.LittleEndian.AppendUint32(content, uint32(record)), byte(record>>32))
	}
	headed := append([]byte(quTAGMagic+strings.Repeat("\x00", quTAGHeader-4)), content...)
	for _, b := range [][]byte{content, headed} {
		path := filepath.Join(t.TempDir(), "x.qutag5")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := ReadRecording(path, "")
		want := map[int][]uint64{1: {5}, 7: {1<<37 - 1}, 2: {1<<37 - 7, 1<<37 + 3}, 0: {1<<37 + 1<<36}}
		if diff := cmp.Diff(want, got.Channels); err != nil || diff != "" {
			t.Error(err, diff)
		}
		if got.Info.Violations != 1 || got.Info.Facts[0].Count != 1 || got.Info.Facts[0].First != "record 2" {
			t.Errorf("%+v", got.Info)
		}
	}
}

// TestQuTAGHeader: the header of a recording that is written again is the
// device's own, up to the signature.
func TestQuTAGHeader(t *testing.T) {
	original := need.Data(t, "19_qutag_80MHz_HBT_sync_filtered.qutag")
	again := filepath.Join(t.TempDir(), "x.qutag")
	if _, err := Convert(t.Context(), original, again, ConvertOptions{}); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(original)
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(again)
	const beforeSignature = 24
	if err != nil || len(got) != len(want) || string(got[:beforeSignature]) != string(want[:beforeSignature]) {
		t.Errorf("% x, %v, want % x", got[:beforeSignature], err, want[:beforeSignature])
	}
}
