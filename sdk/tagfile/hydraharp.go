package tagfile

import (
	"encoding/binary"
	"math"
)

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
