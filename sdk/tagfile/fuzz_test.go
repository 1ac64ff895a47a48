package tagfile

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile/pack"
)

// Each target reads whatever bytes as one format, in every way there is. It may
// be refused, but it ends; tags come in order; and neither tags nor memory grow
// beyond the bytes times a constant.

func FuzzReadBin(f *testing.F) { fuzzFormat(f, Bin, 1) }
func FuzzReadTxt(f *testing.F) {
	fuzzFormat(f, Txt, 1, []byte("1;5\r\n2;6\n65535;18446744073709551615"))
}
func FuzzReadCsv(f *testing.F) { fuzzFormat(f, Csv, 1, []byte("channel,ps\n1,5\n1,4\n")) }

// A block of 65536 equal tags takes 532 bytes. Every input is read a second
// time with its checksums made right, or damage would end each at once.
func FuzzReadTags(f *testing.F) {
	equal := encoded(f, Tags, 1, slices.Repeat([]uint64{7}, 1000))
	for _, seed := range [][]byte{equal, equal[:len(equal)-5], equal[:100], encoded(f, Tags, -1, []uint64{1, 1 << 63})} {
		f.Add(seed)
	}
	two := filepath.Join(f.TempDir(), "two.tags")
	writeChannels(f, two, map[int][]uint64{1: {5, 6, 7}, 2: {6}})
	f.Add(sample(two, 1000))
	for _, name := range []string{"version-1.tags", "version-2.tags"} {
		if seed, err := os.ReadFile(filepath.Join("testdata", name)); err != nil {
			f.Fatal(err)
		} else {
			f.Add(seed)
		}
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		checkRead(t, Tags, content, pack.MaxTags/500)
		checkRead(t, Tags, withSums(content), pack.MaxTags/500)
	})
}

// withSums makes the checksums right of whatever looks like a header, blocks
// that follow each other, and an index.
func withSums(content []byte) []byte {
	le, b := binary.LittleEndian, bytes.Clone(content)
	if len(b) < tagsHeader {
		return b
	}
	copy(b, (&tagsEncoder{}).heading())
	at := tagsHeader
	for len(b)-at >= tagsFrame+pack.HeaderSize && le.Uint32(b[at:]) == tagsBlockMagic {
		frame := b[at:]
		h, err := pack.ReadHeader(frame[tagsFrame:])
		if err != nil || h.Size > len(frame)-tagsFrame {
			return b
		}
		block := frame[tagsFrame : tagsFrame+h.Size]
		le.PutUint32(block, crc32.Checksum(block[4:], tag.Castagnoli))
		le.PutUint32(frame[16:], frameSum(frame[:tagsFrame+pack.HeaderSize]))
		at += tagsFrame + h.Size
	}
	if left := len(b) - at; left >= 4+tagsTail && le.Uint32(b[at:]) == tagsIndexMagic {
		tail := b[len(b)-tagsTail:]
		le.PutUint64(tail, uint64(left-4-tagsTail)/tagsEntry)
		le.PutUint64(tail[8:], uint64(at))
		le.PutUint32(tail[16:], crc32.Checksum(b[at:len(b)-12], tag.Castagnoli))
		copy(tail[20:], tagsEndMagic)
	}
	return b
}

func FuzzReadQuTAG(f *testing.F) {
	fuzzFormat(f, QuTAG, 1, sample("19_qutag_80MHz_HBT_sync_filtered.qutag", quTAGHeader+60*quTAGRecord))
}

func FuzzReadQuTAG5(f *testing.F) {
	fuzzFormat(f, QuTAG5, 1, []byte("\x01\x00\x00\x00\x20\x00\x00\x00\x00\xa0"))
}

func FuzzReadPTU(f *testing.F) {
	seeds := [][]byte{realPTU()}
	for _, l := range append(t2Layouts, t3Layouts...) {
		seeds = append(seeds, ptuFile(l.recordType, 4e-12, 0, 0x12345678, 0xf0000000, 0xfe000001, 0x80000002, 0x1abcdef0))
	}
	fuzzFormat(f, PTU, 1, seeds...)
}

// fuzzLegacy begins with files of each kind that is of a format.
func fuzzLegacy(f *testing.F, format string) {
	rng := rand.New(rand.NewPCG(1, 2))
	var seeds [][]byte
	for _, l := range legacyFiles() {
		if l.format == format {
			l.records = l.random(rng, 50)
			l.count = int64(len(l.records))
			seeds = append(seeds, l.bytes())
		}
	}
	fuzzFormat(f, format, 1, seeds...)
}

func FuzzReadPicoHarp(f *testing.F)  { fuzzLegacy(f, PicoHarp) }
func FuzzReadHydraHarp(f *testing.F) { fuzzLegacy(f, HydraHarp) }
func FuzzReadSPC(f *testing.F)       { fuzzLegacy(f, SPC) }

