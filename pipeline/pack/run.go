package pack

import (
	"encoding/binary"
	"math/bits"
)

// width is the number of bits of the largest difference of tags. Four
// differences a turn are independent of each other, which makes it four times
// as fast as one.
func width(tags []uint64) int {
	previous, tags := tags[0], tags[1:]
	var a, b, c, d uint64
	for len(tags) >= 4 {
		a |= tags[0] - previous
		b |= tags[1] - tags[0]
		c |= tags[2] - tags[1]
		d |= tags[3] - tags[2]
		previous, tags = tags[3], tags[4:]
	}
	for _, t := range tags {
		a |= t - previous
		previous = t
	}
	return bits.Len64(a | b | c | d)
}

// packRun fills words with the differences of tags, of which each has at most
// width bits. Two that fit a word together are packed as one, because the work
// is per packing. Inlined, it would not have the registers it needs.
//
//go:noinline
func packRun(words []byte, tags []uint64, width uint) {
	previous, tags := tags[0], tags[1:]
	var word uint64 // what is not in words yet, from its lowest bit
	var fill uint   // bits of it
	for width <= 32 && len(tags) >= 2 {
		pair := tags[0] - previous | (tags[1]-tags[0])<<(width&63)
		previous, tags = tags[1], tags[2:]
		word |= pair << (fill & 63)
		fill += 2 * width
		if fill >= 64 {
			binary.LittleEndian.PutUint64(words, word)
			words = words[8:]
			fill -= 64
			word = pair >> (2*width - fill)
		}
	}
	for _, t := range tags {
		d := t - previous
		previous = t
		word |= d << (fill & 63)
		fill += width
		if fill >= 64 {
			binary.LittleEndian.PutUint64(words, word)
			words = words[8:]
			fill -= 64
			word = d >> (width - fill)
		}
	}
	if fill > 0 {
		binary.LittleEndian.PutUint64(words, word)
	}
}

// widest is the width up to which a difference that begins within a byte ends
// within the eight bytes from there, so that one load fetches it; two of at
// most half of it are fetched together.
const widest = 57

// unpackRun fills tags, at most a run, from the differences at the start of
// words, which holds at least all of them, and returns the last tag.
func unpackRun(tags []uint64, previous uint64, words []byte, width uint) uint64 {
	if width > widest {
		return unpackWide(tags, previous, words, width)
	}
	if n := wordBytes(len(tags), width); len(words) < n+8 {
		var room [widest*run/8 + 8]byte // the loads of a block's last differences end behind it
		copy(room[:], words[:n])
		words = room[:]
	}
	mask := uint64(1)<<width - 1
	at := uint(0)
	for width <= widest/2 && len(tags) >= 4 {
		x := binary.LittleEndian.Uint64(words[at>>3:]) >> (at & 7)
		at += 2 * width
		y := binary.LittleEndian.Uint64(words[at>>3:]) >> (at & 7)
		at += 2 * width
		first, third := x&mask, y&mask
		second := first + x>>(width&63)&mask
		fourth := third + y>>(width&63)&mask
		tags[0] = previous + first
		tags[1] = previous + second
		previous += second
		tags[2] = previous + third
		previous += fourth
		tags[3] = previous
		tags = tags[4:]
	}
	for i := range tags {
		previous += binary.LittleEndian.Uint64(words[at>>3:]) >> (at & 7) & mask
		tags[i] = previous
		at += width
	}
	return previous
}

// unpackWide is unpackRun for differences that may reach into a second word.
func unpackWide(tags []uint64, previous uint64, words []byte, width uint) uint64 {
	mask := ^uint64(0) >> (64 - width)
	at := uint(0)
	for i := range tags {
		from := words[at>>6<<3:]
		d := binary.LittleEndian.Uint64(from) >> (at & 63)
		if at&63+width > 64 {
			d |= binary.LittleEndian.Uint64(from[8:]) << (64 - at&63)
		}
		previous += d & mask
		tags[i] = previous
		at += width
	}
	return previous
}
