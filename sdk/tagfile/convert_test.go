package tagfile

import (
	"context"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"tsrun/internal/recordings"
	"tsrun/sdk/fifteen"
)

// limitsOf are the channels and the pauses a format can hold.
func limitsOf(ft Format) (least, most int, pause uint64) {
	pause = 1 << 50
	switch ft.Name {
	case Txt, Csv, QuTAG:
		return 0, maxChannel, pause
	case QuTAG5:
		return 0, quTAG5Most, 1<<quTAG5Bits - 2*reorder
	case PTU:
		return 0, ptuMost, pause
	case Swabian, NPY, Tags, Bin:
		return -70_000, 70_000, pause
	}
	return 1, fifteen.Detectors, pause
}

// writtenFormats are those that can be written.
func writtenFormats() []Format {
	return slices.DeleteFunc(Table(), func(ft Format) bool { return !ft.Writable() })
}

// TestConvertRoundTrip writes random tags in every format and converts them
// back: times are the same but for the format's resolution and the shift it
// says, channels are the same where it holds them.
func TestConvertRoundTrip(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		ft := rapid.SampledFrom(writtenFormats()).Draw(rt, "format")
		least, most, pause := limitsOf(ft)
		there := map[int][]uint64{}
		now := rapid.SampledFrom([]uint64{0, 1 << 40, 1 << 57, 1 << 62}).Draw(rt, "start")
		for range rapid.IntRange(1, 40).Draw(rt, "n") {
			now += rapid.SampledFrom([]uint64{0, 1, 999, 1 << 24, 1 << 26, pause}).Draw(rt, "pause")
			channel := rapid.IntRange(least, most).Draw(rt, "channel")
			if ft.OneChannel {
				channel = binChannel
			}
			there[channel] = append(there[channel], now)
		}
		from, to, back := filepath.Join(dir, "a.tags"), filepath.Join(dir, "b"), filepath.Join(dir, "c.tags")
		defer os.Remove(from)
		defer os.Remove(to)
		defer os.Remove(back)
		writeChannels(rt, from, there)
		first, err := Convert(t.Context(), from, to, ConvertOptions{To: ft.Name})
		if err != nil {
			rt.Fatal(err)
		}
		if st, err := os.Stat(to); err != nil || st.Size() != first.Written.Size {
			rt.Fatal(st, err, first.Written)
		}
		second, err := Convert(t.Context(), to, back, ConvertOptions{From: ft.Name})
		if err != nil {
			rt.Fatal(err)
		}
		got, err := ReadRecording(back, "")
		if err != nil {
			rt.Fatal(err)
		}
		for c, tags := range there {
			for i := range tags {
				tags[i] = rounded(ft, tags[i]) - first.Shift
			}
			there[c] = tags
		}
		if diff := cmp.Diff(there, got.Channels); diff != "" {
			rt.Fatal(ft.Name, diff)
		}
		if diff := cmp.Diff(first.Read.Channels, first.Written.Channels); diff != "" || second.Read.Violations != 0 {
			rt.Fatal(diff, second)
		}
	})
}

// rounded is a time as a format can tell it, by the definition of its tick.
func rounded(ft Format, t uint64) uint64 {
	if ft.Resolution != fifteen.EventTick {
		return t
	}
	ticks := t / 125 * 32 // 32 ticks are 125 ps
	rest := float64(t%125) / fifteen.EventTick
	ticks += uint64(math.Floor(rest + 0.5))
	return ticks/32*125 + uint64(math.Floor(float64(ticks%32)*fifteen.EventTick+0.5))
}

