package tagfile

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// idqFile is pairs of a time and an index.
func idqFile(pairs ...uint64) []byte {
	var b []byte
	for _, word := range pairs {
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

// TestIDQ reads the layouts of ID Quantique's files, by the names they have.
func TestIDQ(t *testing.T) {
	want := []uint64{87338628, 112420014, 135439505}
	for _, tt := range []struct{ name, content, format string }{
		{"a.bin", string(idqFile(want...)), Bin},
		{"b.bin", string(idqFile(87338628, 0, 112420014, 0, 135439505, 0)), IDQ},
		{"c.bin", string(idqFile(87338628, 0, 112420014, 1, 135439505, 2)), IDQ},
		{"c.bin", string(idqFile(87338628, 1, 112420014, 1, 135439505, 1)), IDQ},
		{"d.txt", "87338628\n112420014\n135439505\n", IDQText},
		{"e.txt", "87338628;0\n112420014;0\r\n135439505;0\n", IDQText},
		{"f.txt", "1;87338628\n1;112420014\n1;135439505\n", Txt},
		{"g.idq", string(idqFile(87338628, 7, 112420014, 7, 135439505, 9)), IDQ},
		{"h.idqtxt", "87338628;4\n112420014;5\n135439505;5\n", IDQText},
	} {
		path := write(t, tt.name, []byte(tt.content))
		got, err := ReadRecording(path, "")
		if err != nil || got.Info.Format != tt.format || !slices.Equal(got.Channels[1], want) {
			t.Errorf("%s: %s, %v, %v", tt.name, got.Info.Format, got.Channels, err)
		}
		if one, err := ReadAll(path, "", 3); tt.format != Txt && (err != nil || !slices.Equal(one, want)) {
			t.Errorf("%s: %v, %v", tt.name, one, err)
		}
	}
}

// TestIDQSmallTimes: times and channels that can be both are asked about, and a
// format that is named is believed; one that cannot be is not.
func TestIDQAsks(t *testing.T) {
	rng := rand.New(rand.NewPCG(4, 8))
	var startStop []uint64 // as of a reference of 80 MHz
	var lines strings.Builder
	index := uint64(0)
	for range 20 {
		index += rng.Uint64N(3)
		start := rng.Uint64N(12_500)
		startStop = append(startStop, start, index)
		fmt.Fprintf(&lines, "%d;%d\n", start, index)
	}
	for _, tt := range []struct{ name, content, want string }{
		{"a.bin", string(idqFile(startStop...)), "does not tell whether it is words of 8 bytes, a time each or ID Quantique's pairs of a time and an index, 16 bytes; name bin or idq with --format"},
		{"b.bin", string(idqFile(5_000_000, 0)), "name bin or idq with --format"},
		{"c.bin", string(idqFile(500, 0, 900, 0, 1000, 0)), "name bin or idq with --format"},
		{"d.txt", lines.String(), "does not tell whether it is lines CHANNEL;PS or ID Quantique's lines PS or PS;INDEX; name txt or idqtxt with --format"},
		{"e.txt", "5000;0\n9000;0\n12000;0\n", "name txt or idqtxt with --format"},
	} {
		path := write(t, tt.name, []byte(tt.content))
		if _, err := Scan(path, ""); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		said := map[bool]string{true: Bin, false: Txt}[strings.HasSuffix(tt.name, ".bin")]
		if info, err := Scan(path, said); err != nil || info.Format != said {
			t.Errorf("%s as %s: %v", tt.name, said, err)
		}
	}
	for _, format := range []string{IDQ, IDQText} {
		content := string(idqFile(startStop...))
		if format == IDQText {
			content = lines.String()
		}
		info, err := Scan(write(t, "x", []byte(content)), format)
		if err == nil || !strings.Contains(err.Error(), "as the file does not say when these were; record with the reference NONE") || len(info.Facts) == 0 || info.Facts[0].Kind != References {
			t.Errorf("%s: %+v, %v", format, info, err)
		}
	}
	sure := write(t, "x.bin", idqFile(87338628, 0, 112420014, 0, 135439505, 0))
	if _, err := Scan(sure, Bin); err == nil || !strings.Contains(err.Error(), "it is not of format bin: it looks like ID Quantique's pairs of a time and an index") {
		t.Error(err)
	}
	alone := write(t, "x.dat", []byte("87338628\n112420014\n"))
	if _, err := Scan(alone, Txt); err == nil || !strings.Contains(err.Error(), "it is not of format txt") {
		t.Error(err)
	}
}

// TestIDQLeavesOthers: files that are bin and txt are taken for these.
func TestIDQLeavesOthers(t *testing.T) {
	for name, content := range map[string]string{
		"empty.bin": "", "zeros.bin": string(idqFile(0, 0, 0, 0)), "one.bin": string(idqFile(5)), "rising.bin": string(idqFile(0, 1, 1, 2, 2, 3)),
		"swapped.bin": string(idqFile(20, 10, 40, 30, 60, 50)), "records.bin": string(idqFile(0, 5_000_000, 9_000_000, 1, 4_000_000, 8_000_000)),
		"large.bin": string(idqFile(1<<63, 1<<63+5, 1<<63+2, 1<<64-1)),
		"empty.txt": "", "one.txt": "100;5\n", "few.txt": "1;5\n3;6\n1;900\n2;700\n", "zero.txt": "1;0\n2;0\n3;0\n", "high.txt": "100;5\n200;6\n100;7\n200;8\n",
	} {
		info, err := Scan(write(t, name, []byte(content)), "")
		if err != nil || "."+info.Format != name[strings.Index(name, "."):] {
			t.Errorf("%s is taken for %s, %v", name, info.Format, err)
		}
	}
}
