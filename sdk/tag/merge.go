package tag

import "io"

// mergeBuffer is how many tags of each source a merge holds.
const mergeBuffer = 4096

// Merger yields the tags of several sources as one sequence by time.
type Merger struct {
	heads   []*head // sources that have tags left: a heap, the earliest first
	started bool    // the heads are filled
	limit   uint64  // the first head may go on up to here without a look at the others
	err     error
}

// head is the place a source has reached.
type head struct {
	source int
	reader Reader
	buf    []uint64
	tags   []uint64 // left in buf; never empty while in the heap
}

// Merge merges readers by time. Tags of one time come in the order of the
// readers; the readers' own order is kept.
func Merge(readers ...Reader) *Merger {
	m := &Merger{}
	for i, r := range readers {
		m.heads = append(m.heads, &head{source: i, reader: r})
	}
	return m
}

// Next fills buf with the tags that come next, as many as follow each other from
// one reader, and returns how many these are, at least one, and the index of the
// reader; io.EOF when all readers are at their end. The first error of a reader
// ends the merge.
func (m *Merger) Next(buf []uint64) (n, source int, err error) {
	if m.err != nil {
		return 0, 0, m.err
	}
	if !m.started {
		if m.err = m.start(); m.err != nil {
			return 0, 0, m.err
		}
	}
	h := m.heads[0]
	most := min(len(buf), len(h.tags))
	for n = 1; n < most && h.tags[n] <= m.limit; {
		n++
	}
	copy(buf, h.tags[:n])
	if h.tags = h.tags[n:]; len(h.tags) == 0 || h.tags[0] > m.limit {
		m.err = m.advance(h)
	}
	return n, h.source, nil
}

// start reads the first tags of every source.
func (m *Merger) start() error {
	m.started = true
	all := m.heads
	m.heads = make([]*head, 0, len(all))
	for _, h := range all {
		h.buf = make([]uint64, mergeBuffer)
		switch err := h.fill(); err {
		case nil:
			m.heads = append(m.heads, h)
		case io.EOF:
		default:
			return err
		}
	}
	for i := len(m.heads)/2 - 1; i >= 0; i-- {
		m.sink(i)
	}
	return m.setLimit()
}

// advance puts the first head, which has moved, in its new place.
func (m *Merger) advance(h *head) error {
	if len(h.tags) == 0 {
		switch err := h.fill(); err {
		case nil:
		case io.EOF:
			last := len(m.heads) - 1
			m.heads[0], m.heads = m.heads[last], m.heads[:last]
		default:
			return err
		}
	}
	m.sink(0)
	return m.setLimit()
}

func (h *head) fill() error {
	n, err := h.reader.Next(h.buf)
	h.tags = h.buf[:n]
	if n == 0 && err == nil {
		return io.ErrNoProgress
	}
	if n > 0 {
		return nil
	}
	return err
}

// setLimit finds how far the first head is surely first: up to the earliest of
// the others, and not including it when the other comes first among equals.
func (m *Merger) setLimit() error {
	if len(m.heads) == 0 {
		return io.EOF
	}
	m.limit = 1<<64 - 1
	for i := 1; i < min(3, len(m.heads)); i++ { // the second is a child of the first
		other := m.heads[i]
		limit := other.tags[0]
		if other.source < m.heads[0].source {
			limit-- // it is later than the first head's tag, so it is not 0
		}
		m.limit = min(m.limit, limit)
	}
	return nil
}

// sink moves the head at place i behind all below it that come first. There is
// one such move for every few tags, so the heap is no heap.Interface.
func (m *Merger) sink(i int) {
	s := m.heads
	if i >= len(s) {
		return
	}
	h := s[i]
	for {
		child := 2*i + 1
		if child+1 < len(s) && s[child+1].before(s[child]) {
			child++
		}
		if child >= len(s) || !s[child].before(h) {
			break
		}
		s[i], i = s[child], child
	}
	s[i] = h
}

// before orders heads by time, then by source.
func (h *head) before(o *head) bool {
	a, b := h.tags[0], o.tags[0]
	return a < b || a == b && h.source < o.source
}
