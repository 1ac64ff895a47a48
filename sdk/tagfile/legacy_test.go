package tagfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// legacyFile is a file of a device from before PTU, built field by field as the
// makers describe it.
type legacyFile struct {
	format  string
	version string
	mode    int32
	rate    int32   // syncs per second
	step    float64 // ps
	bits    int32
	count   int64 // of records, as the header says
	image   int32 // words of the image header; as many are there
	inputs  int32
	boards  int32
	clock   uint32 // the first record of an SPC file
	records []uint32
}

func (l legacyFile) bytes() []byte {
	var b bytes.Buffer
	put := func(values ...any) {
		for _, v := range values {
			if text, ok := v.(string); ok {
				b.WriteString(text)
			} else if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
				panic(err)
			}
		}
	}
	text := func(s string, size int) string { return s + strings.Repeat("\x00", size-len(s)) }
	none := func(n int) []int32 { return make([]int32, n) }
	switch l.format {
	case SPC:
		put(l.clock)
	case PicoHarp: // ident, version, creator, its version, time, CR LF, comment
		put(text("PicoHarp 300", 16), text(l.version, 6), text("PicoHarp Software", 18), text("2.3.0.0", 12), text("16/02/12 19:40:04", 18), "\r\n", text("T3 Mode", 256))
		// curves, bits, routing channels, boards, active curve, mode, ...
		put(none(1), l.bits, none(1), l.boards, none(1), l.mode, none(12))
		put(none(16), make([]float32, 9), none(4), text("TTTR Mode", 20)) // curves shown, parameters, repeats, script
		put(text("PicoHarp 300", 16), text("2.0", 8), none(6), float32(l.step/1000), none(2), none(24))
		put(none(3), l.rate, none(3), int32(l.count), l.image, none(int(max(l.image, 0))))
	case HydraHarp:
		put(text("HydraHarp", 16), text(l.version, 6), text("HydraHarp AcqUI", 18), text("2.0.0.0", 12), text("16/02/12 19:40:04", 18), "\r\n", text("T3 Mode", 256))
		put(none(1), l.bits, none(1), l.mode, none(2), l.step, none(10)) // curves, bits, active, mode, submode, binning
		put(none(16), make([]float32, 9), none(4), text("TTTR Mode", 20))
		put(text("HydraHarp 400", 16), text("930021", 8), none(2), none(20), 1.0, uint64(15), l.inputs, none(7))
		put(none(5 * int(min(max(l.inputs, 0), 100))))
		put(l.rate, none(2), l.image, l.count, none(int(max(l.image, 0))))
	}
	put(l.records)
	return b.Bytes()
}

// legacyFiles are one of each kind, without records.
func legacyFiles() map[string]legacyFile {
	pico := legacyFile{format: PicoHarp, version: "2.0", mode: 2, bits: 32, boards: 1, rate: 2_499_950, step: 256}
	hydra := legacyFile{format: HydraHarp, version: "2.0", mode: 2, bits: 32, inputs: 4, rate: 998_898, step: 1}
	pt3, ht2v1, ht3v1, ht3 := pico, hydra, hydra, hydra
	pt3.mode, pt3.image = 3, 7
	ht2v1.version, ht2v1.step = "1.0", 0.5
	ht3v1.version, ht3v1.mode, ht3v1.rate, ht3v1.step = "1.0", 3, 10_004_460, 4
	ht3.mode, ht3.step, ht3.image, ht3.inputs = 3, 16, 3, 8
	return map[string]legacyFile{"pt2": pico, "pt3": pt3, "ht2-1": ht2v1, "ht2": hydra, "ht3-1": ht3v1, "ht3": ht3,
		"spc": {format: SPC, clock: 1<<31 | 125}}
}

