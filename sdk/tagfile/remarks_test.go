package tagfile

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// npyFile is an array of numpy with a header of our own.
func npyFile(header string, rows []byte) []byte {
	b := append([]byte(npyMagic), 1, 0)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(header)))
	return append(append(b, header...), rows...)
}

// TestNPYCounts: a number of rows that is not that of the file is remarked, and
// all rows are read.
func TestNPYCounts(t *testing.T) {
	rows := idqFile(5, 6, 7)
	for says, want := range map[string]string{
		"3": "", "2": "says 2 rows, the file holds 3, which are all read", "0": "says 0 rows, the file holds 3", "-1": "says -1 rows, the file holds 3",
		"4": "says 4 rows, the file holds 3; it is cut off", "9223372036854775807": "says 9223372036854775807 rows", "-9223372036854775808": "says -9223372036854775808 rows",
	} {
		path := write(t, "x.npy", npyFile(fmt.Sprintf("{'descr': '<u8', 'fortran_order': False, 'shape': (%s,)}", says), rows))
		got, err := ReadRecording(path, "")
		if err != nil || !slices.Equal(got.Channels[1], []uint64{5, 6, 7}) {
			t.Errorf("%s: %v, %v", says, got.Channels, err)
		}
		if f := got.Info.Facts; (want == "") != (len(f) == 0) || len(f) > 0 && (f[0].Kind != Remarks || !strings.Contains(f[0].Says, want)) {
			t.Errorf("%s: %+v, want %q", says, f, want)
		}
	}
}

// TestNPYShapesOfNoArray: of a number that no array of numpy has it is said which.
func TestNPYShapesOfNoArray(t *testing.T) {
	for _, says := range []string{"9223372036854775808", "18446744073709551615", "18446744073709551616", "-9223372036854775809", strings.Repeat("9", 39)} {
		for _, shape := range []string{says + ",", "3, " + says} {
			_, err := ReadRecording(write(t, "x.npy", npyFile("{'descr': '<u8', 'fortran_order': False, 'shape': ("+shape+")}", idqFile(5))), "")
			if err == nil || !strings.Contains(err.Error(), "it says "+says+", and no array of numpy has so many rows or columns") {
				t.Errorf("%s: %v", shape, err)
			}
		}
	}
}

// TestNPYWidths: fields that are passed over have the width that numpy gives them.
func TestNPYWidths(t *testing.T) {
	for kind, width := range map[string]int{"<U10": 40, "|S10": 10, "|V3": 3, "<M8[ns]": 8, "<c16": 16, "|b1": 1} {
		row := append(make([]byte, width), 5, 0, 0, 0, 0, 0, 0, 0)
		path := write(t, "x.npy", npyFile(fmt.Sprintf("{'descr': [('a', '%s'), ('ps', '<u8')], 'fortran_order': False, 'shape': (2,)}", kind), slices.Concat(row, row)))
		got, err := ReadRecording(path, "")
		if err != nil || !slices.Equal(got.Channels[1], []uint64{5, 5}) || len(got.Info.Facts) > 0 {
			t.Errorf("%s: %+v, %v", kind, got, err)
		}
	}
}

// TestQuTAGWithoutHeader: records that look like a quTAG's are read without the
// header, and that is said; a format that takes any bytes is refused.
func TestQuTAGWithoutHeader(t *testing.T) {
	tags := []uint64{26e16, 26e16 + 5, 26e16 + 9e9, 26e16 + 9e9, 26e16 + 9e10}
	raw := encoded(t, QuTAG, 3, tags)[quTAGHeader:]
	got, err := ReadRecording(write(t, "x.qutag", raw), "")
	if err != nil || !slices.Equal(got.Channels[3], tags) || len(got.Info.Facts) != 1 || !strings.Contains(got.Info.Facts[0].Says, "its header of 40 bytes is missing") {
		t.Errorf("%+v, %v", got, err)
	}
	for _, format := range []string{Bin, A1, Swabian, QuTAG5, IDQ} {
		if _, err := Scan(write(t, "x.raw", raw), format); err == nil || !strings.Contains(err.Error(), "it looks like a file of a quTAG without its header, and not like format "+format+"; name qutag") {
			t.Errorf("%s: %v", format, err)
		}
	}
}

// TestLastLineWithoutEnd: hexadecimal digits are counted, so that a last line of
// them needs no end.
func TestLastLineWithoutEnd(t *testing.T) {
	for format, content := range map[string]string{A2: "0000000000001401\n0000000000001c01", A0: "00001401\n00000000\n00001c01\n00000000"} {
		for _, content := range []string{content, strings.ReplaceAll(content, "\n", "\r\n")} {
			got, err := ReadRecording(write(t, "x", []byte(content)), format)
			if err != nil || len(got.Channels[1]) != 2 || len(got.Info.Facts) > 0 {
				t.Errorf("%s: %+v, %v", format, got, err)
			}
			if _, err := ReadRecording(write(t, "x", []byte(content[:len(content)-1])), format); err == nil {
				t.Errorf("%s: a line that is cut was read", format)
			}
		}
	}
}

// TestOddText: a line that means nothing says why, where that is plain, and so does
// what is no regular file, whether it is to be read or written.
func TestOddText(t *testing.T) {
	dir := t.TempDir()
	for text, want := range map[string]string{
		"\ufeff1;100\n": "byte order mark", "# by hand\n1;5\n": "no comments", "1;5\n\n": "remove the empty line", "1;5.5\n": "without point",
		"1;1e5\n": "exponent", "1;5\r2;6\r": "CR alone", "-1;5\n": "without a sign", "1;-5\n": "npy and swabian hold times below 0",
	} {
		path := filepath.Join(dir, "odd.txt")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadAll(path, "", 1); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "cut off") {
			t.Errorf("%q: %v; want %q", text, err, want)
		}
	}
	empty := filepath.Join(dir, "empty.csv")
	if err := os.WriteFile(empty, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadAll(empty, "", 1); err == nil || strings.Count(err.Error(), "read ") != 1 {
		t.Errorf("an empty table: %v", err)
	}
	link := filepath.Join(dir, "link.csv")
	if err := os.Symlink(empty, link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{dir: "it is a directory", "/dev/full": "it is a device", link: "it is a symbolic link"} {
		if err := (&output{path: path}).free(); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "--force") {
			t.Errorf("%s: %v; want %q", path, err, want)
		}
	}
}
