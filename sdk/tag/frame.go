package tag

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// A block travels as one ZeroMQ message of two frames: this header, and the
// tags as little-endian 64-bit words (an empty frame when there are none).
//
//	 0  magic "TSBK"        24..  run, continued     56  first tag, ps
//	 4  version u16         32  sequence number      64  last tag, ps
//	 6  kind u8             40  until, ps            72  0 u32
//	 7  0 u8                48  lost tags            76  CRC-32C u32 of the
//	 8  stream u16                                       76 bytes before it
//	10  0 u16
//	12  count u32
//	16  run, 16 bytes
//
// The checksum is of the header. Blocks go from process to process of one PC,
// through a socket in its memory, where one more pass over the tags in each
// process costs a third of what the path can carry, and whoever only passes a
// block on need not read them at all. Whoever uses the tags checks that there
// are as many as the header says, from its first to its last, in order; from
// the first file on, they have a SHA-256.
const (
	// HeaderSize is the length of a block's first frame in bytes.
	HeaderSize = 80
	// MaxBlockTags bounds the tags of one block: a payload of 1 MiB.
	MaxBlockTags = 131072
	// MaxPayload is the length in bytes of the longest second frame.
	MaxPayload = MaxBlockTags * Size

	headerMagic   = "TSBK"
	headerVersion = 1
	checksumAt    = 76
)

// Castagnoli is the table of CRC-32C, the checksum of blocks, chunks, orders and
// files of tags.
var Castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Header is a block without its tags: what the first frame says.
type Header struct {
	Kind        Kind
	Run         RunID
	Stream      uint16
	Seq         uint64
	Until       uint64 // ps
	Lost        uint64 // tags
	Count       int    // tags in the payload
	First, Last uint64 // ps; 0 when Count is 0
}

// EncodeHeader writes the block's first frame into dst, which holds at least
// [HeaderSize] bytes. The payload is the second frame: b.Tags by [AsBytes] or
// [AppendTags]. What [DecodeHeader] would refuse is encoded all the same;
// blocks of at most [MaxBlockTags] tags are the caller's duty.
func (b *Block) EncodeHeader(dst []byte) {
	dst = dst[:HeaderSize]
	clear(dst)
	le := binary.LittleEndian
	copy(dst, headerMagic)
	le.PutUint16(dst[4:], headerVersion)
	dst[6] = byte(b.Kind)
	le.PutUint16(dst[8:], b.Stream)
	le.PutUint32(dst[12:], uint32(len(b.Tags)))
	copy(dst[16:], b.Run[:])
	le.PutUint64(dst[32:], b.Seq)
	le.PutUint64(dst[40:], b.Until)
	le.PutUint64(dst[48:], b.Lost)
	if n := len(b.Tags); n > 0 {
		le.PutUint64(dst[56:], b.Tags[0])
		le.PutUint64(dst[64:], b.Tags[n-1])
	}
	le.PutUint32(dst[checksumAt:], crc32.Checksum(dst[:checksumAt], Castagnoli))
}

// DecodeHeader reads a block's first frame. Everything that can be known
// without the payload is checked; the payload is checked by [Header.Check].
func DecodeHeader(frame []byte) (Header, error) {
	if len(frame) != HeaderSize {
		return Header{}, fmt.Errorf("decode block header: %d bytes, want %d", len(frame), HeaderSize)
	}
	le := binary.LittleEndian
	if string(frame[:4]) != headerMagic {
		return Header{}, fmt.Errorf("decode block header: it begins with %q, want %q", frame[:4], headerMagic)
	}
	if v := le.Uint16(frame[4:]); v != headerVersion {
		return Header{}, fmt.Errorf("decode block header: version %d, this program reads version %d", v, headerVersion)
	}
	if frame[7] != 0 || le.Uint16(frame[10:]) != 0 || le.Uint32(frame[72:]) != 0 {
		return Header{}, fmt.Errorf("decode block header: reserved bytes are not 0")
	}
	if got, want := crc32.Checksum(frame[:checksumAt], Castagnoli), le.Uint32(frame[checksumAt:]); got != want {
		return Header{}, fmt.Errorf("decode block header: checksum %08x, want %08x; it was damaged on its way", got, want)
	}
	count := le.Uint32(frame[12:])
	if count > MaxBlockTags {
		return Header{}, fmt.Errorf("decode block header: %d tags, at most %d fit a block", count, MaxBlockTags)
	}
	h := Header{
		Kind:   Kind(frame[6]),
		Stream: le.Uint16(frame[8:]),
		Seq:    le.Uint64(frame[32:]),
		Until:  le.Uint64(frame[40:]),
		Lost:   le.Uint64(frame[48:]),
		Count:  int(count),
		First:  le.Uint64(frame[56:]),
		Last:   le.Uint64(frame[64:]),
	}
	copy(h.Run[:], frame[16:])
	if err := h.consistent(); err != nil {
		return Header{}, fmt.Errorf("decode block header: %w", err)
	}
	return h, nil
}

// consistent checks what the fields say about each other.
func (h Header) consistent() error {
	switch h.Kind {
	case Data:
		if h.Count == 0 {
			return fmt.Errorf("a data block without tags")
		}
	case Mark, End:
		if h.Count != 0 {
			return fmt.Errorf("a %s block with %d tags, want none", h.Kind, h.Count)
		}
	default:
		return fmt.Errorf("unknown kind %d", uint8(h.Kind))
	}
	if h.First > h.Last {
		return fmt.Errorf("first tag %d ps is after last tag %d ps", h.First, h.Last)
	}
	if h.Count == 0 && h.Last != 0 {
		return fmt.Errorf("a %s block names tags at %d and %d ps but holds none", h.Kind, h.First, h.Last)
	}
	return nil
}

// Size is the length of the second frame in bytes.
func (h Header) Size() int { return h.Count * Size }

// Check checks the second frame against the first: length, first and last tag,
// and that no tag is earlier than the one before it.
func (h Header) Check(payload []byte) error {
	if len(payload) != h.Size() {
		return h.errorf("payload of %d bytes, want %d for %d tags", len(payload), h.Size(), h.Count)
	}
	if h.Count == 0 {
		return nil
	}
	le := binary.LittleEndian
	first, last := le.Uint64(payload), le.Uint64(payload[len(payload)-Size:])
	if first != h.First || last != h.Last {
		return h.errorf("tags from %d to %d ps, the header says %d to %d ps", first, last, h.First, h.Last)
	}
	if at := Disorder(payload); at > 0 {
		return h.errorf("tag %d at %d ps is before its predecessor at %d ps",
			at, le.Uint64(payload[at*Size:]), le.Uint64(payload[(at-1)*Size:]))
	}
	return nil
}

func (h Header) errorf(format string, args ...any) error {
	return fmt.Errorf("check block %d of stream %d: "+format, append([]any{h.Seq, h.Stream}, args...)...)
}

// Block returns the block of this header and payload; call it after
// [Header.Check]. The tags share memory with payload where [AsTags] can, and
// otherwise with scratch.
func (h Header) Block(payload []byte, scratch []uint64) Block {
	return Block{
		Kind: h.Kind, Run: h.Run, Stream: h.Stream, Seq: h.Seq,
		Until: h.Until, Lost: h.Lost, Tags: AsTags(payload, scratch),
	}
}
