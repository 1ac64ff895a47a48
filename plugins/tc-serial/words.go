package main

import (
	"encoding/binary"
	"math"

	"tsrun/sdk/fifteen"
)

// words takes the stream of 32-bit words of a TDC1 apart. The stream has no
// header and no marks: where a word begins is known from the first byte on,
// until bytes are lost on the way.
//
// Then the words that follow are put together of the bytes of two, and their
// times jump about, or run 256 times fast. So the words are looked at in
// windows: in the right one of the four alignments the time goes forth by far
// the least. A window is given out when the next one is found to be aligned.
// Where that is not so, one cut is looked for that lets the time before it (as
// it was aligned) and behind it (as it is now) go round the least; what cannot
// be told to lie before or behind it is left out and counted as damaged.
//
// Where whole words are lost, the rest is as good as before. That is seen only by
// what a unit has to write: a word by the second mark behind the last one.
//
// Few words an hour fill no window. They are given out when nothing came for a
// while and all that came are whole words.
type words struct {
	emit func(ticks uint64, inputs uint8) // in order of time
	lost func(words uint64, how loss)     // so many words are lost, at least

	buf     []byte // not decided; a word begins at head
	head    int
	ticks   uint64            // of the word before, dummies included
	recent  [holeWords]uint64 // times of the last words
	nth     int
	counted wordCount

	doubtFrom, doubt uint64 // bytes of the stream between which the unit may have kept no words
	due              uint64 // the unit writes a word by this time, in ticks; 0: not known, since words are lost here
	marks            marks

	rest   int // bytes behind the last whole word when nothing came for a while; 0: none
	restAt uint64
	taken  uint64 // bytes
}

// wordCount is what came, for the report.
type wordCount struct {
	Words   uint64 `json:"words"`
	Dummies uint64 `json:"dummies"`
	Cuts    uint64 `json:"cuts,omitempty"`    // places where bytes were lost
	Damaged uint64 `json:"damaged,omitempty"` // words left out there, at least
	Missing uint64 `json:"missing,omitempty"` // words that never came, at least
	Holes   uint64 `json:"holes,omitempty"`   // places where the unit could not keep words, as the line was not read
}

// loss is how words were lost.
type loss int

const (
	lossDamaged loss = iota // bytes were, and what is left of words is left out
	lossMissing             // they never came where the unit has to write one
	lossHole                // the unit could not keep them
)

const (
	wordSize = 4
	window   = 64 // words; of four alignments the right one is then beyond doubt

	shortMask = 1<<fifteen.ShortTimeBits - 1
	// beyondDoubt is how many times less far an alignment lets the time go than
	// the one that was right before, to be right now.
	beyondDoubt = 4
	// tooBig is a step of the time that is looked at twice, in ticks: 67 ms.
	tooBig = fifteen.ShortHalf / 2
	// dense is as far as a few words go at rates where no such step can be, in
	// ticks: 8 ms.
	dense = 1 << 22
	// dense words are looked at so many together.
	denseWords = 4
	// holeWords is how many words take less time than a hole, all together. Words
	// that come by chance leave such a one once in 2^128.
	holeWords = 128
	// unitKeeps is more than a unit keeps while its line takes nothing, with what the
	// kernel does, in bytes.
	unitKeeps = 256 << 10
)

// take takes the next bytes of the stream.
func (w *words) take(b []byte) {
	if w.head > 0 && len(w.buf)+len(b) > cap(w.buf) {
		w.buf = w.buf[:copy(w.buf, w.buf[w.head:])]
		w.head = 0
	}
	w.buf = append(w.buf, b...)
	w.taken += uint64(len(b))
	const two = 2*window*wordSize + wordSize - 1
	for len(w.buf)-w.head >= two {
		next := w.buf[w.head+window*wordSize : w.head+two]
		if by := alignment(next); by > 0 {
			w.cut(w.head+two, by)
			continue
		}
		w.release(window)
	}
}

