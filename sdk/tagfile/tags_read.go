package tagfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"tsrun/sdk/tag"
	"tsrun/sdk/tagfile/pack"
)

// tagsFile is an open file of format tags: its blocks, from the index or, where
// that is missing, found one after another.
type tagsFile struct {
	*file
	blocks []tagsBlock
	// missing is what reading ends with behind the last whole block; nil for
	// a whole file.
	missing error
	// Of a file that is salvaged: what is damaged, and which blocks are lost.
	header  int64 // bytes of it that are whole
	damaged *Damage
	first   error
	lost    map[int]bool
}

func openTags(f *file) (*tagsFile, error) {
	t := &tagsFile{file: f, header: tagsHeader}
	if err := t.readHeader(); err != nil {
		if !f.salvaging || !errors.As(err, new(*damageError)) {
			return nil, err
		}
		t.header = 0
		t.spoilt(0, errors.Unwrap(err))
		if t.Size() < tagsHeader { // nothing can be behind it
			return t, nil
		}
	}
	if err := t.readIndex(); err != nil {
		t.walk(err)
	}
	return t, nil
}

func (t *tagsFile) readHeader() error {
	start, err := t.head(tagsHeader)
	if err != nil {
		return err
	}
	if n := min(len(start), len(tagsMagic)); string(start[:n]) != tagsMagic[:n] {
		return t.errorf("it begins with %q, a file of tags with %q", start[:n], tagsMagic)
	}
	if len(start) < tagsHeader {
		return t.damagef(0, "it has %d bytes, a file of tags with nothing in it has a header all the same; it is cut off", len(start))
	}
	if crc32.Checksum(start[:12], tag.Castagnoli) != binary.LittleEndian.Uint32(start[12:]) {
		return t.damagef(0, "its header is damaged")
	}
	if v := binary.LittleEndian.Uint32(start[8:]); v < 1 || v > tagsVersion {
		return t.errorf("its version is %d, known are 1 to %d; a newer tsrun wrote it", v, tagsVersion)
	}
	return nil
}

// readIndex reads the index at the end of the file.
func (t *tagsFile) readIndex() error {
	var tail [tagsTail]byte
	if t.Size() < tagsHeader+4+tagsTail {
		return fmt.Errorf("it has no index")
	}
	if _, err := t.ReadAt(tail[:], t.Size()-tagsTail); err != nil {
		return err
	}
	le := binary.LittleEndian
	if string(tail[20:]) != tagsEndMagic {
		return fmt.Errorf("it has no index")
	}
	n, start := le.Uint64(tail[:]), le.Uint64(tail[8:])
	room := uint64(t.Size() - tagsHeader - 4 - tagsTail)
	if n > room/tagsEntry || start != uint64(t.Size())-tagsTail-n*tagsEntry-4 {
		return fmt.Errorf("its index is damaged")
	}
	index := make([]byte, 4+n*tagsEntry+tagsTail)
	if _, err := t.ReadAt(index, int64(start)); err != nil {
		return err
	}
	sum := len(index) - len(tagsEndMagic) - 4
	if le.Uint32(index) != tagsIndexMagic || crc32.Checksum(index[:sum], tag.Castagnoli) != le.Uint32(index[sum:]) {
		return fmt.Errorf("its index is damaged")
	}
	return t.readEntries(index[4:4+n*tagsEntry], int64(start))
}

// readEntries checks that the blocks of the index follow each other up to end.
func (t *tagsFile) readEntries(entries []byte, end int64) error {
	le := binary.LittleEndian
	blocks := make([]tagsBlock, 0, len(entries)/tagsEntry)
	at := int64(tagsHeader)
	for ; len(entries) > 0; entries = entries[tagsEntry:] {
		next := uint64(end)
		if len(entries) > tagsEntry {
			next = le.Uint64(entries[tagsEntry:])
		}
		size := next - uint64(at)
		if le.Uint64(entries) != uint64(at) || next > uint64(end) || size < tagsFrame+pack.HeaderSize || size > tagsFrame+pack.MaxSize {
			return fmt.Errorf("its index contradicts itself at block %d", len(blocks))
		}
		b := tagsBlock{offset: at, size: int(size), channel: int(int32(le.Uint32(entries[8:]))),
			count: int(le.Uint32(entries[12:])), first: le.Uint64(entries[16:]), last: le.Uint64(entries[24:])}
		if b.count < 1 || b.count > pack.MaxTags || b.first > b.last || b.size < tagsFrame+pack.LeastSize(b.count) {
			return fmt.Errorf("its index contradicts itself at block %d", len(blocks))
		}
		blocks = append(blocks, b)
		at = int64(next)
	}
	if at != end {
		return fmt.Errorf("its index contradicts itself: the blocks end at byte %d, it begins at %d", at, end)
	}
	t.blocks = blocks
	return nil
}

