package wire

import (
	"encoding/binary"
	"errors"
	"fmt"

	"tsrun/pipeline/fact"
)

// Glimpse is what the controllers of a node see while nothing is recorded: how much
// came on each stream, and the tags of a stretch of each. One that does not arrive is
// not told again.
type Glimpse struct {
	Seq     uint64          `json:"seq"` // from 1
	Streams []StreamGlimpse `json:"streams"`
}

// StreamGlimpse is that of a stream. All of its tags that lie in [FromPs, ToPs) are here.
type StreamGlimpse struct {
	fact.StreamCounts
	ZeroNs int64  `json:"zero_ns,omitempty"` // Unix time of the master's clock about which its time 0 lies; 0: not known yet
	FromPs uint64 `json:"from_ps"`
	ToPs   uint64 `json:"to_ps"`
	Packed []byte `json:"packed,omitempty"` // see PackGlimpse
}

// GlimpseTags is how many tags a glimpse holds at most, of all streams.
const GlimpseTags = 48 << 10

// PackGlimpse packs tags in order, from a time on: each as its difference to the one
// before, in bytes of seven bits.
func PackGlimpse(from uint64, tags []uint64) []byte {
	packed := make([]byte, 0, 4*len(tags))
	for _, t := range tags {
		packed = binary.AppendUvarint(packed, t-from)
		from = t
	}
	return packed
}

// Unpack returns the tags of a glimpse of a stream, which came from a node and may be anything.
func (g *StreamGlimpse) Unpack() ([]uint64, error) {
	if g.ToPs < g.FromPs {
		return nil, fmt.Errorf("read a glimpse: it goes from %d to %d ps", g.FromPs, g.ToPs)
	}
	tags := make([]uint64, 0, min(len(g.Packed), GlimpseTags))
	last := g.FromPs
	for rest := g.Packed; len(rest) > 0; {
		step, n := binary.Uvarint(rest)
		switch {
		case n <= 0:
			return nil, errors.New("read a glimpse: a tag is cut off")
		case step >= g.ToPs-last:
			return nil, fmt.Errorf("read a glimpse: a tag lies beyond its end at %d ps", g.ToPs)
		case len(tags) == GlimpseTags:
			return nil, fmt.Errorf("read a glimpse: it has more than %d tags", GlimpseTags)
		}
		last += step
		tags, rest = append(tags, last), rest[n:]
	}
	return tags, nil
}
