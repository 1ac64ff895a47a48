package pack

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// Rice's code of a number is its lowest k bits as they are and the rest in unary:
// as many 0, then a 1 (R. F. Rice 1979, JPL publication 79-22; S. W. Golomb 1966).
// For the time between tags of a Poisson source it takes 0.1 bit more than the
// entropy, where a width for the largest of 128 takes 1.5 bits more: little of the
// 25 bits of a time in ps, much of the 13 of one in ticks. To unpack it takes two
// to three times as long, which devices that make so many tags in ps would feel.

// rice returns the k of the shortest code of a run, and how many bits its unary
// part has; fits is false when the run is as short in w bits a difference. The
// tags are in order.
func rice(part []uint64, w int) (k, unary int, fits bool) {
	n, sum := len(part)-1, part[len(part)-1]-part[0]
	mean := bits.Len64(sum / uint64(n))
	if w <= mean { // k and at least a bit each: the code is as long as the mean
		return 0, 0, false
	}
	k = min(max(mean-2, 0), mostLow-2) // the best is one of three, most often
	for {
		above := kernels[k].quotients(part)
		size := func(i int) uint64 { return uint64(n*(k+i+1)) + above[i] }
		best := 0
		for i := 1; i < len(above); i++ {
			if size(i) < size(best) {
				best = i
			}
		}
		switch { // the size is convex in k
		case best == 0 && k > 0:
			k--
		case best == 2 && k < mostLow-2:
			k++
		default:
			return k + best, n + int(above[best]), size(best) < uint64(n*w)
		}
	}
}

// quotients sums what is above the lowest W bits of all differences, above
// W+1 and above W+2.
func quotients[W widths](tags []uint64) [3]uint64 {
	var array W
	var a, b, c uint64
	previous := tags[0]
	for _, t := range tags[1:] {
		q := (t - previous) >> len(array)
		previous = t
		a += q
		b += q >> 1
		c += q >> 2
	}
	return [3]uint64{a, b, c}
}

// unaryWriter writes whole words.
type unaryWriter struct {
	words []byte // behind those that are written
	word  uint64
	fill  uint64 // bits of word
}

// putUnary writes what is above the lowest W bits of the differences of tags.
func putUnary[W widths](u unaryWriter, tags []uint64) unaryWriter {
	var array W
	words, word, fill, previous := u.words, u.word, u.fill, tags[0]
	for _, t := range tags[1:] {
		fill += (t - previous) >> len(array)
		previous = t
		for fill >= 64 {
			binary.LittleEndian.PutUint64(words, word)
			words, word, fill = words[8:], 0, fill-64
		}
		word |= 1 << (fill & 63)
		fill++
	}
	return unaryWriter{words, word, fill}
}

// unary reads what an unaryWriter wrote.
type unary struct {
	words []byte
	at    uint // bits read
}

// raise adds to tags, in which the lowest bits of differences are summed, what is
// above those: so many steps. It is false where the words end before.
func (u *unary) raise(tags []uint64, step uint64) bool {
	above := uint64(0)
	for len(tags) > 0 {
		n := 0
		if n, above = u.eights(tags, step, above); n == 0 {
			zeros, ok := u.next()
			if !ok {
				return false
			}
			above += zeros
			tags[0] += above * step
			n = 1
		}
		tags = tags[n:]
	}
	return true
}

// eights does it for eight at a time as long as one load has as many 1. It returns
// how many it did, and what is above the lowest bits of the last.
func (u *unary) eights(tags []uint64, step, above uint64) (n int, _ uint64) {
	words, at := u.words, u.at
	for ; len(tags) >= 8 && at/8+8 <= uint(len(words)); n += 8 {
		t, a := tags[:8], binary.LittleEndian.Uint64(words[at/8:])>>(at%8)
		b := a & (a - 1)
		c := b & (b - 1)
		d := c & (c - 1)
		e := d & (d - 1)
		f := e & (e - 1)
		g := f & (f - 1)
		h := g & (g - 1)
		if h == 0 {
			break
		}
		t[0] += (above + zeros(a)) * step
		t[1] += (above + zeros(b) - 1) * step
		t[2] += (above + zeros(c) - 2) * step
		t[3] += (above + zeros(d) - 3) * step
		t[4] += (above + zeros(e) - 4) * step
		t[5] += (above + zeros(f) - 5) * step
		t[6] += (above + zeros(g) - 6) * step
		last := zeros(h)
		above += last - 7
		t[7] += above * step
		at += uint(last) + 1
		tags = tags[8:]
	}
	u.at = at
	return n, above
}

// zeros is how many 0 are before the first 1. The highest bit is set for a word
// that has none; the compiler then needs no test.
func zeros(word uint64) uint64 { return uint64(bits.TrailingZeros64(word | 1<<63)) }

// next returns how many 0 are before the next 1.
func (u *unary) next() (n uint64, ok bool) {
	for u.at/64*8 < uint(len(u.words)) {
		word := binary.LittleEndian.Uint64(u.words[u.at/64*8:]) >> (u.at % 64)
		if word != 0 {
			u.at += uint(zeros(word)) + 1
			return n + zeros(word), true
		}
		n += uint64(64 - u.at%64)
		u.at += 64 - u.at%64
	}
	return 0, false
}

// end checks that all has been read, but for the 0 that fill the last word.
func (u *unary) end() error {
	read := (u.at + 63) / 64 * 8
	if _, more := (&unary{u.words, u.at}).next(); more || read != uint(len(u.words)) {
		return fmt.Errorf("unpack tags: the block goes on behind its last run: %d of %d bytes there are read", read, len(u.words))
	}
	return nil
}