// decode reads the records by the rules that the makers give, with fractions.
func (l legacyFile) decode() (tags map[int][]uint64, facts map[FactKind]uint64) {
	tags, facts = map[int][]uint64{}, map[FactKind]uint64{}
	base := new(big.Rat) // ps
	period := big.NewRat(4, 1)
	switch {
	case l.format == SPC:
		period = big.NewRat(int64(l.clock&0xffffff)*100, 1)
	case l.mode == 3:
		period = big.NewRat(1e12, int64(l.rate))
	case l.format == HydraHarp:
		period = new(big.Rat).SetFloat64(l.step)
	}
	of := func(n uint32, unit *big.Rat) *big.Rat { return new(big.Rat).Mul(big.NewRat(int64(n), 1), unit) }
	wrap := func(n uint32, counts int64) {
		facts[Wraps]++
		base.Add(base, new(big.Rat).Mul(of(n, period), big.NewRat(counts, 1)))
	}
	photon := func(channel, count, steps uint32) {
		t := new(big.Rat).Add(base, of(count, period))
		t.Add(t, of(steps, new(big.Rat).SetFloat64(l.step)))
		t.Add(t, big.NewRat(1, 2))
		tags[int(channel)] = append(tags[int(channel)], new(big.Int).Div(t.Num(), t.Denom()).Uint64())
		if l.mode == 3 && float64(steps) > 1e12/float64(l.rate)/l.step+1 {
			facts[Beyond]++
		}
	}
	for _, r := range l.records {
		channel, steps := r>>28, r>>16&4095
		special, hh := r>>31 == 1, r>>25&63
		switch {
		case l.format == PicoHarp && channel == 15 && (l.mode == 2 && r&15 == 0 || l.mode == 3 && steps == 0):
			wrap(1, map[int32]int64{2: 210698240, 3: 65536}[l.mode])
		case l.format == PicoHarp && channel == 15, l.format == HydraHarp && special && hh >= 1 && hh <= 15:
			facts[Markers]++
		case l.format == PicoHarp && (channel > 4 || channel == 0 && l.mode == 3), l.format == HydraHarp && special && hh != 63 && (hh != 0 || l.mode == 3):
			facts[Unknown]++
		case l.format == PicoHarp && l.mode == 2:
			photon(channel, r&(1<<28-1), 0)
		case l.format == PicoHarp:
			photon(channel, r&65535, steps)
		case l.format == HydraHarp && special && hh == 63:
			n, counts := uint32(1), map[int32]int64{2: 33552000, 3: 1024}[l.mode]
			if l.version == "2.0" && l.mode == 2 {
				n, counts = max(r&(1<<25-1), 1), 1<<25
			} else if l.version == "2.0" {
				n = max(r&1023, 1)
			}
			wrap(n, counts)
		case l.format == HydraHarp:
			if !special {
				hh++
			}
			if l.mode == 2 {
				photon(hh, r&(1<<25-1), 0)
			} else {
				photon(hh, r&1023, r>>10&32767)
			}
		default:
			l.spc(r, wrap, func() { photon(r>>12&15, r&4095, 0) }, facts)
		}
	}
	for _, list := range tags {
		slices.Sort(list)
	}
	return tags, facts
}

func (l legacyFile) spc(r uint32, wrap func(uint32, int64), photon func(), facts map[FactKind]uint64) {
	invalid, overflow, gap, mark := r>>31&1, r>>30&1, r>>29&1, r>>28&1
	if gap == 1 {
		facts[Overflows]++
	}
	switch {
	case invalid == 1 && overflow == 1 && mark == 0:
		if n := r & (1<<28 - 1); n > 0 {
			wrap(n, 4096)
		}
		return
	case overflow == 1:
		wrap(1, 4096)
	}
	switch {
	case mark == 1:
		facts[Markers]++
	case invalid == 1:
		facts[Unknown]++
	default:
		photon()
	}
}

// random makes records of all kinds, with few large overflows.
func (l legacyFile) random(rng *rand.Rand, n int) (records []uint32) {
	now := uint32(0)
	for range n {
		r := rng.Uint32()
		switch {
		case l.format == SPC && r>>30 == 3 && r>>28&1 == 0:
			r &= 0xf00000ff
			now = 0
		case l.format == SPC: // macro times go on, as those of a real file
			if now += r & 63; now > 4095 || r>>30&1 == 1 {
				r, now = r|1<<30, r&63
			}
			r = r&^4095 | now
		case l.format == PicoHarp && r>>28 > 4 && rng.IntN(3) > 0:
			r |= 15 << 28
		case l.format == HydraHarp && r>>31 == 1 && rng.IntN(2) > 0:
			r = 0xfe000000 | r&255
		}
		records = append(records, r)
	}
	return records
}

