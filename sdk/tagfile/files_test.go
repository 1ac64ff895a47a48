package tagfile

import (
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"tsrun/sdk/tag"
)

// drain reads r to its end with a buffer of n tags.
func drain(r tag.Reader, n int) ([]uint64, error) {
	var tags []uint64
	buf := make([]uint64, n)
	for {
		n, err := r.Next(buf)
		if err == io.EOF {
			return tags, nil
		}
		if err != nil {
			return tags, err
		}
		tags = append(tags, buf[:n]...)
	}
}

func write(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesRoundTrip(t *testing.T) {
	dir := t.TempDir()
	rapid.Check(t, func(t *rapid.T) {
		tags := times(t, rapid.IntRange(0, 60).Draw(t, "n"))
		format := rapid.SampledFrom([]string{Bin, Txt, Csv}).Draw(t, "format")
		channel := rapid.IntRange(0, maxChannel).Draw(t, "channel")
		path := filepath.Join(dir, "x."+format)
		defer os.Remove(path)
		if err := WriteFile(path, format, channel, tags); err != nil {
			t.Fatal(err)
		}
		if format == Bin {
			channel = binChannel
		}
		for _, choose := range []int{channel, OnlyChannel} {
			all, err := ReadAll(path, "", choose)
			if err != nil || !slices.Equal(all, tags) {
				t.Fatalf("ReadAll: %v, %v", all, err)
			}
			r, _, err := Open(path, "", choose)
			if err != nil {
				t.Fatal(err)
			}
			piecewise, err := drain(r, rapid.IntRange(1, 70).Draw(t, "buffer"))
			if err != nil || r.Close() != nil || !slices.Equal(piecewise, tags) {
				t.Fatalf("Open: %v, %v", piecewise, err)
			}
		}
		want := Info{Format: format, Resolution: 1}
		if n := len(tags); n > 0 {
			want.Channels = []ChannelInfo{{channel, uint64(n), tags[0], tags[n-1]}}
		}
		info, err := Scan(path, "")
		if diff := cmp.Diff(want, info, cmpopts.IgnoreFields(Info{}, "Size", "Pause", "PauseFrom")); err != nil || diff != "" {
			t.Fatal(err, diff)
		}
		if info.Tags() != uint64(len(tags)) {
			t.Fatal(info.Tags())
		}
	})
}

func TestFileBytes(t *testing.T) {
	tags := []uint64{0, 1 << 53, math.MaxUint64}
	for format, want := range map[string]string{
		Bin: "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x00\x00\x00\x00\x00\x00\x20\x00" + "\xff\xff\xff\xff\xff\xff\xff\xff",
		Txt: "7;0\n7;9007199254740992\n7;18446744073709551615\n",
		Csv: "channel,ps\n7,0\n7,9007199254740992\n7,18446744073709551615\n",
	} {
		path := filepath.Join(t.TempDir(), "x")
		if err := WriteFile(path, format, 7, tags); err != nil {
			t.Fatal(err)
		}
		if got, _ := os.ReadFile(path); string(got) != want {
			t.Errorf("%s: %q", format, got)
		}
		if err := WriteFile(path, format, 7, tags); err == nil {
			t.Errorf("%s: a file was replaced", format)
		}
	}
}

func TestParseUint(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(
			rapid.StringMatching(`[0-9]{0,22}`),
			rapid.StringMatching(`1844674407370955[0-9]{4}`),
			rapid.StringMatching(`[0-9+_ .a-]{1,21}`),
		).Draw(t, "text")
		want, err := strconv.ParseUint(text, 10, 64)
		wantOK := err == nil && len(text) <= 20 // more than 20 digits are zeros first
		got, ok := parseUint([]byte(text))
		if ok != wantOK || ok && got != want {
			t.Fatalf("%q: %d, %t, want %d, %t", text, got, ok, want, wantOK)
		}
	})
}

func TestEncoderRefuses(t *testing.T) {
	if _, err := NewEncoder(PTU, 1); err == nil || !strings.Contains(err.Error(), `cannot write format "ptu" piece by piece`) {
		t.Error(err)
	}
	if _, err := NewEncoder(Txt, 65536); err == nil {
		t.Error("channel 65536 was accepted")
	}
}

