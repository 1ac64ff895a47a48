package tag

import "encoding/binary"

// Disorder returns the index of the first tag in payload that is before its
// predecessor, 0 when there is none. Every tag of a run passes here more than
// once, so it is told at the speed of the cache where the processor can; where it
// cannot, and where something may be wrong, four tags a turn are looked at, and at
// two places: a processor fetches from both at a time what is not in its cache.
func Disorder(payload []byte) int {
	if n := orderedBytes(payload); n > 0 {
		return disorderFrom(payload, n-Size)
	}
	le := binary.LittleEndian
	const turn = 4 * Size
	half := len(payload) / (2 * turn) * turn
	if half == 0 {
		return disorderFrom(payload, 0)
	}
	left, right := uint64(0), le.Uint64(payload[half-Size:])
	for p, q := payload[:half], payload[half:2*half]; len(p) >= turn && len(q) >= turn; p, q = p[turn:], q[turn:] {
		a, b, c, d := le.Uint64(p), le.Uint64(p[8:]), le.Uint64(p[16:]), le.Uint64(p[24:])
		e, f, g, h := le.Uint64(q), le.Uint64(q[8:]), le.Uint64(q[16:]), le.Uint64(q[24:])
		if a < left || b < a || c < b || d < c || e < right || f < e || g < f || h < g {
			return disorderFrom(payload, 0) // of the two places, the first
		}
		left, right = d, h
	}
	return disorderFrom(payload, 2*half-Size)
}

// disorderFrom is Disorder of the tags behind the one at byte at, which is in order.
func disorderFrom(payload []byte, at int) int {
	le := binary.LittleEndian
	for at += Size; at+Size <= len(payload); at += Size {
		if le.Uint64(payload[at:]) < le.Uint64(payload[at-Size:]) {
			return at / Size
		}
	}
	return 0
}

// OrSteps returns the steps from each tag to the next, modulo 2^64, ORed: it has as
// many bits as the longest of them.
func OrSteps(tags []uint64) uint64 {
	done, e := orTurns(tags)
	tags = tags[done:]
	if len(tags) == 0 {
		return e
	}
	// Four steps a turn are independent of each other, which makes it four times as
	// fast as one.
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
	return a | b | c | d | e
}

// AtOnce is how many tags [InStep] looks at in one go.
const AtOnce = 32

// InStep returns how many of tags, from the first on, surely follow each other, and the
// tag previous, in order and by at most most: as nearly all do where that is the longest
// pause so far. It looks at [AtOnce] at a time, and leaves those among which one does not,
// and what is left at the end, to a look at each.
func InStep(previous uint64, tags []uint64, most uint64) (n int) {
	if most >= 1<<63/AtOnce { // so many steps could go round through 0, unseen
		return 0
	}
	for ; len(tags)-n >= AtOnce; n += AtOnce {
		some, begin := tags[n:n+AtOnce], previous
		var odd uint64 // beyond 2^63 where a step is longer than most, or back
		for i := 0; i <= AtOnce-4; i += 4 {
			a, b, c, d := some[i], some[i+1], some[i+2], some[i+3]
			s, t, u, v := a-previous, b-a, c-b, d-c
			odd |= s | t | u | v | (most - s) | (most - t) | (most - u) | (most - v)
			previous = d
		}
		if odd >= 1<<63 || previous < begin {
			return n
		}
	}
	return n
}