// suspect says that the unit may have been kept waiting before the bytes that come
// next: a hole in the time of what it and the line had kept by then, or directly behind
// it, is where it could keep no more.
func (w *words) suspect() {
	if w.taken >= w.doubt {
		w.doubtFrom = w.taken
	}
	w.doubt = w.taken + unitKeeps
}

// quiet is called when nothing came for a while.
func (w *words) quiet() {
	rest := (len(w.buf) - w.head) % wordSize
	switch {
	case rest == 0:
		w.settle()
	case w.rest == rest && w.taken > w.restAt:
		// Whole words came since, and still some bytes are too many.
		w.cut(len(w.buf), rest)
		w.settle()
	case w.rest != rest:
		w.rest, w.restAt = rest, w.taken
	}
}

// finish is called at the end of the stream.
func (w *words) finish() {
	if rest := (len(w.buf) - w.head) % wordSize; rest > 0 {
		w.cut(len(w.buf), rest)
	}
	w.settle()
}

// settle gives out all there is, which ends with a whole word.
func (w *words) settle() {
	w.rest = 0
	if by := alignment(w.buf[w.head:]); by > 0 {
		w.cut(len(w.buf), by)
	}
	w.release((len(w.buf) - w.head) / wordSize)
}

// release gives out so many words from head on.
func (w *words) release(n int) {
	for range n {
		word := w.word(w.head)
		w.head += wordSize
		if !word.Dummy() && w.strays(word) {
			w.lose(1)
			continue
		}
		w.pass(step(uint32(w.ticks)&shortMask, word))
		w.overdue(w.ticks)
		w.due = w.marks.due(w.ticks, word.Dummy())
		w.recent[w.nth%len(w.recent)] = w.ticks
		w.nth++
		w.counted.Words++
		if word.Dummy() {
			w.counted.Dummies++
			continue
		}
		w.emit(w.ticks, word.Inputs())
	}
}

// pass lets the time go forth to a word. As far as a hole in a stretch where the unit
// may have kept no words, it says so, unless a loss here is known already.
func (w *words) pass(far uint64) {
	at := w.taken - uint64(len(w.buf)-w.head) // behind the word
	if at > w.doubtFrom && at <= w.doubt && w.due > 0 && w.nth >= holeWords && far > w.since(holeWords) {
		w.counted.Holes++
		w.lost(1, lossHole)
	}
	w.ticks += far
}

// since is how long the last so many words took, in ticks; there were as many.
func (w *words) since(words int) uint64 {
	return w.ticks - w.recent[(w.nth-words)%len(w.recent)]
}

// strays says that an event has no input, or is out of order among dense ones:
// its time is far ahead, or a little behind, and that of the next word is not.
func (w *words) strays(word fifteen.Short) bool {
	before := uint32(w.ticks) & shortMask
	ahead := step(before, word)
	switch {
	case word.Inputs() == 0:
		return true
	case ahead < tooBig || w.nth < denseWords || w.since(denseWords) > dense:
		return false
	case len(w.buf)-w.head < wordSize:
		return ahead > shortMask-dense
	}
	return step(before, w.word(w.head)) < dense
}

func (w *words) word(at int) fifteen.Short {
	return fifteen.Short(binary.LittleEndian.Uint32(w.buf[at:]))
}

func (w *words) lose(n uint64) {
	w.counted.Damaged += n
	w.due = 0
	w.lost(n, lossDamaged)
}

// overdue counts the words that the unit must have written before a time, of
// which none came.
func (w *words) overdue(at uint64) {
	if w.due == 0 || at <= w.due || w.marks != marksKept {
		return
	}
	n := 1 + (at-w.due-1)/fifteen.ShortHalf
	w.counted.Missing += n
	w.lost(n, lossMissing)
}

// latest is the time of the last whole word that came, in ticks, decided or not;
// not ok where that is in doubt.
func (w *words) latest() (ticks uint64, ok bool) {
	ticks = w.ticks
	for at := w.head; at+wordSize <= len(w.buf); at += wordSize {
		word := w.word(at)
		ahead := step(uint32(ticks)&shortMask, word)
		if impossible(word) > 0 || ahead >= shortMask-dense {
			return 0, false
		}
		ticks += ahead
	}
	return ticks, true
}

