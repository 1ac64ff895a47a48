package align

import "slices"

// fewHeld is how many tags are held in memory: 16 MiB. More are in a file.
const fewHeld = 1 << 21

// held are the tags of a part of a record, no time twice. Where they are many
// they lie in a file without a name and are seen through a mapping of it, whose
// pages are let go again and again: so memory does not grow with them, and nothing
// else has to know. Where there is no room for a file they are in memory.
type held struct {
	tags   []uint64
	most   int
	few    int // more are in a file
	file   *spill
	failed bool // there is no file to be had
}

// room prepares for so many tags.
func (h *held) room(n int) {
	n = min(n, h.most)
	if n > h.few && h.file == nil && !h.failed {
		h.spill()
	}
	if h.file != nil || n <= cap(h.tags) {
		return
	}
	if len(h.tags) > 0 {
		n = max(n, min(2*len(h.tags), h.most)) // twice as many: so long a list is dear to move
	}
	h.tags = append(make([]uint64, 0, n), h.tags...) // slices.Grow would touch all of it to clear it
}

// spill moves the tags to a file, if there is one to be had.
func (h *held) spill() {
	file, err := newSpill(h.most)
	if err == nil {
		if err = file.put(0, h.tags); err != nil {
			file.close()
		}
	}
	if h.failed = err != nil; !h.failed {
		h.file, h.tags = file, file.tags[:len(h.tags)]
	}
}

// append takes more tags, of which there are at most as many as may be held.
func (h *held) append(tags []uint64) {
	h.room(len(h.tags) + len(tags))
	if h.file != nil {
		if err := h.file.put(len(h.tags), tags); err == nil {
			h.tags = h.file.tags[:len(h.tags)+len(tags)]
			return
		}
		h.recall(h.tags)
		h.room(len(h.tags) + len(tags))
	}
	h.tags = append(h.tags, tags...)
}

// recall moves parts of the mapping to memory, as all the tags there are, where the file
// takes no more.
func (h *held) recall(parts ...[]uint64) {
	file := h.file
	h.tags, h.file, h.failed = slices.Concat(parts...), nil, true
	file.close()
}

// keep forgets the tags before the first of these.
func (h *held) keep(first int) {
	kept := h.tags[first:]
	if h.file == nil {
		h.tags = append(h.tags[:0], kept...)
		return
	}
	buf := make([]uint64, min(len(kept), 1<<15))
	for done := 0; done < len(kept); {
		n := copy(buf, kept[done:])
		if err := h.file.put(done, buf[:n]); err != nil { // some of it may be written, and over its own source
			h.recall(h.file.tags[:done], buf[:n], kept[done+n:])
			return
		}
		done += n
	}
	h.tags = h.file.tags[:len(kept)]
}

// release ends the mapping: nothing may look at the tags any more.
func (h *held) release() {
	if h.file != nil {
		h.file.close()
	}
	h.tags, h.file = nil, nil
}