// A0 to A2 are one reader; the first byte of the input chooses.
func FuzzReadFifteen(f *testing.F) {
	names := []string{A0, A1, A2, A1X}
	for i, name := range []string{"timestamp7_c14_rollover.Aa0f.ts", "timestamp7_c1234.Aa1.ts", "timestamp7_c14_rollover.Aa2f.ts"} {
		f.Add(append([]byte{byte(i)}, sample(name, 18*8)...))
	}
	f.Add(append([]byte{3}, sample("timestamp7_c14_rollover.Aa1fX.ts", 160)...))
	for i, name := range names {
		f.Add(append([]byte{byte(i)}, encoded(f, name, 3, []uint64{0, 5, 1 << 40})...))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) == 0 {
			return
		}
		checkRead(t, names[int(content[0])%len(names)], content[1:], 1)
		if ft, err := inMemory(content[1:]).sniffFifteen(); err == nil && !slices.Contains(names, ft.Name) {
			t.Fatalf("taken for %s", ft.Name)
		}
	})
}

func FuzzReadSwabian(f *testing.F) {
	b := encoded(f, Swabian, -3, []uint64{5, 6, 7})
	for i, kind := range []byte{swabianError, swabianMissed} {
		b[16*i] = kind
	}
	fuzzFormat(f, Swabian, 1, b)
}

func FuzzReadNPY(f *testing.F) {
	header := func(version byte, text string) []byte {
		b := append([]byte(npyMagic), version, 0)
		if version == 1 {
			b = binary.LittleEndian.AppendUint16(b, uint16(len(text)))
		} else {
			b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
		}
		return append(append(b, text...), "12345678\x00\x00\x00\x00\x00\x00\x00\x00"...)
	}
	fuzzFormat(f, NPY, 4,
		header(1, "{'descr': '<i8', 'fortran_order': False, 'shape': (2,), }\n"),
		header(2, "{'descr': '>u8', 'fortran_order': False, 'shape': (1, 2), }\n"),
		header(3, "{'descr': [('t', '>i4'), ('ch', '|u1'), ('', '|V3')], 'fortran_order': False, 'shape': (2,), }\n"),
		header(1, "{'descr': '|u1', 'fortran_order': True, 'shape': (16,)}"))
}

func FuzzReadNPZ(f *testing.F) {
	whole := encoded(f, NPZ, 1, []uint64{5, 6, 1 << 40})
	f.Add(whole[:len(whole)-1])
	fuzzFormat(f, NPZ, 4, npzOf(f, npzMember{"signal.npy", npyFile("{'descr': '>i4', 'fortran_order': False, 'shape': (4,)}", make([]byte, 16)), false},
		npzMember{"rows.npy", npyFile("{'descr': '|u1', 'fortran_order': False, 'shape': (8, 2)}", make([]byte, 16)), false}))
}

// fuzzFormat reads inputs as a format; perByte is how many tags a byte can be,
// at most.
func fuzzFormat(f *testing.F, format string, perByte int, seeds ...[]byte) {
	ft, _ := find(format)
	if ft.Writable() {
		f.Add(encoded(f, format, 1, nil))
		f.Add(encoded(f, format, 1, []uint64{0, 1, 1, 500_000, 1 << 35}))
	}
	if ft.Writable() && !ft.OneChannel {
		f.Add(encoded(f, format, 3, []uint64{1 << 40}))
	}
	for _, seed := range seeds {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content []byte) { checkRead(t, format, content, perByte) })
}

// encoded is a file of one channel.
func encoded(t testing.TB, format string, channel int, tags []uint64) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x")
	if err := WriteFile(path, format, channel, tags); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// sample is the beginning of a real recording, as a seed; nothing without one.