// TestLegacyRandom reads random records of each kind, against the rules.
func TestLegacyRandom(t *testing.T) {
	rng := rand.New(rand.NewPCG(8, 300))
	for name, l := range legacyFiles() {
		for range 5 {
			l.records = l.random(rng, 3000)
			l.count = int64(len(l.records))
			want, facts := l.decode()
			got, err := ReadRecording(write(t, "x."+name[:3], l.bytes()), "")
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if diff := cmp.Diff(want, got.Channels); diff != "" {
				t.Fatalf("%s: %s", name, diff)
			}
			found := map[FactKind]uint64{}
			for _, f := range got.Info.Facts {
				if f.Kind != Remarks || l.format != SPC {
					found[f.Kind] = f.Count
				}
			}
			if diff := cmp.Diff(facts, found); diff != "" || got.Info.Format != l.format {
				t.Fatalf("%s: %s, %s", name, got.Info.Format, diff)
			}
		}
	}
}

// TestLegacyUnnamed: the first bytes tell the format where the name does not.
func TestLegacyUnnamed(t *testing.T) {
	for name, l := range legacyFiles() {
		l.records, l.count = []uint32{5, 7}, 2
		info, err := Scan(write(t, "x.dat", l.bytes()), "")
		if l.format == SPC {
			if err == nil || !strings.Contains(err.Error(), "its name does not tell the format") {
				t.Errorf("%s: %v", name, err)
			}
			info, err = Scan(write(t, "x.dat", l.bytes()), SPC)
		}
		if err != nil || info.Format != l.format {
			t.Errorf("%s: %+v, %v", name, info, err)
		}
		if _, err := Scan(write(t, "x.bin", l.bytes()), ""); l.format != SPC && (err == nil || !strings.Contains(err.Error(), "it begins as a file of format "+l.format+" does, not of bin")) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestLegacyHeaders: what the header says wrongly is a remark where the records
// can be read all the same, and else an error that says what.
func TestLegacyHeaders(t *testing.T) {
	for _, tt := range []struct {
		kind string
		set  func(*legacyFile)
		want string // a remark, or an error after "!"
	}{
		{"pt2", func(l *legacyFile) { l.count = -7 }, "the header says -7 records"},
		{"ht3", func(l *legacyFile) { l.count = -1 << 40 }, "the header says -1099511627776 records"},
		{"pt3", func(l *legacyFile) { l.count = 0 }, "the header says 0 records, the file holds 2, which are all read"},
		{"ht2", func(l *legacyFile) { l.count = 3e9 }, "the header says 3000000000 records, the file holds 2; it is cut off"},
		{"ht2-1", func(l *legacyFile) { l.count = 1 }, "the 1 beyond them are read too"},
		{"ht3-1", func(l *legacyFile) { l.bits = 0 }, "the header says 0 bits a record, which is taken for 32"},
		{"pt3", func(l *legacyFile) { l.mode = 2 }, "it is named .pt3, its header says measurement mode 2"},
		{"pt2", func(l *legacyFile) { l.bits = 64 }, "!its header says 64 bits a record, want 32"},
		{"pt2", func(l *legacyFile) { l.mode = 0 }, "!it holds histograms and no time tags"},
		{"ht2", func(l *legacyFile) { l.mode = 0 }, "!it holds histograms and no time tags"},
		{"ht2", func(l *legacyFile) { l.mode = -2 }, "!its header says measurement mode -2"},
		{"pt3", func(l *legacyFile) { l.rate = 0 }, "!its header says that there were 0 syncs per second"},
		{"ht3", func(l *legacyFile) { l.rate = -5 }, "!its header says that there were -5 syncs per second"},
		{"pt3", func(l *legacyFile) { l.step = 0 }, "!its header says a resolution of 0 ps, which is none"},
		{"ht2", func(l *legacyFile) { l.step = math.NaN() }, "!its header says a resolution of NaN ps"},
		{"ht3", func(l *legacyFile) { l.step = math.Inf(1) }, "!its header says a resolution of +Inf ps"},
		{"pt2", func(l *legacyFile) { l.boards = 2 }, "!its header says 2 boards; files of one are read"},
		{"pt2", func(l *legacyFile) { l.version = "1.0" }, `!it is of version "1.0" of its format; read are 2.0`},
		{"ht2", func(l *legacyFile) { l.version = "" }, `!it is of version "" of its format; read are 1.0, 2.0`},
		{"ht2", func(l *legacyFile) { l.inputs = -1 }, "!its header says -1 inputs"},
		{"ht2", func(l *legacyFile) { l.inputs = 1 << 30 }, "!its header says 1073741824 inputs"},
		{"pt2", func(l *legacyFile) { l.image = -1 }, "!its header says that an image header of -1 words follows"},
		{"spc", func(l *legacyFile) { l.clock = 125 }, "!its first record, 0x0000007d, does not tell the clock of the macro time"},
		{"spc", func(l *legacyFile) { l.clock = 1 << 31 }, "does not tell the clock of the macro time, as those of SPC-130 to SPC-180 and SPC-830 do; read it by phconvert"},
		{"spc", func(l *legacyFile) { l.clock |= 1 << 24 }, "!is of a module whose records are not read"},
		{"spc", func(l *legacyFile) { l.records = shuffled(200) }, "!the macro times of its records jump back and forth"},
		{"spc", func(l *legacyFile) {}, "times are counts of the macro time clock, 12.5 ns by the first record"},
	} {
		l := legacyFiles()[tt.kind]
		l.records, l.count = []uint32{5, 7}, 2
		tt.set(&l)
		info, err := Scan(write(t, "x."+tt.kind[:3], l.bytes()), "")
		said := fmt.Sprintf("!%v", err)
		if err == nil {
			said = ""
			for _, f := range info.Facts {
				said += f.Says
			}
		}
		if want, is := strings.CutPrefix(tt.want, "!"); !strings.Contains(said, want) || is && err == nil {
			t.Errorf("%s: %s\nwant %s", tt.kind, said, tt.want)
		}
	}
}

// shuffled are photons in no order.
func shuffled(n int) (records []uint32) {
	rng := rand.New(rand.NewPCG(1, 1))
	for range n {
		records = append(records, rng.Uint32()&0x0fffffff)
	}
	return records
}

// TestLegacyMarkers: markers are tags of channels for who asks for them.
func TestLegacyMarkers(t *testing.T) {
	for kind, want := range map[string][]uint64{
		"pt2": {4 * 0x100}, "pt3": {2_000_040}, "ht2": {77}, "spc": {4 * 12_500},
	} {
		l := legacyFiles()[kind]
		l.records = []uint32{map[string]uint32{"pt2": 0xf0000102, "pt3": 0xf0020005, "ht2": 0x80000000 | 2<<25 | 77, "spc": 0x90002004}[kind]}
		l.count = 1
		got, err := ReadAll(write(t, "x."+kind, l.bytes()), "", MarkerChannel(2))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v, %v", kind, got, want, err)
		}
	}
}

// TestOnlyRead: what is only read is not written.
func TestOnlyRead(t *testing.T) {
	in := write(t, "x.bin", encoded(t, Bin, 1, []uint64{5}))
	for _, name := range []string{"x.pt2", "x.pt3", "x.ht2", "x.ht3", "x.spc"} {
		_, err := Convert(t.Context(), in, t.TempDir()+"/"+name, ConvertOptions{})
		if err == nil || !strings.Contains(err.Error(), "is only read; write one of bin, txt, csv, tags") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := WriteFile(t.TempDir()+"/x", HydraHarp, 1, nil); err == nil {
		t.Error("written")
	}
	if _, err := Scan(in, "pt3"); err == nil || !strings.Contains(err.Error(), "there is no format pt3: such files are of format picoharp, and their header tells T2 from T3") {
		t.Error(err)
	}
}

// TestTooLate: a record of a time that 64 bits cannot tell is damage, and not one
// of the whole records.
func TestTooLate(t *testing.T) {
	for kind, overflow := range map[string]uint32{"ht2": 0xffffffff, "ht3": 0xffffffff, "spc": 0xcfffffff} {
		l := legacyFiles()[kind]
		if l.clock > 0 {
			l.clock |= 0xffffff
		}
		l.rate, l.step = 1, 1e6
		l.records = slices.Concat([]uint32{5}, slices.Repeat([]uint32{overflow}, 40_000), []uint32{7})
		l.count = int64(len(l.records))
		content := l.bytes()
		info, err := Scan(write(t, "x."+kind, content), "")
		d := info.Damage
		if err == nil || !strings.Contains(err.Error(), "is later than 64 bits of picoseconds can tell") || d == nil || d.From != d.Bytes || d.Bytes >= int64(len(content)) || info.Tags() != 1 {
			t.Errorf("%s: %+v, %v", kind, d, err)
		}
	}
}
