package tag

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/cpu"
)

const (
	turnTags  = 16                 // tags that orSteps looks at in one turn
	shortStep = 1 << 63 / turnTags // ps: below, a turn of steps does not reach 2^63
	lateTag   = uint64(1) << 63    // ps: before it, a turn of short steps does not reach 2^64
)

// orSteps returns all steps from tag to tag of so many turns, ORed, and the last
// tags of the turns, ORed with others. It reads turns*turnTags + 1 tags, and needs
// AVX2.
//
//go:noescape
func orSteps(payload *byte, turns int) (steps, last uint64)

// turnsOf is how many turns there are in n tags.
func turnsOf(n int) int {
	if n <= turnTags || !cpu.X86.HasAVX2 {
		return 0
	}
	return (n - 1) / turnTags
}

// orTurns ORs the steps of whole turns, and returns how many there are.
func orTurns(tags []uint64) (done int, steps uint64) {
	turns := turnsOf(len(tags))
	if turns == 0 {
		return 0, 0
	}
	steps, _ = orSteps((*byte)(unsafe.Pointer(&tags[0])), turns)
	return turns * turnTags, steps
}

// orderedBytes returns how many bytes at the start of payload hold tags that are
// surely in order; 0 where that cannot be told so fast.
//
// A step backwards is, modulo 2^64, a long one. When all steps are short and all
// turns end before 2^63, no step was backwards: from there, short steps cannot get
// past 2^64 without the end of a turn in between.
func orderedBytes(payload []byte) int {
	turns := turnsOf(len(payload) / Size)
	if turns == 0 {
		return 0
	}
	steps, last := orSteps(&payload[0], turns)
	if steps >= shortStep || (last|binary.LittleEndian.Uint64(payload)) >= lateTag {
		return 0
	}
	return (turns*turnTags + 1) * Size
}
