package tagfile

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"
)

// ptuTags are the header tags of a file by name, as every reader of the format
// takes them apart, and the records behind them.
func ptuTags(t *testing.T, content []byte) (tags map[string]any, records []uint32) {
	t.Helper()
	le := binary.LittleEndian
	tags = map[string]any{}
	for at := 16; ; {
		name := string(bytes.TrimRight(content[at:at+32], "\x00"))
		kind, value := le.Uint32(content[at+36:]), le.Uint64(content[at+40:])
		at += 48
		switch kind {
		case 0x10000008, 0xFFFF0008:
			tags[name] = int64(value)
		case 0x20000008, 0x21000008:
			tags[name] = math.Float64frombits(value)
		case 0x4001FFFF:
			tags[name] = string(bytes.TrimRight(content[at:at+int(value)], "\x00"))
			at += int(value)
		default:
			t.Fatalf("header tag %s has type %#x", name, kind)
		}
		if name == "Header_End" {
			for ; at < len(content); at += 4 {
				records = append(records, le.Uint32(content[at:]))
			}
			return tags, records
		}
	}
}

// ptuPhoton is what readers make of a record.
type ptuPhoton struct {
	sync    bool
	channel uint32
	time    uint64
}

// ptuDecode reads T2 records as the maker's programs and phconvert do: the
// number of overflows is what the time of the record says, none means one.
func ptuDecode(records []uint32) (photons []ptuPhoton) {
	base := uint64(0)
	for _, r := range records {
		special, channel, t := r>>31, r>>25&63, uint64(r&(1<<25-1))
		switch {
		case special == 1 && channel == 63 && t == 0:
			base += 33554432
		case special == 1 && channel == 63:
			base += 33554432 * t
		case special == 0 || channel == 0:
			photons = append(photons, ptuPhoton{special == 1, channel, base + t})
		}
	}
	return photons
}

// ptuDecode32 reads them as ptufile does: the overflows of a record are
// multiplied in 32 bits.
func ptuDecode32(records []uint32) (photons []ptuPhoton) {
	base := uint64(0)
	for _, r := range records {
		special, channel, t := r>>31, r>>25&63, r&(1<<25-1)
		switch {
		case special == 1 && channel == 63 && t <= 1:
			base += 33554432
		case special == 1 && channel == 63:
			product := t * 33554432 // of 32 bits
			base += uint64(product)
		case special == 0 || channel == 0:
			photons = append(photons, ptuPhoton{special == 1, channel, base + uint64(t)})
		}
	}
	return photons
}

// TestPTUByOtherReaders writes records of twenty random shapes, with silences
// of 10 s, and reads them by the rules of others.
func TestPTUByOtherReaders(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 6))
	guids := map[any]bool{}
	for shape := range 20 {
		channels := map[int][]uint64{}
		var want []ptuPhoton
		now := uint64(rng.ExpFloat64() * 1e12)
		mean := math.Pow(10, 3+7*rng.Float64()) // ps
		inputs := 1 + rng.IntN(65)
		for i := range 500 + rng.IntN(2000) {
			now += uint64(rng.ExpFloat64() * mean)
			if i%400 == 399 {
				now += uint64(1+i/400) * 10_000_000_000_000
			}
			c := rng.IntN(inputs)
			if n := len(want); n > 0 && want[n-1].time == now {
				continue
			}
			channels[c] = append(channels[c], now)
			want = append(want, ptuPhoton{c == 0, uint32(max(c-1, 0)), now})
		}
		dir := t.TempDir()
		in, out := filepath.Join(dir, "x.tags"), filepath.Join(dir, "x.ptu")
		writeChannels(t, in, channels)
		if _, err := Convert(t.Context(), in, out, ConvertOptions{}); err != nil {
			t.Fatal(err)
		}
		content, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		tags, records := ptuTags(t, content)
		if got := ptuDecode(records); !slices.Equal(got, want) {
			t.Fatalf("shape %d: %d photons, want %d", shape, len(got), len(want))
		}
		if got := ptuDecode32(records); !slices.Equal(got, want) {
			t.Fatalf("shape %d in 32 bits: %d photons, want %d", shape, len(got), len(want))
		}
		checkPTUHeader(t, tags, len(records), now)
		guids[tags["File_GUID"]] = true
	}
	if len(guids) != 20 {
		t.Errorf("%d identifiers of 20 files", len(guids))
	}
}

