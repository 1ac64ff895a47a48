package live

import (
	"encoding/binary"
	"encoding/json"

	"tsrun/pipeline/correlate"
)

const (
	// Version is that of the messages: it changes when a key goes or means something else.
	Version = 1
	// MaxTags is how many tags a message has at most.
	MaxTags = 1 << 16
)

// Kinds of messages.
const (
	KindTags = "tags" // tags, corrected
	KindHeld = "held" // none: a clock is not known yet, and what is there waits
	KindEnd  = "end"  // none: nothing more comes
)

// Header is the second frame of a message, as JSON. Its first is the name of the sink; the
// third and fourth, of tags, are their times and the numbers of their channels.
type Header struct {
	Kind      string   `json:"kind"`
	Version   int      `json:"version"`
	Run       string   `json:"run"`
	Sink      string   `json:"sink"`
	Seq       uint64   `json:"seq"` // from 0: what is missing between was dropped
	Simulated bool     `json:"simulated"`
	Reference string   `json:"reference"`              // the controller whose clock all times are on
	Shot      int      `json:"shot,omitempty"`         // from 1; of a run that takes several
	ShotPs    *int64   `json:"shot_from_ps,omitempty"` // when it began: between two nothing is recorded
	Channels  []string `json:"channels"`               // a tag's number counts them from 0
	Window    int      `json:"window"`                 // number of the segments, of the shot, that the tags came with
	Tags      int      `json:"tags"`
	UntilPs   int64    `json:"until_ps"`          // no later message of tags has one before this
	Missing   []string `json:"missing,omitempty"` // channels of which nothing came in this window
	Clocks    []Clock  `json:"clocks"`            // the other controllers'
	Totals    *Totals  `json:"totals,omitempty"`  // of the last message
}

// Clock is how the tags of a controller were corrected.
type Clock struct {
	Clock string `json:"clock"` // "bob.tc"
	Stage string `json:"stage,omitempty"`
	// Against is the clock that its lines are of, where that is not the reference's: one that
	// stands before it in the list, and whose lines carry the tags on.
	Against string `json:"against,omitempty"`
	// State is searching, tracking, lost or stepped, as of the align stage; or together: one
	// pulse started both, and nothing was found or corrected.
	State      string           `json:"state"`
	OffsetSDPs *float64         `json:"offset_sd_ps,omitempty"`
	Lines      []correlate.Line `json:"lines,omitempty"` // used for the tags of this message, each from its reference on
}

// Totals are what a stream has sent, and what not.
type Totals struct {
	Messages uint64 `json:"messages"`         // this one among them
	Tags     uint64 `json:"tags"`             // sent
	Withheld uint64 `json:"withheld"`         // of clocks that were never known
	Late     uint64 `json:"late"`             // that came when later ones had been sent
	Missed   int64  `json:"missed,omitempty"` // segments that came faster than they were merged
	Broken   int    `json:"broken,omitempty"` // segments that could not be read
}

// encode makes a message; times and channels are of tags.
func encode(h Header, times []uint64, channels []uint16) (message, error) {
	text, err := json.Marshal(h)
	if err != nil {
		return nil, err
	}
	m := message{[]byte(h.Sink), text}
	if h.Kind != KindTags {
		return m, nil
	}
	bytes := make([]byte, 0, 10*len(times))
	for _, t := range times {
		bytes = binary.LittleEndian.AppendUint64(bytes, t)
	}
	for _, c := range channels {
		bytes = binary.LittleEndian.AppendUint16(bytes, c)
	}
	return append(m, bytes[:8*len(times):8*len(times)], bytes[8*len(times):]), nil
}