// walk finds the blocks one after another, because of what is wrong with the index.
func (t *tagsFile) walk(wrong error) {
	var b [tagsFrame + pack.HeaderSize]byte
	at := int64(tagsHeader)
	for {
		n, err := t.ReadAt(b[:], at)
		if n == len(b) {
			err = nil
		}
		if n >= 4 && binary.LittleEndian.Uint32(b[:]) == tagsIndexMagic {
			t.ends(at, t.errorf("%w; its %d blocks are whole and end at byte %d", wrong, len(t.blocks), at))
			return
		}
		block := tagsBlock{}
		if err == nil {
			block, err = readFrame(b[:], at)
		} else if err == io.EOF {
			err = fmt.Errorf("it ends there")
		}
		if err == nil && block.size > int(min(t.Size()-at, tagsFrame+pack.MaxSize)) {
			err = fmt.Errorf("it ends within block %d, after %d of its %d bytes with %d tags", len(t.blocks), t.Size()-at, block.size, block.count)
		}
		if err != nil {
			t.ends(at, t.errorf("%w; %d blocks are whole, what follows byte %d is missing: %w", wrong, len(t.blocks), at, err))
			next, ok := int64(0), false
			if t.salvaging {
				next, ok = t.resync(at + 1)
			}
			if !ok {
				return
			}
			at = next
			continue
		}
		t.blocks = append(t.blocks, block)
		at += int64(block.size)
	}
}

// ends says why the blocks end. While salvaging, what follows is looked for.
func (t *tagsFile) ends(at int64, why error) {
	if t.salvaging {
		t.spoilt(at, why)
	} else {
		t.missing = &damageError{err: why, at: at}
	}
}

// summary says what the file holds from what is known of its blocks.
func (t *tagsFile) summary() Info {
	info := Info{Format: Tags, Size: t.Size(), Resolution: 1}
	nth := map[int]int{}
	for block, b := range t.blocks {
		if t.lost[block] {
			continue
		}
		i, known := nth[b.channel]
		if !known {
			i = len(info.Channels)
			nth[b.channel] = i
			info.Channels = append(info.Channels, ChannelInfo{Channel: b.channel, First: b.first, Last: b.last})
		}
		c := &info.Channels[i]
		c.Tags += uint64(b.count)
		c.First, c.Last = min(c.First, b.first), max(c.Last, b.last)
	}
	slices.SortFunc(info.Channels, func(a, b ChannelInfo) int { return a.Channel - b.Channel })
	info.Damage = t.found()
	return info
}

// reader reads one channel, or the only one. In a file that is cut off a channel
// may have been in what is missing.
func (t *tagsFile) reader(channel int) (*blockReader, error) {
	there := t.summary().Channels
	if channel == OnlyChannel && len(there) == 1 {
		channel = there[0].Channel
	}
	if len(there) > 0 && t.missing == nil && t.damaged == nil && !slices.ContainsFunc(there, func(c ChannelInfo) bool { return c.Channel == channel }) {
		return nil, t.absent(channel, there)
	}
	r := &blockReader{tagsFile: t, of: ChannelInfo{Channel: channel}}
	first, last := t.limits.first-min(t.limits.first, t.raise), t.limits.last-min(t.limits.last, t.raise)
	for nth, b := range t.blocks {
		if b.channel == channel && b.last >= first && b.first <= last {
			r.todo = append(r.todo, nth)
		}
	}
	return r, nil
}

// blockReader reads the blocks of one channel that touch the limits.
type blockReader struct {
	*tagsFile
	todo   []int // blocks
	packed []byte
	tags   []uint64 // unpacked
	rest   []uint64 // of tags
	of     ChannelInfo
	err    error
}

func (r *blockReader) Info() Info {
	info := Info{Format: Tags, Size: r.Size(), Resolution: 1}
	if r.of.Tags > 0 {
		info.Channels = []ChannelInfo{r.of}
	}
	return info
}