// checkPTUHeader checks what readers of others ask of a header.
func checkPTUHeader(t *testing.T, tags map[string]any, records int, last uint64) {
	t.Helper()
	for name, form := range map[string]string{
		"File_GUID":         `^\{[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\}$`,
		"CreatorSW_Version": `^\d+\.\d+\.\d+\.\d+$`,
		"CreatorSW_Name":    `^tsrun$`,
		"HW_Type":           `.`,
	} {
		if text, _ := tags[name].(string); !regexp.MustCompile(form).MatchString(text) {
			t.Errorf("%s is %v", name, tags[name])
		}
	}
	for name, want := range map[string]any{
		"TTResult_NumberOfRecords": int64(records), "TTResultFormat_TTTRRecType": int64(0x00010207), "TTResultFormat_BitsPerRecord": int64(32),
		"Measurement_Mode": int64(2), "MeasDesc_GlobalResolution": 1e-12, "MeasDesc_AcquisitionTime": int64(last/1e9 + 1), "TTResult_StopAfter": int64(last/1e9 + 1),
	} {
		if tags[name] != want {
			t.Errorf("%s is %v, want %v", name, tags[name], want)
		}
	}
	days, _ := tags["File_CreatingTime"].(float64)
	created := time.Unix(int64(math.Round((days-25569)*86400)), 0)
	if age := time.Since(created); age < -time.Minute || age > time.Hour {
		t.Errorf("created %v", created)
	}
}

// TestPTULongSilence: a silence of hours does not make a file of overflows.
func TestPTULongSilence(t *testing.T) {
	tags := []uint64{5, 1 << 62, 1<<62 + 1}
	content := encoded(t, PTU, 1, tags)
	if len(content) > 1<<20 {
		t.Errorf("%d bytes", len(content))
	}
	_, records := ptuTags(t, content)
	for i, p := range ptuDecode(records) {
		if p.time != tags[i] {
			t.Errorf("%d ps, want %d", p.time, tags[i])
		}
	}
}

// TestForeignFiles: files of others are named with what to do, by their
// beginning and by their name, and are not read as a format without a magic
// number.
func TestForeignFiles(t *testing.T) {
	filler := string(make([]byte, 600))
	for _, tt := range []struct{ name, begins, want string }{
		{"x.t3r", "TimeHarp 200\x00", "it is a file of PicoQuant's TimeHarp 200, which is not read; read it by the maker's demo programs"},
		{"x.phu", "PQHISTO\x00", "a file of histograms of PicoQuant's, which is not read; there are no time tags in it"},
		{"x.h5", "\x89HDF\r\n\x1a\n", "an HDF5 file, which is not read; read it by h5py"},
		{"x.parquet", "PAR1\x15\x04", "a Parquet file, which is not read; it is only written; read it by pandas"},
		{"x.ttbin", "SITT", "let the Time Tagger's library write a dump"},
		{"x.ttbin", "else", "let the Time Tagger's library write a dump"},
		{"x.sdt", "\x01\x02\x03\x04", "named like a file of curves of Becker & Hickl's, which is not read"},
		{"x.phd", "\x01\x02\x03\x04", "named like a file of histograms of PicoQuant's, which is not read"},
		{"x.ptu.gz", "\x1f\x8b\x08", "compressed by gzip, which is not read; unpack it first"},
		{"x.dat", "what", "its name does not tell the format; name it with --format: one of bin, txt"},
		{"README.md", "# what", "its name does not tell the format; name it with --format"},
		{"x.a2x", "00", "there is no format a2x: units of S-Fifteen swap halves in binary files only (a1x); lines of 16 digits are a2; name it with --format"},
	} {
		path := write(t, tt.name, []byte(tt.begins+filler))
		if _, err := Scan(path, ""); err == nil || !bytes.Contains([]byte(err.Error()), []byte(tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if tt.begins == "what" || tt.begins == "# what" || tt.begins == "00" || tt.begins == "else" {
			continue
		}
		for _, ft := range Table() {
			if _, err := Scan(path, ft.Name); err == nil || !bytes.Contains([]byte(err.Error()), []byte("which is not read")) {
				t.Errorf("%s as %s: %v", tt.name, ft.Name, err)
			}
		}
	}
	if _, err := Scan(write(t, "x.a2", nil), "a2x"); err == nil || !bytes.Contains([]byte(err.Error()), []byte("there is no format a2x")) {
		t.Error(err)
	}
	for _, text := range []string{Txt, Csv, A0, A2, IDQText} {
		path := write(t, "x.bin", encoded(t, text, 1, []uint64{1e12, 2e12}))
		for _, ft := range []string{Bin, A1, Swabian, IDQ} {
			if _, err := Scan(path, ft); err == nil || !bytes.Contains([]byte(err.Error()), []byte("it is text, and format "+ft+" is not")) && text != Csv {
				t.Errorf("%s as %s: %v", text, ft, err)
			}
		}
	}
	for _, other := range []string{PTU, Tags, NPY, QuTAG} {
		path := write(t, "x.bin", encoded(t, other, 1, []uint64{1e12, 2e12}))
		if _, err := Scan(path, Bin); err == nil || !bytes.Contains([]byte(err.Error()), []byte("it begins as a file of format "+other+" does, not of bin")) {
			t.Errorf("%s: %v", other, err)
		}
	}
}