func sample(name string, n int) []byte {
	if !filepath.IsAbs(name) {
		name = filepath.Join(os.Getenv("TSRUN_TEST_DATA"), name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil
	}
	return b[:min(n, len(b))]
}

// realPTU is the header of a real recording and some of its records.
func realPTU() []byte {
	b := bytes.Clone(sample("200204_HH400_T2_320MHz_HBT.timeres", 4392+400))
	if at := bytes.Index(b, []byte(ptuRecords)); at >= 0 {
		binary.LittleEndian.PutUint64(b[at+40:], 100)
	}
	return b
}

func inMemory(content []byte) *file {
	return &file{SectionReader: io.NewSectionReader(bytes.NewReader(content), 0, int64(len(content))), path: "x", closer: io.NopCloser(nil), limits: everything}
}

// checkRead reads a file in every way.
func checkRead(t *testing.T, format string, content []byte, perByte int) {
	t.Helper()
	ft, _ := find(format)
	most := uint64(len(content)*perByte + 4)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	whole, wholeErr := inMemory(content).recording(ft)
	n := checkEvents(t, inMemory(content), ft)
	damaged := inMemory(content)
	damaged.salvaging = true
	if saved := checkEvents(t, damaged, ft); saved > most {
		t.Fatalf("%d tags salvaged of %d bytes", saved, len(content))
	}
	raised := inMemory(content)
	raised.raise = Raise
	if n := checkEvents(t, raised, ft); n > most {
		t.Fatalf("%d tags raised of %d bytes", n, len(content))
	}
	if info, err := scan(inMemory(content), ft); info.Damage != nil && (err == nil || info.Damage.Bytes > int64(len(content)) || info.Damage.From > int64(len(content))) {
		t.Fatalf("%d bytes: %+v, %v", len(content), *info.Damage, err)
	}
	channel := OnlyChannel
	if wholeErr == nil && len(whole.Info.Channels) > 1 {
		channel = whole.Info.Channels[0].Channel
	}
	one, oneErr := readOne(ft, content, channel)
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20+600*most {
		t.Fatalf("%d bytes allocated for a file of %d", grown, len(content))
	}
	if !slices.IsSorted(one) || n > most || uint64(len(one)) > most {
		t.Fatalf("%d and %d tags from %d bytes", n, len(one), len(content))
	}
	if wholeErr != nil {
		return
	}
	checkWhole(t, whole, most)
	if tags := whole.Channels[channel]; oneErr == nil && channel != OnlyChannel && !slices.Equal(one, tags) {
		t.Fatalf("channel %d: %v piece by piece, %v as a whole", channel, one, tags)
	}
}

func checkWhole(t *testing.T, r Recording, most uint64) {
	t.Helper()
	for i, c := range r.Info.Channels {
		tags := r.Channels[c.Channel]
		if !slices.IsSorted(tags) || uint64(len(tags)) != c.Tags || tags[0] != c.First || tags[len(tags)-1] != c.Last || c.First < r.First {
			t.Fatalf("channel %d: %v, %+v", c.Channel, tags, c)
		}
		if i > 0 && r.Info.Channels[i-1].Channel >= c.Channel {
			t.Fatalf("channels %+v", r.Info.Channels)
		}
	}
	if r.Info.Tags() > most {
		t.Fatalf("%d tags", r.Info.Tags())
	}
}

// checkEvents reads all channels by time and returns how many tags there were.
func checkEvents(t *testing.T, f *file, ft Format) (n uint64) {
	t.Helper()
	e, err := f.eventsOf(ft, nil)
	if err != nil {
		return 0
	}
	buf := make([]uint64, 1000)
	for latest := uint64(0); ; {
		came, _, err := e.next(buf)
		if err == io.EOF && e.info().Tags() != n && !f.salvaging {
			t.Fatalf("%d tags, %+v", n, e.info())
		}
		if err != nil {
			return n
		}
		for _, next := range buf[:came] {
			if next < latest {
				t.Fatalf("%d ps after %d ps", next, latest)
			}
			latest = next
		}
		n += uint64(came)
	}
}

// readOne reads one channel piece by piece.
func readOne(ft Format, content []byte, channel int) ([]uint64, error) {
	r, _, err := inMemory(content).reader(ft, channel)
	if err != nil {
		return nil, err
	}
	return drain(r, 1000)
}

func FuzzReadIDQ(f *testing.F) {
	fuzzFormat(f, IDQ, 1, idqFile(5, 0, 9, 0, 3, 1))
}

func FuzzReadIDQText(f *testing.F) {
	fuzzFormat(f, IDQText, 1, []byte("5;0\n9;0\n3;1"), []byte("5\n18446744073709551615\r\n"))
}

// FuzzReadUnnamed reads whatever bytes the way a user does, by the name of the
// file: what it is, is found out. The first byte of the input chooses the name.
func FuzzReadUnnamed(f *testing.F) {
	suffixes := []string{".bin", ".txt", ".dat", ".ts", ".qutag", ".qutag5", ".spc", ".a1", ".pt3", ".ht2"}
	for i, b := range [][]byte{idqFile(5e6, 0, 9e6, 0), []byte("70000;0\n80000;0\n"), []byte("PicoHarp 300"), encoded(f, A1, 2, []uint64{5e12, 6e12}), encoded(f, QuTAG, 2, []uint64{5e12, 6e12, 7e12, 8e12, 9e12})[40:]} {
		f.Add(append([]byte{byte(i)}, b...))
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		if len(content) == 0 {
			return
		}
		of := inMemory(content[1:])
		of.path = "x" + suffixes[int(content[0])%len(suffixes)]
		ft, err := of.format("")
		if err != nil {
			return
		}
		checkRead(t, ft.Name, content[1:], 4)
	})
}
