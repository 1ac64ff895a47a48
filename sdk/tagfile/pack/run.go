package pack

import (
	"encoding/binary"
	"math/bits"

	"tsrun/sdk/tag"
)

// widest is the width up to which a difference that begins within a byte ends
// within the eight bytes from there, so that one load fetches it.
const widest = 57

// widths are numbers of bits as types: the lengths of these arrays. A function
// of one is compiled for each, and there the width is a constant, which makes
// its shifts twice as fast.
type widths interface {
	[0]byte | [1]byte | [2]byte | [3]byte | [4]byte | [5]byte | [6]byte | [7]byte | [8]byte | [9]byte |
		[10]byte | [11]byte | [12]byte | [13]byte | [14]byte | [15]byte | [16]byte | [17]byte | [18]byte | [19]byte |
		[20]byte | [21]byte | [22]byte | [23]byte | [24]byte | [25]byte | [26]byte | [27]byte | [28]byte | [29]byte |
		[30]byte | [31]byte | [32]byte | [33]byte | [34]byte | [35]byte | [36]byte | [37]byte | [38]byte | [39]byte |
		[40]byte | [41]byte | [42]byte | [43]byte | [44]byte | [45]byte | [46]byte | [47]byte | [48]byte | [49]byte |
		[50]byte | [51]byte | [52]byte | [53]byte | [54]byte | [55]byte | [56]byte | [57]byte |
		[58]byte | [59]byte | [60]byte | [61]byte | [62]byte | [63]byte | [64]byte
}

// scales say as types, like widths, whether differences are in ps or in ticks.
type (
	scales  interface{ inPs | inTicks }
	inPs    [0]byte
	inTicks [1]byte
)

// kernel packs and unpacks runs of one width; packLows and the last two are of Rice's
// code with as many lowest bits, which has no more than mostLow.
type kernel struct {
	pack        func(words []byte, tags []uint64)
	packLows    func(words []byte, tags []uint64)
	unpack      func(tags []uint64, previous uint64, words []byte, tick uint64) uint64
	unpackTicks func(tags []uint64, previous uint64, words []byte, tick uint64) uint64
	quotients   func(tags []uint64) [3]uint64
	unary       func(w unaryWriter, tags []uint64) unaryWriter
}

func kernelOf[W widths]() kernel {
	var array W
	w := uint(len(array))
	if w <= widest {
		return kernel{packRun[W, whole], packRun[W, lows], unpackRun[W, inPs], unpackRun[W, inTicks], quotients[W], putUnary[W]}
	}
	unpack := func(tags []uint64, previous uint64, words []byte, tick uint64) uint64 {
		return unpackRest(tags, previous, words, 0, w, tick)
	}
	return kernel{pack: func(words []byte, tags []uint64) { packRest(words, tags, 0, w) }, unpack: unpack, unpackTicks: unpack}
}

var kernels = [65]kernel{
	kernelOf[[0]byte](), kernelOf[[1]byte](), kernelOf[[2]byte](), kernelOf[[3]byte](), kernelOf[[4]byte](),
	kernelOf[[5]byte](), kernelOf[[6]byte](), kernelOf[[7]byte](), kernelOf[[8]byte](), kernelOf[[9]byte](),
	kernelOf[[10]byte](), kernelOf[[11]byte](), kernelOf[[12]byte](), kernelOf[[13]byte](), kernelOf[[14]byte](),
	kernelOf[[15]byte](), kernelOf[[16]byte](), kernelOf[[17]byte](), kernelOf[[18]byte](), kernelOf[[19]byte](),
	kernelOf[[20]byte](), kernelOf[[21]byte](), kernelOf[[22]byte](), kernelOf[[23]byte](), kernelOf[[24]byte](),
	kernelOf[[25]byte](), kernelOf[[26]byte](), kernelOf[[27]byte](), kernelOf[[28]byte](), kernelOf[[29]byte](),
	kernelOf[[30]byte](), kernelOf[[31]byte](), kernelOf[[32]byte](), kernelOf[[33]byte](), kernelOf[[34]byte](),
	kernelOf[[35]byte](), kernelOf[[36]byte](), kernelOf[[37]byte](), kernelOf[[38]byte](), kernelOf[[39]byte](),
	kernelOf[[40]byte](), kernelOf[[41]byte](), kernelOf[[42]byte](), kernelOf[[43]byte](), kernelOf[[44]byte](),
	kernelOf[[45]byte](), kernelOf[[46]byte](), kernelOf[[47]byte](), kernelOf[[48]byte](), kernelOf[[49]byte](),
	kernelOf[[50]byte](), kernelOf[[51]byte](), kernelOf[[52]byte](), kernelOf[[53]byte](), kernelOf[[54]byte](),
	kernelOf[[55]byte](), kernelOf[[56]byte](), kernelOf[[57]byte](), kernelOf[[58]byte](), kernelOf[[59]byte](),
	kernelOf[[60]byte](), kernelOf[[61]byte](), kernelOf[[62]byte](), kernelOf[[63]byte](), kernelOf[[64]byte](),
}

// width is the number of bits of the largest difference of tags.
func width(tags []uint64) int { return bits.Len64(tag.OrSteps(tags)) }