func TestTextVariants(t *testing.T) {
	path := write(t, "x.txt", []byte("1;5\r\n2;6\r\n1;7"))
	for channel, want := range map[int][]uint64{1: {5, 7}, 2: {6}} {
		r, info, err := Open(path, "", channel)
		if err != nil {
			t.Fatal(err)
		}
		got, err := drain(r, 10)
		if err != nil || r.Close() != nil || !slices.Equal(got, want) || info.Channels != nil || info.Size != 13 {
			t.Errorf("channel %d: %v, %v, %+v", channel, got, err, info)
		}
	}
	r, err := ReadRecording(path, "")
	want := Recording{First: 5, Channels: map[int][]uint64{1: {5, 7}, 2: {6}},
		Info: Info{Format: Txt, Size: 13, Resolution: 1, Pause: 1, PauseFrom: 5, Channels: []ChannelInfo{{1, 2, 5, 7}, {2, 1, 6, 6}},
			Facts: []Fact{{Kind: Remarks, Count: 1, Says: "line 3, the last, has no line end: whether it is whole or cut within its number cannot be told"}}}}
	if diff := cmp.Diff(want, r); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

// TestUnsorted: what is out of order within the window is sorted and counted in
// both ways of reading; what is farther back is sorted in memory, and piece by
// piece ends with an error that says where.
func TestUnsorted(t *testing.T) {
	const far = 1_000_000
	near := []uint64{10, 30, 20, 40, 5, 2 * far, far}
	sorted := []uint64{5, 10, 20, 30, 40, far, 2 * far}
	tooFar := []uint64{10, 30, far + 31, 30, 50}
	for format, where := range map[string]string{
		Bin: "tag 3 (byte 24) goes back in time: 30 ps after 1000031 ps",
		Txt: "line 4 goes back in time: 30 ps after 1000031 ps",
		Csv: "line 5 goes back in time: 30 ps after 1000031 ps",
		NPY: "record 3 goes back in time: 30 ps after 1000031 ps",
	} {
		dir := t.TempDir()
		path, bad := filepath.Join(dir, "x."+format), filepath.Join(dir, "bad."+format)
		for name, tags := range map[string][]uint64{path: near, bad: tooFar} {
			if err := WriteFile(name, format, 1, tags); err != nil {
				t.Fatal(err)
			}
		}
		r, err := ReadRecording(path, "")
		if err != nil || !slices.Equal(r.Channels[1], sorted) || r.Info.Violations != 3 || r.Info.Farthest != far || r.First != 5 {
			t.Errorf("%s: %+v, %v", format, r, err)
		}
		info, err := Scan(path, "")
		if diff := cmp.Diff(r.Info, info); err != nil || diff != "" {
			t.Error(format, err, diff)
		}
		for _, n := range []int{1, 2, 3, 10} {
			open, _, err := Open(path, "", OnlyChannel)
			if err != nil {
				t.Fatal(err)
			}
			got, err := drain(open, n)
			if diff := cmp.Diff(r.Info, open.Info()); err != nil || !slices.Equal(got, sorted) || diff != "" {
				t.Errorf("%s by %d: %v, %v\n%s", format, n, got, err, diff)
			}
			open.Close()
			if open, _, err = Open(bad, "", OnlyChannel); err != nil {
				t.Fatal(err)
			}
			got, err = drain(open, n)
			if !slices.Equal(got, tooFar[:3]) || err == nil || !strings.Contains(err.Error(), where) {
				t.Errorf("%s by %d: %v, %v", format, n, got, err)
			}
			if _, again := open.Next(make([]uint64, 1)); again == nil || again.Error() != err.Error() {
				t.Errorf("%s: after the error: %v", format, again)
			}
			open.Close()
		}
	}
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	for _, tt := range []struct {
		name, content string
		channel       int
		want          string
	}{
		{"a.dat", "", OnlyChannel, "its name does not tell the format; name it with --format: one of bin, txt, csv, tags, qutag, "},
		{"short.bin", "12345678123", OnlyChannel, "it ends within a tag: 3 bytes after tag 1"},
		{"words.txt", "1;5\nhello\n", OnlyChannel, `line 2 is "hello", want CHANNEL;PS`},
		{"comma.txt", "1,5\n", OnlyChannel, `line 1 is "1,5", want CHANNEL;PS`},
		{"negative.txt", "1;-5\n", OnlyChannel, "line 1"},
		{"float.txt", "1;5.0\n", OnlyChannel, "line 1"},
		{"none.txt", ";5\n", OnlyChannel, "line 1"},
		{"big.txt", "1;18446744073709551616\n", OnlyChannel, "line 1"},
		{"channel.txt", "65536;1\n", OnlyChannel, "line 1"},
		{"blank.txt", "1;5\n\n1;6\n", OnlyChannel, "line 2"},
		{"long.txt", strings.Repeat("1", 100) + "\n", OnlyChannel, "line 1 is longer than 64 bytes"},
		{"endless.txt", strings.Repeat("1", 100_000), OnlyChannel, "line 1 is longer than 64 bytes"},
		{"heading.csv", "1,5\n", OnlyChannel, `line 1 is "1,5", want the heading "channel,ps"`},
		{"one.bin", "1", OnlyChannel, "it ends within a tag: 1 byte after tag 0"},
		{"comma2.txt", "1,5\n", OnlyChannel, "; its columns are divided by ',': write ';' there"},
		{"tab.txt", "1\t5\n", OnlyChannel, "; its columns are divided by '\\t': write ';' there"},
		{"space.txt", "1 5\n", OnlyChannel, "; its columns are divided by ' ': write ';' there"},
		{"bare.csv", "1,5\n", OnlyChannel, "; there is no heading: write it above the first tag"},
		{"semicolons.csv", "channel;ps\n1;5\n", OnlyChannel, "; write exactly that, and divide columns by commas"},
		{"tabs.csv", "Channel\tPS\n1\t5\n", OnlyChannel, "; write exactly that"},
		{"quoted.csv", "\"channel\", \"ps\"\n", OnlyChannel, "; write exactly that, and divide columns by commas, numbers without quotes and spaces"},
		{"units.csv", "Channel,Time (ns)\n1,5\n", OnlyChannel, "; it is another table: make one of these two columns, with times in whole picoseconds"},
		{"swapped.csv", "ps,channel\n", OnlyChannel, "; it is another table"},
		{"thousands.csv", "channel,ps\n1,\"1,000\"\n", OnlyChannel, "; write numbers without quotes, and digits without separators"},
		{"mixed.csv", "channel,ps\n1;5\n", OnlyChannel, "; its columns are divided by ';': write ',' there"},
		{"empty.csv", "", OnlyChannel, `line 1 is "", want the heading`},
		{"two.txt", "1;5\n2;6\n", OnlyChannel, "channel"},
		{"other.txt", "1;5\n2;6\n", 3, "no tags of channel 3"},
		{"empty.qutag", "", OnlyChannel, "too few for the header"},
		{"magic.qutag", strings.Repeat("x", 40), OnlyChannel, "it begins with 78 78 78 78, a quTAG file with 87 b3 91 fa"},
		{"cut.qutag", quTAGMagic + strings.Repeat("\x00", 36+13), OnlyChannel, "ends within a record of 10 bytes, 3 bytes after"},
		{"empty.ptu", "", OnlyChannel, "a PicoQuant file with"},
	} {
		path := filepath.Join(dir, tt.name)
		if err := os.WriteFile(path, []byte(tt.content), 0o600); err != nil {
			t.Fatal(err)
		}
		check := func(how string, err error) {
			if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s %s: %v, want %q", how, tt.name, err, tt.want)
			}
		}
		_, err := ReadAll(path, "", tt.channel)
		check("ReadAll", err)
		r, _, err := Open(path, "", tt.channel)
		if err == nil {
			_, err = drain(r, 100)
			r.Close()
		}
		check("Open", err)
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "absent.bin"): "no such file",
		"/dev/zero":                      "not a regular file",
		dir:                              "not a regular file",
	} {
		if _, _, err := Open(path, Bin, OnlyChannel); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := Scan("x.bin", "hdf5"); err == nil || !strings.Contains(err.Error(), `unknown format "hdf5"; known are bin, txt`) {
		t.Error(err)
	}
}

