// Package tag holds time tags: the blocks they travel in, the frames blocks
// are sent as, and the merge of many streams into one by time. Files of tags
// are the business of package tagfile.
//
// A time tag is an unsigned 64-bit count of picoseconds since the start of its
// acquisition. Tags are integers everywhere; no float ever holds one.
//
// On the wire a [Block] is two frames: [Block.EncodeHeader] and [AsBytes] write
// them, [DecodeHeader], [Header.Check] and [Header.Block] read them, and a
// [Sequence] checks the blocks of a stream against each other.
//
// A [Reader] yields the tags of one channel; [Merge] puts several in one order.
package tag

import "fmt"

// RunID names one execution of a recipe on every wire it appears on.
type RunID [16]byte

// String returns the identifier as 32 hexadecimal digits.
func (id RunID) String() string { return fmt.Sprintf("%x", id[:]) }

// Kind says what a block carries.
type Kind uint8

const (
	// Data carries tags.
	Data Kind = 1
	// Mark carries no tags: it promises that no later block of the stream
	// holds a tag before Until, so that a quiet channel's files close in time.
	Mark Kind = 2
	// End is the last block of a stream; Until is the length of the acquisition.
	End Kind = 3
)

// String returns the kind's name.
func (k Kind) String() string {
	switch k {
	case Data:
		return "data"
	case Mark:
		return "mark"
	case End:
		return "end"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Block is a run of tags of one channel that travels as one message.
//
// Blocks of a stream are numbered from 0 without gaps and their tags never
// decrease, neither within a block nor from one block to the next.
type Block struct {
	Kind   Kind
	Run    RunID
	Stream uint16   // index of the channel in the run's channel table of its controller's node
	Seq    uint64   // position in the stream
	Until  uint64   // ps: no later block of the stream holds a tag before this one
	Lost   uint64   // tags known to be missing between the previous block and this one
	Tags   []uint64 // ps since the start of the acquisition
}
