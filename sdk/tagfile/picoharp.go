package tagfile

import "math"

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
