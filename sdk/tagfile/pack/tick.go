package pack

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"sync"
)

// divisor divides by a tick without a division, which takes forty times as long
// as a multiplication: the odd part of the tick has an inverse modulo 2^64, and
// a product with it is the quotient where there is no remainder. Bits of a
// remainder by the even part are turned to the top, so that the quotient of a
// number that is no multiple is always too great (Granlund and Montgomery 1994,
// section 9).
type divisor struct {
	tick    uint64
	inverse uint64 // of the odd part, modulo 2^64
	shift   int    // the even part is 1 << shift
}

func newDivisor(tick uint64) divisor {
	shift := bits.TrailingZeros64(tick)
	odd := tick >> shift
	inverse := odd // of the lowest 3 bits; every step doubles the bits that are right
	for range 5 {
		inverse *= 2 - odd*inverse
	}
	return divisor{tick, inverse, shift}
}

// toTicks returns the greatest time of which the time from the first tag to each
// other is a multiple: the step of a device, or a multiple of it; and in room how
// many of it that is. The time is 1 where there is no step or a tag is before the
// first, and 0 where all are equal.
func toTicks(room, tags []uint64) (ticks []uint64, tick uint64) {
	later := slices.IndexFunc(tags, func(t uint64) bool { return t != tags[0] })
	if later < 0 {
		return nil, 0
	}
	ticks, tick = room[:len(tags)], tags[later]-tags[0]
	for tick > 1 {
		done := newDivisor(tick).fill(ticks, tags)
		if done == len(tags) {
			return ticks, tick
		}
		if tags[done] < tags[0] {
			break
		}
		tick = commonDivisor(tick, tags[done]-tags[0])
	}
	return nil, 1
}

// fill divides the times from the first tag as far as they are multiples of the
// tick and not before it, and returns how many are.
func (d divisor) fill(ticks, tags []uint64) int {
	first, most := tags[0], ^tags[0]/d.tick
	ticks = ticks[:len(tags)]
	for i, t := range tags {
		q := bits.RotateLeft64((t-first)*d.inverse, -d.shift)
		if q > most {
			return i
		}
		ticks[i] = q
	}
	return len(tags)
}

// commonDivisor returns the greatest common divisor of a and b.
func commonDivisor(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// room is what packing one block needs.
type room struct {
	ticks         [MaxTags]uint64
	codes, others [MaxTags / run]byte
}

var rooms = sync.Pool{New: func() any { return new(room) }}

// unpackInTicks fills tags, of which the first is there, from the words of all
// runs and what is behind them. A tag beyond 2^64 ps is an error.
func unpackInTicks(tags []uint64, tick uint64, codes, words, behind []byte) error {
	first := tags[0]
	most := ^first / tick
	if mostTicks(codes, len(behind)) <= most { // no tag can be beyond
		return unpackTicks(tags, tick, codes, words, behind)
	}
	tags[0] = 0
	if err := unpackTicks(tags, 1, codes, words, behind); err != nil {
		return err
	}
	if !slices.IsSorted(tags) {
		return fmt.Errorf("unpack tags: ticks of %d ps after %d ps are beyond 2^64 of them", tick, first)
	}
	if last := tags[len(tags)-1]; last > most {
		return fmt.Errorf("unpack tags: %d ticks of %d ps after %d ps are beyond 2^64 ps", last, tick, first)
	}
	for i, n := range tags {
		tags[i] = first + n*tick
	}
	return nil
}

// mostTicks is more than twice what the codes of a block can tell, or 2^64 - 1.
func mostTicks(codes []byte, behind int) uint64 {
	most, low := 0.0, 0
	for _, code := range codes {
		w := int(code)
		if w >= riced {
			w -= riced
			low = max(low, w)
		}
		most += math.Ldexp(2*run, w)
	}
	most += math.Ldexp(16*float64(behind), low)
	if most >= 1<<63 {
		return math.MaxUint64
	}
	return uint64(most)
}

// unpackTicks fills the tags behind the first.
func unpackTicks(tags []uint64, tick uint64, codes, words, behind []byte) error {
	u, previous := unary{words: behind}, tags[0]
	tags = tags[1:]
	for i, code := range codes {
		part, w := tags[:min(run, len(tags))], uint(code)
		if code < riced {
			previous = kernels[w].unpackTicks(part, previous, words, tick)
		} else {
			w -= riced
			kernels[w].unpackTicks(part, previous, words, tick)
			if !u.raise(part, tick<<w) {
				return fmt.Errorf("unpack tags: the block ends within run %d", i)
			}
			previous = part[len(part)-1]
		}
		tags, words = tags[len(part):], words[wordBytes(len(part), w):]
	}
	return u.end()
}
