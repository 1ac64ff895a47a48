package tagfile

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"strings"
	"testing"
)

// TestTagsThatBeginLikeOthersFiles: the first bytes of a time in binary are any
// bytes, also those of a file of others. Such a file is read, as a segment of a run
// whatever they are, and else where the bytes behind do not suit the other kind.
func TestTagsThatBeginLikeOthersFiles(t *testing.T) {
	after := func(low uint64) []byte { // times of 4 s, of which the first ends in low
		const four = 0x03a3 << 32
		first := four | low
		var b []byte
		for i := range uint64(20) {
			b = binary.LittleEndian.AppendUint64(b, first+i*50_000_000)
		}
		return b
	}
	for name, low := range map[string]uint64{"gzip": 0x54898b1f, "gzip, with its method": 0xff088b1f, "bzip2": 0x54685a42, "zip": 0x04034b50} {
		path := write(t, "x.bin", after(low))
		for _, open := range []func(string, string, int) (FileReader, Info, error){Open, OpenSegment} {
			wantTags(t, name, open, path)
		}
	}
	for _, kind := range foreigners {
		if len(kind.magic) > 0 && len(kind.magic) <= 4 {
			var low [8]byte
			copy(low[:], kind.magic)
			wantTags(t, kind.is, OpenSegment, write(t, "x.bin", after(binary.LittleEndian.Uint64(low[:]))))
		}
	}
}

func wantTags(t *testing.T, name string, open func(string, string, int) (FileReader, Info, error), path string) {
	t.Helper()
	r, _, err := open(path, "", OnlyChannel)
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	defer r.Close()
	buf := make([]uint64, 100)
	n := 0
	for err == nil {
		var k int
		k, err = r.Next(buf)
		n += k
	}
	if n != 20 || err != io.EOF {
		t.Errorf("%s: %d tags, %v", name, n, err)
	}
}

// TestPackedFiles refuses what others have packed, in every format.
func TestPackedFiles(t *testing.T) {
	var zipped, archived bytes.Buffer
	z := gzip.NewWriter(&zipped)
	z.Name = "x.bin"
	a := zip.NewWriter(&archived)
	member, err := a.Create("x.dat")
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []io.Writer{z, member} {
		if _, err := w.Write(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
	}
	if z.Close() != nil || a.Close() != nil {
		t.Fatal("not packed")
	}
	for is, b := range map[string][]byte{"gzip": zipped.Bytes(), "zip": archived.Bytes(),
		"bzip2": append([]byte("BZh91AY&SY"), make([]byte, 100)...), "xz": append([]byte("\xfd7zXZ\x00"), make([]byte, 100)...)} {
		for _, ft := range Table() {
			if _, err := Scan(write(t, "x.bin", b), ft.Name); err == nil || !strings.Contains(err.Error(), is) {
				t.Errorf("%s as %s: %v", is, ft.Name, err)
			}
		}
	}
}