// writeChannels writes a file of format tags by the encoder.
func writeChannels(t interface{ Fatal(...any) }, path string, channels map[int][]uint64) {
	e, err := newTagsEncoder(encoding{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := create(path, false)
	if err != nil {
		t.Fatal(err)
	}
	w := newWriter(out, e)
	for _, c := range slices.Sorted(maps.Keys(channels)) {
		if err == nil {
			err = w.write(c, channels[c])
		}
	}
	if err := w.close(err); err != nil {
		t.Fatal(err)
	}
}

// TestConvertRecordings converts real recordings into every format and back.
// Every bin of the known histograms comes out the same; where the format has
// steps of its own, the same as of the times rounded to these steps.
func TestConvertRecordings(t *testing.T) {
	for _, known := range recordings.All(t) {
		original, err := ReadRecording(known.Path, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, ft := range writtenFormats() {
			t.Run(known.Name+"/"+ft.Name, func(t *testing.T) {
				t.Parallel()
				a, b := throughFormat(t, known, ft, original)
				want := [][]uint64{known.BMinusA, known.AMinusB}
				if ft.Resolution == fifteen.EventTick {
					rounding := func(tags []uint64) (r []uint64) {
						for _, x := range tags {
							r = append(r, rounded(ft, x))
						}
						return r
					}
					ra, rb := rounding(original.Channels[known.A]), rounding(original.Channels[known.B])
					want = [][]uint64{histogram(ra, rb), histogram(rb, ra)}
				}
				if diff := cmp.Diff(want, [][]uint64{histogram(a, b), histogram(b, a)}); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// throughFormat converts both channels to a format, and that to format tags.
func throughFormat(t *testing.T, known recordings.Known, ft Format, original Recording) (a, b []uint64) {
	t.Helper()
	if ft.OneChannel {
		return through(t, known, ft, original, known.A)[known.A], through(t, known, ft, original, known.B)[known.B]
	}
	both := through(t, known, ft, original, known.A, known.B)
	return both[known.A], both[known.B]
}

func through(t *testing.T, known recordings.Known, ft Format, original Recording, channels ...int) map[int][]uint64 {
	t.Helper()
	dir := t.TempDir()
	to, back := filepath.Join(dir, "to"), filepath.Join(dir, "back.tags")
	first, err := Convert(t.Context(), known.Path, to, ConvertOptions{To: ft.Name, Channels: channels})
	if err != nil {
		t.Fatal(err)
	}
	if first.Read.Violations != original.Info.Violations || first.Read.Tags() != original.Info.Tags() {
		t.Errorf("read %+v, as a whole %+v", first.Read, original.Info)
	}
	if _, err = Convert(t.Context(), to, back, ConvertOptions{From: ft.Name}); err != nil {
		t.Fatal(err)
	}
	got := map[int][]uint64{}
	for _, c := range channels {
		number := c
		if len(channels) == 1 { // an array of one channel has no numbers either
			number = OnlyChannel
		}
		if got[c], err = ReadAll(back, "", number); err != nil {
			t.Fatal(err)
		}
		for i := range got[c] {
			got[c][i] += first.Shift
		}
		if ft.Resolution != fifteen.EventTick && !slices.Equal(got[c], original.Channels[c]) {
			t.Errorf("channel %d came back different", c)
		}
	}
	return got
}

// histogram counts b - a in [0, 160 ns), every start with every stop.
func histogram(a, b []uint64) []uint64 {
	counts := make([]uint64, recordings.Bins)
	from := 0
	for _, t := range a {
		for from < len(b) && b[from] < t {
			from++
		}
		for i := from; i < len(b) && b[i]-t < recordings.Bins*recordings.BinPs; i++ {
			counts[(b[i]-t)/recordings.BinPs]++
		}
	}
	return counts
}

func TestConvertChooses(t *testing.T) {
	dir := t.TempDir()
	in := write(t, "x.txt", []byte("1;5\n3;6\n1;900\n2;700\n3;1000\n"))
	out := filepath.Join(dir, "out.csv")
	r, err := Convert(t.Context(), in, out, ConvertOptions{Channels: []int{3, 1, 3}, First: new(int64(6)), Last: new(int64(900))})
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := os.ReadFile(out); string(got) != "channel,ps\n3,6\n1,900\n" {
		t.Errorf("%q", got)
	}
	if r.Written.Tags() != 2 || r.Read.Violations != 1 {
		t.Errorf("%+v", r)
	}
	if _, err := Convert(t.Context(), in, out, ConvertOptions{}); err == nil || !strings.Contains(err.Error(), "file already exists; nothing there was changed; --force replaces it") {
		t.Error(err)
	}
	if _, err := Convert(t.Context(), in, out, ConvertOptions{Replace: true, Channels: []int{2}}); err != nil {
		t.Error(err)
	}
	if got, _ := os.ReadFile(out); string(got) != "channel,ps\n2,700\n" {
		t.Errorf("%q", got)
	}
}

func TestConvertRefuses(t *testing.T) {
	dir := t.TempDir()
	two := write(t, "two.txt", []byte("1;5\n7;600\n"))
	late := write(t, "late.csv", []byte("channel,ps\n1,5\n1,9223372036854775808\n"))
	far := write(t, "far.txt", []byte("1;5\n1;3000000\n1;4\n"))
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	for _, tt := range []struct {
		in, out string
		ctx     context.Context
		o       ConvertOptions
		want    string
	}{
		{two, "x.bin", t.Context(), ConvertOptions{}, "format bin holds one channel, here are 1 and 7; choose one"},
		{two, "x.a1", t.Context(), ConvertOptions{}, "channel 7 is not between 1 and 4, the channels of this format"},
		{two, "x.csv", t.Context(), ConvertOptions{Channels: []int{2}}, "no tags of channel 2; it holds 1, 7"},
		{two, "x.csv", ended, ConvertOptions{}, "enough"},
		{two, "x.csv", t.Context(), ConvertOptions{First: new(int64(7)), Last: new(int64(6))}, "nothing lies between 7 ps and 6 ps"},
		{two, "x.ts", t.Context(), ConvertOptions{}, "its name does not tell the format; name it with --out-format: one of a0, a1, a2, a1x"},
		{two, "x.what", t.Context(), ConvertOptions{}, "name it with --out-format: one of bin, txt, "},
		{two, "x.csv", t.Context(), ConvertOptions{To: "hdf5"}, `unknown format "hdf5"; known are bin`},
		{late, "x.swabian", t.Context(), ConvertOptions{}, "9223372036854775808 ps is later than the 107 days"},
		{late, "x.qutag5", t.Context(), ConvertOptions{}, "there are more than the 137437953471 its counter can tell"},
		{far, "x.csv", t.Context(), ConvertOptions{}, "line 3 goes back in time: 4 ps after 3000000 ps, farther than the 1000000 ps that are sorted"},
		{two, "nowhere/x.csv", t.Context(), ConvertOptions{}, "no such file"},
	} {
		_, err := Convert(tt.ctx, tt.in, filepath.Join(dir, tt.out), tt.o)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.out, err, tt.want)
		}
		if left, _ := os.ReadDir(dir); len(left) > 0 {
			t.Errorf("%s: left %v", tt.out, left)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, ".x.csv.part"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Convert(t.Context(), two, filepath.Join(dir, "x.csv"), ConvertOptions{}); err == nil || !strings.Contains(err.Error(), "is in the way") {
		t.Error(err)
	}
}

// TestConvertSalvages: what stands before damage can be had, and what stands
// behind it in a format whose records are found again.
func TestConvertSalvages(t *testing.T) {
	in := write(t, "x.txt", []byte("1;5\n1;600\nrubbish\n1;700\n"))
	out := filepath.Join(t.TempDir(), "x.bin")
	r, err := Convert(t.Context(), in, out, ConvertOptions{Salvage: true})
	if err != nil || !strings.Contains(r.Damage, `line 3 is "rubbish"`) {
		t.Fatal(r.Damage, err)
	}
	if want := (Damage{Records: 3, Bytes: 16, Places: 1, From: 10, First: r.Damage}); r.Read.Damage == nil || *r.Read.Damage != want {
		t.Errorf("%+v, want %+v", r.Read.Damage, want)
	}
	if got, err := ReadAll(out, "", OnlyChannel); err != nil || !slices.Equal(got, []uint64{5, 600, 700}) {
		t.Error(got, err)
	}
}
