package tagfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"slices"

	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile/pack"
)

// A file of format tags is a header, blocks, and an index. Numbers are
// little-endian; every part has its own CRC-32C.
//
//	header   0  magic, 8 bytes
//	         8  version u32: 2; 1 has no ticks and no code of Rice, see package pack
//	        12  CRC-32C u32 of the 12 bytes before
//
//	block    0  magic u32
//	         4  channel i32
//	         8  last tag u64, ps
//	        16  CRC-32C u32 of the 16 bytes before and the 20 behind
//	        20  the tags, as package pack packs them; its header of 20 bytes
//	            says how long they are, how many, and the first
//
//	index    0  magic u32
//	         4  for each block, in file order: offset u64, channel i32, count
//	            u32, first u64, last u64
//	         .  number of blocks u64, offset of the index u64
//	         .  CRC-32C u32 of the index before it
//	         .  magic of the end, 8 bytes
//
// Blocks follow each other without gaps from the header to the index. The tags
// of a block are in order, and so are the blocks of a channel. Blocks of
// different channels stand in the order in which they became full.
const (
	tagsMagic      = "\x89tags\r\n\x1a"
	tagsEndMagic   = "\x89tend\r\n\x1a"
	tagsVersion    = 2
	tagsHeader     = 16
	tagsBlockMagic = 0x6b6c6274 // "tblk"
	tagsIndexMagic = 0x78646974 // "tidx"
	tagsFrame      = 20
	tagsEntry      = 32
	tagsTail       = 28 // of the index, behind its entries
	// maxHeldTags bounds the tags of all channels that wait for their blocks.
	maxHeldTags = 1 << 22
)

// tagsBlock is what is known of a block without unpacking it.
type tagsBlock struct {
	offset      int64 // of its frame
	size        int   // bytes with the frame
	channel     int
	count       int
	first, last uint64
}

// tagsEncoder packs the tags of every channel in blocks of their own.
type tagsEncoder struct {
	held   map[int]*[]uint64
	tags   int // held, of all channels
	offset int64
	index  []byte // entries
	blocks uint64
}

func newTagsEncoder(encoding) (encoder, error) {
	return &tagsEncoder{held: map[int]*[]uint64{}, offset: tagsHeader}, nil
}

func (e *tagsEncoder) heading() []byte {
	b := binary.LittleEndian.AppendUint32([]byte(tagsMagic), tagsVersion)
	return binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, tag.Castagnoli))
}

func (e *tagsEncoder) append(dst []byte, channel int, tags []uint64) ([]byte, error) {
	if err := checkChannel(channel, math.MinInt32+1, math.MaxInt32); err != nil {
		return dst, err
	}
	held := e.held[channel]
	if held == nil && len(tags) > 0 {
		held = new([]uint64)
		e.held[channel] = held
	}
	for len(tags) > 0 {
		n := min(len(tags), pack.MaxTags-len(*held))
		*held = append(*held, tags[:n]...)
		e.tags += n
		tags = tags[n:]
		if len(*held) == pack.MaxTags {
			var err error
			if dst, err = e.block(dst, channel, *held); err != nil {
				return dst, err
			}
			*held = (*held)[:0]
		}
	}
	if e.tags >= maxHeldTags { // many quiet channels
		return e.flush(dst)
	}
	return dst, nil
}

// flush writes what all channels hold.
func (e *tagsEncoder) flush(dst []byte) ([]byte, error) {
	var channels []int
	for c, held := range e.held {
		if len(*held) > 0 {
			channels = append(channels, c)
		}
	}
	slices.Sort(channels)
	for _, c := range channels {
		var err error
		if dst, err = e.block(dst, c, *e.held[c]); err != nil {
			return dst, err
		}
		delete(e.held, c)
	}
	return dst, nil
}

// block appends one block and its entry in the index.
func (e *tagsEncoder) block(dst []byte, channel int, tags []uint64) ([]byte, error) {
	le, start := binary.LittleEndian, len(dst)
	last := tags[len(tags)-1]
	dst = le.AppendUint32(dst, tagsBlockMagic)
	dst = le.AppendUint32(dst, uint32(int32(channel)))
	dst = le.AppendUint64(dst, last)
	dst = le.AppendUint32(dst, 0)
	dst, err := pack.Append(dst, tags)
	if err != nil {
		return dst, err
	}
	frame := dst[start : start+tagsFrame+pack.HeaderSize]
	le.PutUint32(frame[16:], frameSum(frame))

	e.index = le.AppendUint64(e.index, uint64(e.offset))
	e.index = le.AppendUint32(e.index, uint32(int32(channel)))
	e.index = le.AppendUint32(e.index, uint32(len(tags)))
	e.index = le.AppendUint64(e.index, tags[0])
	e.index = le.AppendUint64(e.index, last)
	e.blocks++
	e.tags -= len(tags)
	e.offset += int64(len(dst) - start)
	return dst, nil
}

