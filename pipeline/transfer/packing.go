package transfer

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"tsrun/pipeline/fact"
	"tsrun/sdk/tagfile/pack"
)

// A chunk of tags of eight bytes each, as files in the format bin are made of, may
// travel packed: first the bytes that belong to no whole tag in it, at its beginning
// and at its end, then blocks of package pack, one after another. The head says that
// it is packed; offset, length and CRC-32C there are of the bytes as they are in the
// file, so that ledger, gaps and proof know nothing of it.
const tagSize = 8

// loose is how many bytes of a chunk belong to no whole tag in it: before and after.
func loose(offset int64, length int) (before, after int) {
	before = min(int(-offset&(tagSize-1)), length)
	return before, (length - before) % tagSize
}

// packer packs and unpacks chunks, with memory that it keeps.
type packer struct {
	tags []uint64
	out  []byte
}

// pack packs a chunk that stands at offset. ok is false where that makes it no
// shorter. The result is the packer's until the next call.
func (p *packer) pack(b []byte, offset int64) (packed []byte, ok bool) {
	before, after := loose(offset, len(b))
	whole := b[before : len(b)-after]
	p.out = append(append(p.out[:0], b[:before]...), b[len(b)-after:]...)
	for len(whole) > 0 {
		n := min(len(whole)/tagSize, pack.MaxTags)
		p.tags = p.tags[:0]
		for at := 0; at < n*tagSize; at += tagSize {
			p.tags = append(p.tags, binary.LittleEndian.Uint64(whole[at:]))
		}
		var err error
		if p.out, err = pack.Append(p.out, p.tags); err != nil || len(p.out) >= len(b) {
			return nil, false
		}
		whole = whole[n*tagSize:]
	}
	return p.out, len(p.out) < len(b)
}

// unpack fills b, which stands at offset, with what a packed chunk holds. It takes no
// more memory than b has.
func (p *packer) unpack(b, packed []byte, offset int64) error {
	before, after := loose(offset, len(b))
	if len(packed) < before+after {
		return errors.New("unpack chunk: it ends before its tags")
	}
	copy(b, packed[:before])
	copy(b[len(b)-after:], packed[before:before+after])
	packed = packed[before+after:]
	whole := b[before : len(b)-after]
	for len(whole) > 0 {
		h, err := pack.ReadHeader(packed)
		switch {
		case err != nil:
			return fmt.Errorf("unpack chunk: %w", err)
		case h.Size > len(packed) || h.Count > len(whole)/tagSize:
			return fmt.Errorf("unpack chunk: a block of %d bytes and %d tags, where %d bytes and %d tags are left", h.Size, h.Count, len(packed), len(whole)/tagSize)
		}
		if p.tags, err = pack.Decode(p.tags[:0], packed[:h.Size]); err != nil {
			return fmt.Errorf("unpack chunk: %w", err)
		}
		for i, t := range p.tags {
			binary.LittleEndian.PutUint64(whole[i*tagSize:], t)
		}
		packed, whole = packed[h.Size:], whole[h.Count*tagSize:]
	}
	if len(packed) > 0 {
		return fmt.Errorf("unpack chunk: %d bytes behind its tags", len(packed))
	}
	return nil
}

const (
	packingPays = 4   // packing must be so many times as fast as what it saves of the link
	leastSaving = 0.1 // of a file's bytes, or none of its chunks is packed
	tryEvery    = 256 // chunks, where it did not pay
	meterOver   = time.Second
)

// meter measures what decides whether chunks are packed: what packing saves, how fast
// it is, and how fast the link is. The lock of the transmission is its too.
type meter struct {
	auto     bool // packing may be chosen
	unpacks  bool // the Receiver says that it unpacks
	sincePut int  // chunks since packing was last tried

	tried, packed float64       // bytes before and after packing, of late
	packing       time.Duration // that it took
	carried       float64       // bytes that a connection carried, of late
	carrying      time.Duration // in that time, of all connections

	sent fact.Sent
}

// pays says whether chunks are to be packed, as far as is known: a link that was not
// measured yet counts as slow.
func (m *meter) pays(connections int) bool {
	saves := 1 - m.packed/max(m.tried, 1)
	return saves >= leastSaving && m.linkRate(connections)*packingPays < saves*m.packRate()
}

// due says whether the next chunk is to be packed, if only to see what that brings.
func (m *meter) due(connections int) bool {
	if !m.auto || !m.unpacks {
		return false
	}
	if m.tried == 0 || m.pays(connections) {
		return true
	}
	m.sincePut++
	return m.sincePut >= tryEvery
}

// packRate is how many bytes are packed in a second.
func (m *meter) packRate() float64 { return m.tried / max(m.packing.Seconds(), 1e-9) }

// linkRate is how many bytes all connections carry in a second; 0: not known.
func (m *meter) linkRate(connections int) float64 {
	if m.carrying == 0 {
		return 0
	}
	return m.carried / m.carrying.Seconds() * float64(connections)
}

// notePacked notes that bytes were packed.
func (m *meter) notePacked(before, after int, took time.Duration) {
	m.sincePut = 0
	if m.packing > meterOver/10 {
		m.tried, m.packed, m.packing = m.tried/2, m.packed/2, m.packing/2
	}
	m.tried, m.packed, m.packing = m.tried+float64(before), m.packed+float64(after), m.packing+took
}

// noteCarried notes that a connection carried bytes.
func (m *meter) noteCarried(bytes int64, took time.Duration) {
	if m.carrying > meterOver {
		m.carried, m.carrying = m.carried/2, m.carrying/2
	}
	m.carried, m.carrying = m.carried+float64(bytes), m.carrying+took
}

// summary is what was sent, and why so.
func (m *meter) summary(connections int) fact.Sent {
	s := m.sent
	s.LinkPerS, s.PackPerS = int64(m.linkRate(connections)), 0
	if m.tried > 0 {
		s.PackPerS = int64(m.packRate())
	}
	return s
}

// Sent says how many bytes Run has sent, how many of them packed, and what decided that.
func (s *Sender) Sent() fact.Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// prepare returns a chunk as it is to travel.
func (st *stream) prepare(c *flying, b []byte) (wire []byte, packed bool) {
	t := st.t
	t.mu.Lock()
	due := !c.o.dense && t.meter.due(t.Streams)
	t.mu.Unlock()
	if !due {
		return b, false
	}
	start := time.Now()
	wire, shorter := st.packer.pack(b, c.part.Offset)
	took := time.Since(start)
	if !shorter {
		wire = b
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if float64(len(wire)) > (1-leastSaving)*float64(len(b)) {
		c.o.dense = true // and the rest of it is like this
		return b, false
	}
	t.meter.notePacked(len(b), len(wire), took)
	if !t.meter.pays(t.Streams) {
		return b, false
	}
	return slices.Clip(wire), true
}
