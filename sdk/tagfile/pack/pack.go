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
	riced    = 128 // a code from here on is of a run in Rice's code
	mostLow  = 40  // bits that differences have in their words there
)

// Append appends the block of 1 to [MaxTags] tags to dst.
func Append(dst []byte, tags []uint64) ([]byte, error) {
	if len(tags) == 0 || len(tags) > MaxTags {
		return dst, fmt.Errorf("pack tags: %d of them, a block holds 1 to %d", len(tags), MaxTags)
	}
	room := rooms.Get().(*room)
	defer rooms.Put(room)
	start, first, count := len(dst), tags[0], uint32(len(tags))
	dst = slices.Grow(dst, HeaderSize+tickSize)[:start+HeaderSize]
	p := plan{}
	if ticks, tick := toTicks(room.ticks[:], tags); tick > 1 {
		p = planRuns(room.codes[:], ticks, true)
		if !p.backwards && (savesTick(tags) || tickSize+p.size() < planRuns(room.others[:], tags, false).size()) {
			tags, count = ticks, count|ticked
			dst = binary.LittleEndian.AppendUint64(dst, tick)
		}
	}
	if count&ticked == 0 {
		p = planRuns(room.codes[:], tags, false)
	}
	dst = p.append(dst, tags)
	block, le := dst[start:], binary.LittleEndian
	le.PutUint32(block[4:], uint32(len(block)))
	le.PutUint64(block[8:], first)
	le.PutUint32(block[16:], count)
	le.PutUint32(block, crc32.Checksum(block[covered:], tag.Castagnoli))
	return dst, nil
}

// savesTick says that a tick is surely shorter than its own eight bytes: a bit
// less for each difference of a run is sixteen. When it is not sure it is false.
func savesTick(tags []uint64) bool { return len(tags) > run && tags[run] > tags[0] }

// plan is how the runs of a block are packed.
type plan struct {
	codes     []byte // of each run
	words     int    // bytes of all runs
	unary     int    // bits behind them
	backwards bool   // some tag runs backwards, or 2^63 forwards
}

// planRuns finds the shortest code of every run; ticks may be in Rice's.
func planRuns(codes []byte, tags []uint64, ticks bool) plan {
	p := plan{codes: codes[:runsOf(len(tags))]}
	for i := range p.codes {
		part := runOf(tags, i)
		w := width(part)
		p.codes[i] = byte(w)
		if w == 64 {
			p.backwards = true
		} else if ticks && len(part) == run+1 {
			if k, unary, fits := rice(part, w); fits {
				w, p.codes[i] = k, byte(riced+k)
				p.unary += unary
			}
		}
		p.words += wordBytes(len(part)-1, uint(w))
	}
	return p
}

// size is how many bytes the runs take, with their codes.
func (p plan) size() int { return len(p.codes) + p.words + (p.unary+63)/64*8 }

// append appends the codes and the runs.
func (p plan) append(dst []byte, tags []uint64) []byte {
	start, size := len(dst), p.size()
	dst = slices.Grow(dst, size+slack)[:start+size]
	copy(dst[start:], p.codes)
	rest := dst[start+len(p.codes) : start+size+slack]
	for i, code := range p.codes {
		part, w := runOf(tags, i), uint(code)
		if code < riced {
			kernels[w].pack(rest, part)
		} else {
			w -= riced
			kernels[w].packLows(rest, part)
		}
		rest = rest[wordBytes(len(part)-1, w):]
	}
	if p.unary == 0 {
		return dst
	}
	u := unaryWriter{words: rest}
	for i, code := range p.codes {
		if code >= riced {
			u = kernels[code-riced].unary(u, runOf(tags, i))
		}
	}
	binary.LittleEndian.PutUint64(u.words, u.word)
	return dst
}

// LeastSize is the length in bytes of the shortest block of count tags.
func LeastSize(count int) int { return HeaderSize + runsOf(count) }

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
	least := LeastSize(int(count))
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
	codes, words := packed[:runs], packed[runs:]
	need, err := checkCodes(h, codes, len(words))
	if err != nil {
		return dst, err
	}
	start := len(dst)
	dst = slices.Grow(dst, h.Count)[:start+h.Count]
	tags := dst[start:]
	tags[0] = h.First
	if h.ticks {
		if err := unpackInTicks(tags, tick, codes, words[:need], words[need:]); err != nil {
			return dst[:start], err
		}
		return dst, nil
	}
	rest, previous := tags[1:], h.First
	for _, code := range codes {
		part, w := rest[:min(run, len(rest))], uint(code)
		previous = kernels[w].unpack(part, previous, words, 1)
		rest, words = rest[len(part):], words[wordBytes(len(part), w):]
	}
	return dst, nil
}

// checkCodes compares the words that the runs need with those that are there.
func checkCodes(h Header, codes []byte, have int) (need int, err error) {
	left, unary := h.Count-1, false
	for i, code := range codes {
		n, w := min(run, left), uint(code)
		switch {
		case h.ticks && n == run && w >= riced && w <= riced+mostLow:
			w, unary = w-riced, true
		case w > 64:
			return 0, fmt.Errorf("unpack tags: run %d has differences of %d bits, at most 64 are possible", i, w)
		}
		need, left = need+wordBytes(n, w), left-n
	}
	if need > have || !unary && need < have {
		return 0, fmt.Errorf("unpack tags: differences take %d bytes, the block has %d", need, have)
	}
	if (have-need)%8 != 0 {
		return 0, fmt.Errorf("unpack tags: %d bytes behind the runs, they are words of 8", have-need)
	}
	return need, nil
}

// runsOf is the number of runs of a block of count tags.
func runsOf(count int) int { return (count - 1 + run - 1) / run }

// runOf is the k-th run of tags, with the tag before it.
func runOf(tags []uint64, k int) []uint64 { return tags[k*run : min((k+1)*run+1, len(tags))] }

// wordBytes is the length in bytes of a run of n differences.
func wordBytes(n int, width uint) int { return (n*int(width) + 63) / 64 * 8 }
