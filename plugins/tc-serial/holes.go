package main

// holes finds where a device could not write as nobody read what it wrote: behind a line, or
// a pipe, that was full, a hole in the time that is longer than the last words took
// together. Of a TDC1, whose words are decided later than they come, words.go does the same.
type holes struct {
	doubt  int               // bytes to come between which the device may have been kept waiting
	recent [holeWords]uint64 // times of the last words
	passed int               // so many
}

// suspect says that the device may have been kept waiting within the bytes that come.
func (h *holes) suspect(keeps int) { h.doubt = keeps }

// at takes the time of the next word, of so many bytes, and reports a hole before it. Times
// do not go back.
func (h *holes) at(time uint64, bytes int) (hole bool) {
	if h.passed >= holeWords && h.doubt > 0 {
		before := h.recent[(h.passed-1)%holeWords]
		hole = time-before > before-h.recent[h.passed%holeWords]
	}
	h.recent[h.passed%holeWords] = time
	h.passed++
	h.doubt -= min(h.doubt, bytes)
	return hole
}
