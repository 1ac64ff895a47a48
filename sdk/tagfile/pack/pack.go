package pack

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	"tsrun/sdk/tag"
)

const (
	// MaxTags bounds the tags of one block.
	MaxTags = 1 << 16
	// HeaderSize is how many bytes tell the length of a block.
	HeaderSize = 20
	// MaxSize is the length in bytes of the longest block.
	MaxSize = HeaderSize + MaxTags/run + (MaxTags-1)*8

	run      = 128     // differences that share a width
	covered  = 4       // where the bytes begin that the checksum covers
	ticked   = 1 << 31 // in the count: a tick follows the header
	tickSize = 8
)

// Append appends the block of 1 to [MaxTags] tags to dst.
func Append(dst []byte, tags []uint64) ([]byte, error) {
	if len(tags) == 0 || len(tags) > MaxTags {
		return dst, fmt.Errorf("pack tags: %d of them, a block holds 1 to %d", len(tags), MaxTags)
	}
	start, count := len(dst), uint32(len(tags))
	dst = slices.Grow(dst, HeaderSize+tickSize)[:start+HeaderSize]
	first := tags[0]
	if tick := tickOf(tags); tick > 1 {
		room := rooms.Get().(*[MaxTags]uint64)
		defer rooms.Put(room)
		if ticks := inTicks(room[:0], tags, tick); tickSize+packedSize(ticks) < packedSize(tags) {
			tags, count = ticks, count|ticked
			dst = binary.LittleEndian.AppendUint64(dst, tick)
		}
	}
	dst = appendRuns(dst, tags)
	block, le := dst[start:], binary.LittleEndian
	le.PutUint32(block[4:], uint32(len(block)))
	le.PutUint64(block[8:], first)
	le.PutUint32(block[16:], count)
	le.PutUint32(block, crc32.Checksum(block[covered:], tag.Castagnoli))
	return dst, nil
}

// packedSize is how many bytes the differences take.
func packedSize(tags []uint64) (bytes int) {
	for k := range runsOf(len(tags)) {
		part := runOf(tags, k)
		bytes += wordBytes(len(part)-1, uint(width(part)))
	}
	return bytes
}

// appendRuns appends the widths of all differences and the differences.
func appendRuns(dst []byte, tags []uint64) []byte {
	start, at := len(dst), runsOf(len(tags))
	dst = slices.Grow(dst, at)[:start+at]
	size := at
	for k := range runsOf(len(tags)) {
		part := runOf(tags, k)
		w := width(part)
		dst[start+k] = byte(w)
		size += wordBytes(len(part)-1, uint(w))
	}
	dst = slices.Grow(dst, size-at+slack)[:start+size]
	runs := dst[start:]
	for k := range runsOf(len(tags)) {
		part, w := runOf(tags, k), uint(runs[k])
		words := runs[at : size+slack]
		if w <= widest {
			kernels[w].pack(words, part)
		} else {
			packRest(words, part, 0, w)
		}
		at += wordBytes(len(part)-1, w)
	}
	return dst
}

// Header is what the first bytes of a block say.
type Header struct {
	Size  int    // bytes of the whole block
	First uint64 // ps
	Count int    // tags
	ticks bool   // differences are in ticks
}

// ReadHeader reads the first [HeaderSize] bytes of a block. Only [Decode] tells
// whether they are undamaged; until then Size and Count are merely possible.
func ReadHeader(block []byte) (Header, error) {
	if len(block) < HeaderSize {
		return Header{}, fmt.Errorf("unpack tags: the block ends after %d bytes, within its header of %d", len(block), HeaderSize)
	}
	le := binary.LittleEndian
	size, count := le.Uint32(block[4:]), le.Uint32(block[16:])
	ticks := count&ticked != 0
	if count &^= ticked; count == 0 || count > MaxTags {
		return Header{}, fmt.Errorf("unpack tags: the block says %d tags, it holds 1 to %d", le.Uint32(block[16:]), MaxTags)
	}
	least := HeaderSize + runsOf(int(count))
	if ticks {
		least += tickSize
	}
	if most := least + 8*int(count-1); int64(size) < int64(least) || int64(size) > int64(most) {
		return Header{}, fmt.Errorf("unpack tags: the block says %d bytes, %d tags take %d to %d", size, count, least, most)
	}
	return Header{Size: int(size), First: le.Uint64(block[8:]), Count: int(count), ticks: ticks}, nil
}

// Decode appends the tags of a block to dst. The block is exactly its own
// length, see [Header]; any other, and one that is damaged, is an error.
func Decode(dst []uint64, block []byte) ([]uint64, error) {
	h, err := ReadHeader(block)
	if err != nil {
		return dst, err
	}
	if len(block) != h.Size {
		return dst, fmt.Errorf("unpack tags: %d bytes for a block of %d", len(block), h.Size)
	}
	if got, want := crc32.Checksum(block[covered:], tag.Castagnoli), binary.LittleEndian.Uint32(block); got != want {
		return dst, fmt.Errorf("unpack tags: checksum %08x, want %08x; the block was damaged", got, want)
	}
	packed, tick := block[HeaderSize:], uint64(1)
	if h.ticks {
		if tick, packed = binary.LittleEndian.Uint64(packed), packed[tickSize:]; tick < 2 {
			return dst, fmt.Errorf("unpack tags: the block says a tick of %d ps, at least 2 are possible", tick)
		}
	}
	runs := runsOf(h.Count)
	widths, words := packed[:runs], packed[runs:]
	if err := checkWidths(h.Count, widths, len(words)); err != nil {
		return dst, err
	}
	start := len(dst)
	dst = slices.Grow(dst, h.Count)[:start+h.Count]
	tags := dst[start:]
	previous := h.First
	if h.ticks {
		previous = 0
	}
	tags[0] = previous
	rest := tags[1:]
	for _, w := range widths {
		part := rest[:min(run, len(rest))]
		if w <= widest {
			previous = kernels[w].unpack(part, previous, words)
		} else {
			previous = unpackRest(part, previous, words, 0, uint(w))
		}
		rest, words = rest[len(part):], words[wordBytes(len(part), uint(w)):]
	}
	if h.ticks && !inPicoseconds(tags, h.First, tick) {
		return dst[:start], fmt.Errorf("unpack tags: %d ticks of %d ps after %d ps are beyond 2^64 ps", slices.Max(tags), tick, h.First)
	}
	return dst, nil
}

// checkWidths compares the words that the runs need with those that are there.
func checkWidths(count int, widths []byte, have int) error {
	need, left := 0, count-1
	for k, w := range widths {
		if w > 64 {
			return fmt.Errorf("unpack tags: run %d has differences of %d bits, at most 64 are possible", k, w)
		}
		n := min(run, left)
		need, left = need+wordBytes(n, uint(w)), left-n
	}
	if need != have {
		return fmt.Errorf("unpack tags: differences take %d bytes, the block has %d", need, have)
	}
	return nil
}

// runsOf is the number of runs of a block of count tags.
func runsOf(count int) int { return (count - 1 + run - 1) / run }

// runOf is the k-th run of tags, with the tag before it.
func runOf(tags []uint64, k int) []uint64 { return tags[k*run : min((k+1)*run+1, len(tags))] }

// wordBytes is the length in bytes of a run of n differences.
func wordBytes(n int, width uint) int { return (n*int(width) + 63) / 64 * 8 }