// Left is how many tags the reader still has, if the file is whole.
func (r *blockReader) Left() int {
	n := len(r.rest)
	for _, nth := range r.todo {
		n += r.blocks[nth].count
	}
	return n
}

func (r *blockReader) Next(buf []uint64) (int, error) {
	for len(r.rest) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		if len(r.todo) == 0 {
			if r.err = r.missing; r.err == nil {
				r.err = io.EOF
			}
			return 0, r.err
		}
		nth := r.todo[0]
		if count := r.blocks[nth].count; len(buf) >= count { // straight to where it is wanted
			if _, r.err = r.unpack(nth, buf[:0]); r.err == nil {
				r.todo = r.todo[1:]
				return count, nil
			}
			r.passOver(nth)
			continue
		}
		var tags []uint64
		if tags, r.err = r.unpack(nth, r.tags[:0]); r.err == nil {
			r.tags, r.todo, r.rest = tags, r.todo[1:], tags
		}
		r.passOver(nth)
	}
	n := copy(buf, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// passOver goes on behind a damaged block while salvaging.
func (r *blockReader) passOver(nth int) {
	var d *damageError
	if r.salvaging && errors.As(r.err, &d) {
		r.lose(nth, d.err)
		r.todo, r.err = r.todo[1:], nil
	}
}

// unpack reads a block and proves it against what was said of it.
func (r *blockReader) unpack(nth int, dst []uint64) ([]uint64, error) {
	b := r.blocks[nth]
	r.packed = slices.Grow(r.packed[:0], b.size)[:b.size]
	if _, err := r.ReadAt(r.packed, b.offset); err != nil {
		return nil, readError(r.path, err)
	}
	if at, err := r.Seek(0, io.SeekCurrent); err == nil && at < b.offset { // how far the reading is, as in other formats
		_, _ = r.Seek(b.offset, io.SeekStart)
	}
	found, err := readFrame(r.packed[:tagsFrame+pack.HeaderSize], b.offset)
	if err == nil && found != b {
		err = fmt.Errorf("the block at byte %d is not the one of the index", b.offset)
	}
	if err == nil {
		dst, err = pack.Decode(dst, r.packed[tagsFrame:])
	}
	if err != nil {
		return nil, r.damagef(b.offset, "block %d: %w", nth, err)
	}
	previous, at := r.of.Last, 0
	if dst[0] >= previous { // a block has at least one tag
		if at = tag.Disorder(tag.AsBytes(dst)); at > 0 {
			previous = dst[at-1]
		}
	}
	if dst[at] < previous {
		return nil, r.damagef(b.offset, "block %d: tag %d goes back in time: %d ps after %d ps", nth, at, dst[at], previous)
	}
	if last := dst[len(dst)-1]; last != b.last {
		return nil, r.damagef(b.offset, "block %d ends at %d ps, its frame says %d", nth, last, b.last)
	}
	if r.of.Tags == 0 {
		r.of.First = b.first
	}
	r.of.Tags, r.of.Last = r.of.Tags+uint64(b.count), b.last
	return dst, nil
}

// believed is how many tags there is room made for on the word of a file. A few
// hundred bytes may be 65536 of them, and may be damaged.
const believed = 1 << 24

// recording reads all channels.
func (t *tagsFile) recording() (Recording, error) {
	r := Recording{Info: t.summary(), Channels: map[int][]uint64{}}
	if n := r.Info.Tags(); n > maxInMemory/8 {
		return Recording{}, t.errorf("%d tags are too many to hold in memory, at most %d", n, maxInMemory/8)
	}
	for i, c := range r.Info.Channels {
		reader, err := t.reader(c.Channel)
		if err != nil {
			return Recording{}, err
		}
		tags := make([]uint64, 0, min(c.Tags, max(believed, uint64(t.Size())))) // or up to eight times the file
		for err == nil {
			tags = slices.Grow(tags, reader.upcoming())
			var n int
			n, err = reader.Next(tags[len(tags):cap(tags)])
			tags = tags[:len(tags)+n]
		}
		if err != io.EOF {
			return Recording{}, err
		}
		r.Channels[c.Channel] = tags
		if i == 0 || c.First < r.First {
			r.First = c.First
		}
	}
	return r, t.missing
}

// upcoming is how many tags the next block holds; 1 at the end.
func (r *blockReader) upcoming() int {
	if len(r.todo) == 0 {
		return 1
	}
	return r.blocks[r.todo[0]].count
}
