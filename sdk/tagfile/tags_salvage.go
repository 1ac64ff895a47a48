package tagfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"tsrun/sdk/tagfile/pack"
)

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
	buf := make([]byte, ioBuffer)
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