// frameSum is the checksum of a frame and the header behind it.
func frameSum(frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[:16], tag.Castagnoli), tag.Castagnoli, frame[tagsFrame:])
}

// finish writes what is held, and the index.
func (e *tagsEncoder) finish(dst []byte) ([]byte, error) {
	dst, err := e.flush(dst)
	if err != nil {
		return dst, err
	}
	le, start := binary.LittleEndian, len(dst)
	dst = le.AppendUint32(dst, tagsIndexMagic)
	dst = append(dst, e.index...)
	dst = le.AppendUint64(dst, e.blocks)
	dst = le.AppendUint64(dst, uint64(e.offset))
	dst = le.AppendUint32(dst, crc32.Checksum(dst[start:], tag.Castagnoli))
	return append(dst, tagsEndMagic...), nil
}

// readFrame understands the first bytes of a block at an offset; b is its frame
// and the header behind it.
func readFrame(b []byte, offset int64) (tagsBlock, error) {
	le := binary.LittleEndian
	if le.Uint32(b) != tagsBlockMagic {
		return tagsBlock{}, fmt.Errorf("no block begins at byte %d", offset)
	}
	if le.Uint32(b[16:]) != frameSum(b) {
		return tagsBlock{}, fmt.Errorf("the block at byte %d is damaged", offset)
	}
	h, err := pack.ReadHeader(b[tagsFrame:])
	if err != nil {
		return tagsBlock{}, fmt.Errorf("the block at byte %d: %w", offset, err)
	}
	return tagsBlock{
		offset: offset, size: tagsFrame + h.Size, channel: int(int32(le.Uint32(b[4:]))),
		count: h.Count, first: h.First, last: le.Uint64(b[8:]),
	}, nil
}

// spoilt notes damage of a file that is salvaged.
func (t *tagsFile) spoilt(at int64, err error) {
	if t.damaged == nil {
		t.damaged = &Damage{}
	}
	if t.damaged.Places == 0 || at < t.damaged.From { // blocks are found before they are read
		t.damaged.From, t.damaged.First, t.first = at, err.Error(), err
	}
	t.damaged.Places++
}

// found is the damage of a file whose blocks are known; nil for a whole one.
func (t *tagsFile) found() *Damage {
	if t.damaged == nil {
		return nil
	}
	d := *t.damaged
	d.Records, d.Bytes = uint64(len(t.blocks)-len(t.lost)), t.header
	for nth, b := range t.blocks {
		if !t.lost[nth] {
			d.Bytes += int64(b.size)
		}
	}
	return &d
}

// resync is where the next block begins whose frame is whole, behind a byte; not
// ok when there is none. Blocks are found by their first bytes.
func (t *tagsFile) resync(from int64) (at int64, ok bool) {
	var mark [4]byte
	binary.LittleEndian.PutUint32(mark[:], tagsBlockMagic)
	buf := make([]byte, min(ioBuffer, t.Size()))
	const frame = tagsFrame + pack.HeaderSize
	for from+frame <= t.Size() {
		n, err := t.ReadAt(buf, from)
		if n < frame || err != nil && err != io.EOF {
			return 0, false
		}
		for next := 0; ; next++ {
			i := bytes.Index(buf[next:n], mark[:])
			if i < 0 || next+i+frame > n {
				break
			}
			next += i
			block, err := readFrame(buf[next:next+frame], from+int64(next))
			if err == nil && int64(block.size) <= t.Size()-block.offset {
				return block.offset, true
			}
		}
		from += int64(n - frame + 1)
	}
	return 0, false
}

// lose takes a block out of what is whole, while salvaging.
func (t *tagsFile) lose(nth int, err error) {
	if t.lost == nil {
		t.lost = map[int]bool{}
	}
	if !t.lost[nth] {
		t.lost[nth] = true
		t.spoilt(t.blocks[nth].offset, err)
	}
}

// prove reads all blocks, so that those that are damaged are known, and leaves
// them out of the summary.
func (t *tagsFile) prove() error {
	for _, c := range t.summary().Channels {
		r, err := t.reader(c.Channel)
		if err != nil {
			return err
		}
		buf := make([]uint64, pack.MaxTags)
		for err == nil {
			_, err = r.Next(buf)
		}
		if err != io.EOF && !errors.Is(err, t.missing) {
			return err
		}
	}
	return nil
}
