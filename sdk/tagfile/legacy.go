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