// slack is how many bytes behind its own a run may be packed over.
const slack = 8

// parts say as types whether differences are packed whole, none of them wider than
// the width, or their lowest bits.
type (
	parts interface{ whole | lows }
	whole [0]byte
	lows  [1]byte
)

// lowest is what is packed of a difference.
func lowest[P parts](d, mask uint64) uint64 {
	var array P
	if len(array) == 0 {
		return d
	}
	return d & mask
}

// packRun fills words with the differences of tags, or their lowest W bits. Eight of
// them at a time, because these end where a byte does.
func packRun[W widths, P parts](words []byte, tags []uint64) {
	var array W
	w, at := uint(len(array)), uint(0)
	mask := uint64(1)<<w - 1
	for ; len(tags) > 8; at += w {
		t, out := tags[:9], words[at:at+w+slack]
		word := push(out, 0, lowest[P](t[1]-t[0], mask), 0, w)
		word = push(out, word, lowest[P](t[2]-t[1], mask), w, w)
		word = push(out, word, lowest[P](t[3]-t[2], mask), 2*w, w)
		word = push(out, word, lowest[P](t[4]-t[3], mask), 3*w, w)
		word = push(out, word, lowest[P](t[5]-t[4], mask), 4*w, w)
		word = push(out, word, lowest[P](t[6]-t[5], mask), 5*w, w)
		word = push(out, word, lowest[P](t[7]-t[6], mask), 6*w, w)
		word = push(out, word, lowest[P](t[8]-t[7], mask), 7*w, w)
		binary.LittleEndian.PutUint64(out[8*w/64*8:], word)
		tags = tags[8:]
	}
	packRest(words, tags, 8*at, w)
}

// push adds a difference to the word that holds the bits before at, writes the
// word if that fills it, and returns what is not written.
func push(out []byte, word, d uint64, at, w uint) uint64 {
	word |= d << (at % 64)
	if at%64+w < 64 {
		return word
	}
	binary.LittleEndian.PutUint64(out[at/64*8:], word)
	return d >> (64 - at%64)
}

// packRest packs the lowest bits of differences of any width one by one, from bit at on, and
// clears what is left of the last word.
func packRest(words []byte, tags []uint64, at, w uint) {
	le, mask := binary.LittleEndian, ^uint64(0)>>(64-w)
	for i := 1; i < len(tags); i++ {
		d, from, fill := (tags[i]-tags[i-1])&mask, words[at/64*8:], at%64
		le.PutUint64(from, le.Uint64(from)&(1<<fill-1)|d<<fill)
		if fill+w > 64 {
			le.PutUint64(from[8:], d>>(64-fill))
		}
		at += w
	}
	if fill := at % 64; fill > 0 {
		last := words[at/64*8:]
		le.PutUint64(last, le.Uint64(last)&(1<<fill-1))
	}
}

// unpackRun fills tags, at most a run, from the differences at the start of
// words, which holds at least all of them, and returns the last tag. Those in ps
// have a tick of 1.
func unpackRun[W widths, S scales](tags []uint64, previous uint64, words []byte, tick uint64) uint64 {
	var array W
	w, at := uint(len(array)), uint(0)
	mask := uint64(1)<<w - 1
	for ; len(tags) >= 8 && uint(len(words)) >= at+w+8; at += w {
		t, in := tags[:8], words[at:at+w+8]
		a := previous + scale[S](pull(in, 0)&mask, tick)
		b := scale[S](pull(in, w)&mask, tick)
		c := b + scale[S](pull(in, 2*w)&mask, tick)
		t[0], t[1], t[2] = a, a+b, a+c
		d := a + c + scale[S](pull(in, 3*w)&mask, tick)
		e := scale[S](pull(in, 4*w)&mask, tick)
		f := e + scale[S](pull(in, 5*w)&mask, tick)
		t[3], t[4], t[5] = d, d+e, d+f
		g := scale[S](pull(in, 6*w)&mask, tick)
		h := g + scale[S](pull(in, 7*w)&mask, tick)
		previous = d + f + h
		t[6], t[7] = d+f+g, previous
		tags = tags[8:]
	}
	return unpackRest(tags, previous, words, 8*at, w, tick)
}

// scale makes ps of a difference.
func scale[S scales](d, tick uint64) uint64 {
	var array S
	if len(array) == 0 {
		return d
	}
	return d * tick
}

// pull loads what begins at a bit.
func pull(in []byte, at uint) uint64 { return binary.LittleEndian.Uint64(in[at/8:]) >> (at % 8) }

// unpackRest unpacks differences of any width one by one, from bit at on.
func unpackRest(tags []uint64, previous uint64, words []byte, at, w uint, tick uint64) uint64 {
	mask := ^uint64(0) >> (64 - w)
	for i := range tags {
		if w > 0 {
			from := words[at/64*8:]
			d := binary.LittleEndian.Uint64(from) >> (at % 64)
			if at%64+w > 64 {
				d |= binary.LittleEndian.Uint64(from[8:]) << (64 - at%64)
			}
			previous += d & mask * tick
		}
		tags[i] = previous
		at += w
	}
	return previous
}
