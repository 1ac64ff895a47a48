package tagfile

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"strings"
)

// What the headers of PicoQuant's devices from before PTU have in common.
const (
	legacyVersion = 16 // text of 6 bytes
	legacyBits    = 332
)

// legacyHeader is the header of a file of PicoQuant's from before .ptu.
type legacyHeader struct {
	f     *file
	r     *bufio.Reader
	bytes []byte
}

func (h *legacyHeader) word(at int) int64 {
	return int64(int32(binary.LittleEndian.Uint32(h.bytes[at:])))
}

// extend reads the header up to a size. The size of the file bounds it.
func (h *legacyHeader) extend(size int64) error {
	if size > h.f.Size() {
		return h.f.damagef(0, "it has %d bytes, fewer than its header; it is cut off or damaged", h.f.Size())
	}
	from := len(h.bytes)
	h.bytes = append(h.bytes, make([]byte, int(size)-from)...)
	_, err := io.ReadFull(h.r, h.bytes[from:])
	if err != nil {
		return readError(h.f.path, err)
	}
	return nil
}

// legacy reads the fixed part of a header, and checks which version it is of.
func legacy(f *file, magic string, size int64, versions ...string) (*legacyHeader, error) {
	h := &legacyHeader{f: f, r: f.buffered(ioBuffer)}
	start, err := h.r.Peek(int(min(int64(len(magic)), f.Size())))
	if err != nil {
		return nil, readError(f.path, err)
	}
	if string(start) != magic[:len(start)] {
		return nil, f.errorf("it begins with %q, such a file with %q", start, magic)
	}
	if err := h.extend(size); err != nil {
		return nil, err
	}
	version := strings.TrimSpace(cString(h.bytes[legacyVersion : legacyVersion+6]))
	for _, known := range versions {
		if version == known {
			return h, nil
		}
	}
	return nil, f.errorf("it is of version %q of its format; read are %s", version, list(versions))
}

// source makes the source of the records. The mode, 2 or 3, says which of the
// units are given; image is the number of words before the records.
func (h *legacyHeader) source(ptu ptuHeader, image int64) (source, error) {
	switch ptu.mode {
	case 0:
		return nil, h.f.errorf("it holds histograms and no time tags; record in mode T2 or T3")
	case 2, 3:
	default:
		return nil, h.f.errorf("its header says measurement mode %d, which is neither T2 (2) nor T3 (3); it is damaged", ptu.mode)
	}
	if ptu.bits = h.word(legacyBits); ptu.bits != 8*ptuRecord && ptu.bits != 0 {
		return nil, h.f.errorf("its header says %d bits a record, want %d", ptu.bits, 8*ptuRecord)
	}
	if image < 0 {
		return nil, h.f.errorf("its header says that an image header of %d words follows; it is damaged", image)
	}
	ptu.size = int64(len(h.bytes)) + 4*image
	if ptu.size > h.f.Size() {
		return nil, h.f.damagef(0, "it has %d bytes, fewer than its header, of which an image header of %d words is a part; it is cut off or damaged", h.f.Size(), image)
	}
	if _, err := io.CopyN(io.Discard, h.r, 4*image); err != nil {
		return nil, readError(h.f.path, err)
	}
	s, err := newPTUSource(h.f, h.r, ptu)
	if err != nil {
		return nil, err
	}
	suffix := strings.ToLower(filepath.Ext(h.f.path))
	if n := len(suffix) - 1; n > 1 && (suffix[n] == '2' || suffix[n] == '3') && int64(suffix[n]-'0') != ptu.mode {
		s.remark("it is named %s, its header says measurement mode %d, which is how the records are read", suffix, ptu.mode)
	}
	return s, nil
}

// period sets the units of mode T3: of the sync rate, and of a step of the time
// since the sync. The denominator of one divides that of the other.
func (h *ptuHeader) period(rate int64, step float64) error {
	if rate <= 0 {
		return fmt.Errorf("its header says that there were %d syncs per second; without their rate times in mode T3 are not known", rate)
	}
	fs, err := wholeFemtoseconds(step)
	h.unit = decimal{1e12, uint64(rate)}
	h.step = decimal{fs * uint64(rate), 1000 * uint64(rate)}
	if err == nil {
		h.steps = uint64(min(h.unit.float()/h.step.float()+1, 1<<32))
	}
	return err
}

