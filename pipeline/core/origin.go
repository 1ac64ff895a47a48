package core

import (
	"encoding/binary"
	"fmt"
	"math"

	"tsrun/sdk/blockio"
	"tsrun/sdk/tag"
)

// move adds an origin, in ps, to all times of a block, in the memory that it was
// received into. A promise beyond the last time there is becomes that time.
func (in *inlet) move(m *blockio.Message, origin uint64) error {
	h := m.Head
	if h.Last > math.MaxUint64-origin {
		return fmt.Errorf("refuse block %d of stream %d: its last tag, at %d ps, is beyond the end of time of a record that begins at %d ps", h.Seq, h.Stream, h.Last, origin)
	}
	if len(m.Payload) != h.Size() {
		return fmt.Errorf("refuse block %d of stream %d: payload of %d bytes, want %d for %d tags", h.Seq, h.Stream, len(m.Payload), h.Size(), h.Count)
	}
	le := binary.LittleEndian
	for at := 0; at < len(m.Payload); at += tag.Size {
		le.PutUint64(m.Payload[at:], le.Uint64(m.Payload[at:])+origin)
	}
	if h.Count > 0 {
		h.First, h.Last = h.First+origin, h.Last+origin
	}
	h.Until += min(origin, math.MaxUint64-h.Until)
	encode(in.header[:], h, m.Payload)
	m.Head, m.Header = h, in.header[:]
	return nil
}
