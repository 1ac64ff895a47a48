// Package fifteen has the words that S-Fifteen time stamp units write.
//
//	Event  64 bits: 63..10 time in 1/256 ns, 9..5 flags, 4 dummy, 3..0 detectors
//	Short  32 bits: 31..5  time in 2 ns,                4 dummy, 3..0 inputs
//
// A dummy is no event: it only keeps the time countable. Several detectors in
// one word fired within one step.
package fifteen

import "math/bits"

// Detectors is how many a unit has.
const Detectors = 4

const (
	dummy     = 1 << 4
	detectors = 1<<Detectors - 1
)

// Event is a word of 64 bits. Its time begins again after 2^54 ticks, 19.5 hours.
type Event uint64

const (
	EventTimeBits = 54
	eventFlagBits = 10
	// EventTick is a tick of an event, in ps.
	EventTick = 3.90625
)

// NewEvent is the event of detectors (bit 0 is the first) at a time in ticks;
// whole rounds of the time are left out.
func NewEvent(ticks, of uint64) Event { return Event(ticks<<eventFlagBits | of&detectors) }

// Time is the time in ticks of 1/256 ns.
func (e Event) Time() uint64 { return uint64(e) >> eventFlagBits }

// Dummy says that the word is no event.
func (e Event) Dummy() bool { return e&dummy != 0 }

// Detectors are those that fired: bit 0 is the first.
func (e Event) Detectors() uint64 { return uint64(e) & detectors }

// TicksToPs is ticks of 1/256 ns in ps, rounded to the nearest, halves up; not
// ok where that is more than 64 bits hold.
func TicksToPs(ticks uint64) (ps uint64, ok bool) {
	high, low := bits.Mul64(ticks, 125)
	low, carry := bits.Add64(low, 16, 0)
	high += carry
	return high<<(64-5) | low>>5, high < 1<<5
}

// PsToTicks is the nearest tick of 1/256 ns, halves up.
func PsToTicks(ps uint64) uint64 {
	high, low := bits.Mul64(ps, 32)
	low, carry := bits.Add64(low, 62, 0)
	ticks, _ := bits.Div64(high+carry, low, 125)
	return ticks
}

// Short is a word of 32 bits. Its time begins again after 2^27 ticks, 268 ms.
type Short uint32

const (
	ShortTimeBits = 27
	shortFlagBits = 5
	// ShortTick is a tick of a short word, in ps.
	ShortTick = 2000
	// ShortMark is where in each half of a round a unit writes a dummy, in
	// ticks, when it has written no word since the place before.
	ShortMark = 3960
	// ShortHalf is half a round, in ticks.
	ShortHalf = 1 << (ShortTimeBits - 1)
)

// NewShort is the word of inputs (bit 0 is the first) at a time in ticks; whole
// rounds of the time are left out.
func NewShort(ticks uint64, of uint8) Short { return Short(ticks<<shortFlagBits) | Short(of)&detectors }

// ShortDummy is a dummy as units write it: with the bit of the first input.
func ShortDummy(ticks uint64) Short { return NewShort(ticks, 1) | dummy }

// Time is the time in ticks of 2 ns.
func (s Short) Time() uint32 { return uint32(s) >> shortFlagBits }

// Dummy says that the word is no event.
func (s Short) Dummy() bool { return s&dummy != 0 }

// Inputs are those that fired: bit 0 is the first.
func (s Short) Inputs() uint8 { return uint8(s) & detectors }