// wholeFemtoseconds is a resolution in ps of a header, at most 1 us, in fs.
func wholeFemtoseconds(ps float64) (uint64, error) {
	fs := math.Round(1000 * ps)
	if !(fs >= 1 && fs <= 1e9) {
		return 0, fmt.Errorf("its header says a resolution of %g ps, which is none", ps)
	}
	return uint64(fs), nil
}

// A file of a PicoHarp 300 from before .ptu, .pt2 or .pt3, is a header of fields
// at fixed places, format 2.0, an image header of ImgHdrSize words, and records
// of 32 bits as a PTU of the same device has them.
const (
	picoHarpMagic  = "PicoHarp 300"
	picoHarpHeader = 728
	// Where the fields are that the records need; 32 bits each.
	picoHarpBoards   = 340
	picoHarpMode     = 348
	picoHarpStep     = 584 // float32, ns
	picoHarpSyncRate = 704 // per second
	picoHarpRecords  = 720
	picoHarpImage    = 724
	picoHarpTick     = 4 // ps, of T2
)

func openPicoHarp(f *file) (source, error) {
	h, err := legacy(f, picoHarpMagic, picoHarpHeader, "2.0")
	if err != nil {
		return nil, err
	}
	if n := h.word(picoHarpBoards); n != 1 {
		return nil, f.errorf("its header says %d boards; files of one are read", n)
	}
	ptu := ptuHeader{recordType: 0x00010203, mode: h.word(picoHarpMode), records: h.word(picoHarpRecords), unit: decimal{picoHarpTick, 1}}
	if ptu.mode == 3 {
		ptu.recordType = 0x00010303
		step := math.Float32frombits(uint32(h.word(picoHarpStep)))
		if err := ptu.period(h.word(picoHarpSyncRate), 1000*float64(step)); err != nil {
			return nil, readError(f.path, err)
		}
	}
	return h.source(ptu, h.word(picoHarpImage))
}

// A file of a HydraHarp 400 from before .ptu, .ht2 or .ht3, is a header of fields
// at fixed places, formats 1.0 and 2.0, 20 bytes for each input, a few fields
// about the time tags, an image header, and records of 32 bits as a PTU of the
// same device has them.
const (
	hydraHarpMagic  = "HydraHarp"
	hydraHarpHeader = 696 // bytes before the inputs
	hydraHarpInput  = 20
	hydraHarpTail   = 24 // behind the inputs
	// Where the fields are that the records need.
	hydraHarpMode   = 340
	hydraHarpStep   = 352 // float64, ps
	hydraHarpInputs = 664
	// In the tail: syncs per second, and words of the image header.
	hydraHarpSyncRate = 0
	hydraHarpImage    = 12
	hydraHarpRecords  = 16 // int64
)

// hydraHarpTypes are the types of records, by version and mode.
var hydraHarpTypes = map[byte][2]int64{'1': {0x00010204, 0x00010304}, '2': {0x01010204, 0x01010304}}

func openHydraHarp(f *file) (source, error) {
	h, err := legacy(f, hydraHarpMagic, hydraHarpHeader, "1.0", "2.0")
	if err != nil {
		return nil, err
	}
	const most = 64 // that a record can tell
	inputs := h.word(hydraHarpInputs)
	if inputs < 0 || inputs > most {
		return nil, f.errorf("its header says %d inputs, there are at most %d; it is damaged", inputs, most)
	}
	if err := h.extend(hydraHarpHeader + inputs*hydraHarpInput + hydraHarpTail); err != nil {
		return nil, err
	}
	tail := len(h.bytes) - hydraHarpTail
	step := math.Float64frombits(binary.LittleEndian.Uint64(h.bytes[hydraHarpStep:]))
	ptu := ptuHeader{mode: h.word(hydraHarpMode), records: int64(binary.LittleEndian.Uint64(h.bytes[tail+hydraHarpRecords:]))}
	types := hydraHarpTypes[h.bytes[legacyVersion]]
	switch ptu.mode {
	case 2: // the resolution is that of the counter: half a picosecond in format 1.0
		fs, err := wholeFemtoseconds(step)
		if err != nil {
			return nil, readError(f.path, err)
		}
		ptu.recordType, ptu.unit = types[0], decimal{fs, 1000}
	case 3:
		ptu.recordType = types[1]
		if err := ptu.period(h.word(tail+hydraHarpSyncRate), step); err != nil {
			return nil, readError(f.path, err)
		}
	}
	return h.source(ptu, h.word(tail+hydraHarpImage))
}