func TestQuTAG(t *testing.T) {
	var file bytes.Buffer
	file.WriteString(quTAGMagic + strings.Repeat("\x00", 36))
	file.WriteString("\x02\x00\x00\x00\x00\x00\x00\x80\x01\x00") // 2^63+2 on 1
	file.WriteString("\x01\x00\x00\x00\x00\x00\x00\x80\x05\x00") // 2^63+1 on 5
	file.WriteString("\x01\x00\x00\x00\x00\x00\x00\x80\x01\x00") // 2^63+1 on 1
	path := write(t, "x.qutag", file.Bytes())
	got, err := ReadRecording(path, "")
	const base = 1 << 63
	want := Recording{
		Info:     Info{Format: QuTAG, Size: 70, Resolution: 1, Violations: 1, Farthest: 1, Channels: []ChannelInfo{{1, 2, base + 1, base + 2}, {5, 1, base + 1, base + 1}}},
		Channels: map[int][]uint64{1: {base + 1, base + 2}, 5: {base + 1}},
		First:    base + 1,
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Fatal(err, diff)
	}
	if _, err := ReadAll(path, "", OnlyChannel); err == nil || !strings.Contains(err.Error(), "it holds channels 1, 5; choose one") {
		t.Error(err)
	}
	r, info, err := Open(path, "", 1)
	if err != nil || info.Tags() != 0 {
		t.Fatal(err, info)
	}
	tags, err := drain(r, 1)
	if err != nil || r.Close() != nil || !slices.Equal(tags, want.Channels[1]) || r.Info().Tags() != 3 {
		t.Error(tags, err)
	}
}

func times(t *rapid.T, n int) []uint64 {
	start := rapid.SampledFrom([]uint64{0, 1 << 27, 1 << 32, 1 << 40, 1 << 53, 1 << 63, math.MaxUint64 - 1000}).Draw(t, "near")
	tags := make([]uint64, n)
	for i := range tags {
		tags[i] = start - min(start, 500) + rapid.Uint64Range(0, 1000).Draw(t, "t")
	}
	slices.Sort(tags)
	return tags
}
