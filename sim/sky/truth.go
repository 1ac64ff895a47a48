package sky

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
)

// Truth is what a simulated controller knows of one acquisition and a real one
// could not tell. Of a Time Controller with records idq.Truth says more, in the
// same words.
type Truth struct {
	Simulated   bool   `json:"simulated"` // always true
	Serial      string `json:"serial"`
	Acquisition int    `json:"acquisition"` // counts from 1; 0: there was none yet
	Seed        uint64 `json:"seed"`

	StartUnixNs int64 `json:"start_unix_ns"` // the true instant of time zero
	StartPs     int64 `json:"start_ps"`      // 0 to 999, after StartUnixNs

	ClockOffsetPs   int64 `json:"clock_offset_ps"`
	DriftE15        int64 `json:"drift_e15"` // parts in 1e15; 0 with a reference
	WhiteFME15      int64 `json:"white_fm_e15,omitempty"`
	RandomWalkFME15 int64 `json:"random_walk_fm_e15,omitempty"`

	Stopped  bool           `json:"stopped"` // before the end that was asked for
	Channels []ChannelTruth `json:"channels"`
}

// ChannelTruth is what was delivered of one input.
type ChannelTruth struct {
	Channel     int    `json:"channel"`
	Input       int    `json:"input"`
	Tags        uint64 `json:"tags"`
	First       uint64 `json:"first_ps"` // 0 when there are no tags
	Last        uint64 `json:"last_ps"`
	SHA256      string `json:"sha256"`        // hexadecimal, over the times as little-endian 64-bit words
	LostToFault uint64 `json:"lost_to_fault"` // left out because a fault was asked for
}

// Truth begins the truth of an acquisition.
func (e *Eye) Truth(acquisition int, start Instant, locked bool) Truth {
	t := Truth{Simulated: true, Serial: e.Serial, Acquisition: acquisition, Seed: e.Light.Seed, ClockOffsetPs: int64(e.Controller.ClockOffset)}
	t.StartUnixNs, t.StartPs = start.Unix()
	if !locked {
		t.DriftE15, t.WhiteFME15, t.RandomWalkFME15 = int64(e.Controller.Drift), int64(e.Controller.WhiteFM), int64(e.Controller.RandomWalkFM)
	}
	return t
}

// Ledger adds up what was delivered of one input.
type Ledger struct {
	ChannelTruth
	sum hash.Hash
}

// NewLedger is the empty ledger of an input.
func NewLedger(input int) *Ledger {
	return &Ledger{ChannelTruth: ChannelTruth{Channel: input, Input: input}, sum: sha256.New()}
}

// Enter adds a tag, in ps.
func (l *Ledger) Enter(tag uint64) {
	if l.Tags == 0 {
		l.First = tag
	}
	l.Tags, l.Last = l.Tags+1, tag
	l.sum.Write(binary.LittleEndian.AppendUint64(nil, tag))
}

// Truth is the state of the ledger; it may go on afterwards.
func (l *Ledger) Truth() ChannelTruth {
	t := l.ChannelTruth
	t.SHA256 = hex.EncodeToString(l.sum.Sum(nil))
	return t
}