// step is how far the time goes to a word, in ticks.
func step(before uint32, word fifteen.Short) uint64 {
	return uint64((word.Time() - before) & shortMask)
}

// alignment returns how many bytes behind the first one the words of a piece of
// the stream really begin: 0, unless there is no doubt about another.
func alignment(b []byte) int {
	const few = 16
	n := (len(b) - wordSize + 1) / wordSize
	if n < few/2 || n > few && alignment(b[:few*wordSize+wordSize-1]) == 0 {
		return 0
	}
	best, least := 0, way(b, n)
	limit := least / beyondDoubt
	for by := 1; by < wordSize; by++ {
		if far := way(b[by:], n); far < limit && far < least {
			best, least = by, far
		}
	}
	return best
}

// way is how far the time goes within the first n words of b, in ticks. What is
// no word goes a whole round.
func way(b []byte, n int) uint64 {
	word := fifteen.Short(binary.LittleEndian.Uint32(b))
	far, before := impossible(word), word.Time()
	for at := wordSize; at < n*wordSize; at += wordSize {
		word = fifteen.Short(binary.LittleEndian.Uint32(b[at:]))
		far += step(before, word) + impossible(word)
		before = word.Time()
	}
	return far
}

// impossible is a round for what a unit does not write: neither an event nor a
// dummy.
func impossible(word fifteen.Short) uint64 {
	if !word.Dummy() && word.Inputs() == 0 {
		return shortMask + 1
	}
	return 0
}

// cut finds where in the undecided bytes before end some were lost, when behind
// that place words begin by bytes later. It gives out the words before, counts
// the damage, and goes on behind it.
func (w *words) cut(end, by int) {
	first, behind := cutBetween(w.buf[w.head:end], uint32(w.ticks)&shortMask, by)
	resume := w.head + behind
	w.release(first)
	lost := resume - w.head
	w.head = resume
	w.counted.Cuts++
	w.rest = 0
	w.lose(uint64(lost+wordSize-1) / wordSize)
}

// cutBetween returns how many words as they were aligned lie before the cut, and
// where the first whole word behind it begins.
//
// With equal ends ways differ by whole rounds, so that the shortest way is that
// of all right words and of no wrong one. Places between which it is the same
// cannot be told apart; nor can a word that is put together of two, if its time
// lies between theirs, as without it the way is the same.
func cutBetween(b []byte, before uint32, by int) (first, resume int) {
	n := len(b) / wordSize
	behind := wayBehind(b, by)
	shortest := uint64(math.MaxUint64)
	for _, g := range []int{by, by + wordSize} {
		far, time := uint64(0), before
		for q := 0; q <= n && q*wordSize+g <= len(b); q++ {
			if q > 0 {
				word := fifteen.Short(binary.LittleEndian.Uint32(b[(q-1)*wordSize:]))
				far += step(time, word) + impossible(word)
				time = word.Time()
			}
			total := far
			// Where no word is behind the place, the way ends at the last one all the
			// same, or it would look short.
			if at := min(q*wordSize+g, by+(len(behind)-2)*wordSize); at >= by {
				total += behind[(at-by)/wordSize] + step(time, fifteen.Short(binary.LittleEndian.Uint32(b[at:])))
			}
			switch {
			case total < shortest:
				shortest, first, resume = total, q, q*wordSize+g
			case total == shortest:
				first, resume = min(first, q), max(resume, q*wordSize+g)
			}
		}
	}
	return first, resume
}

// wayBehind is, for each word that begins by bytes later, the way from it to
// the last one.
func wayBehind(b []byte, by int) []uint64 {
	n := (len(b) - by) / wordSize
	far := make([]uint64, n+1)
	for i := n - 1; i >= 0; i-- {
		word := fifteen.Short(binary.LittleEndian.Uint32(b[by+i*wordSize:]))
		far[i] = far[i+1] + impossible(word)
		if i+1 < n {
			far[i] += step(word.Time(), fifteen.Short(binary.LittleEndian.Uint32(b[by+(i+1)*wordSize:])))
		}
	}
	return far
}
