package idq

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	"tsrun/sdk/quantity"
	"tsrun/sim/sky"
)

// Truth is what a simulated controller knows of one acquisition and a real
// one could not tell: when it really began, how its clock was wrong, and what
// exactly it delivered.
//
// A tag's absolute time is its value plus the period times the number of its
// record, in picoseconds; SHA-256 runs over the absolute times as
// little-endian 64-bit words, in the order of time.
type Truth struct {
	Simulated   bool   `json:"simulated"` // always true
	Serial      string `json:"serial"`
	Acquisition int    `json:"acquisition"` // counts from 1; 0: there was none yet
	Seed        uint64 `json:"seed"`        // of the light, and with the serial number of the clock's noise

	// The true instant at which the first record began, in two parts, because
	// picoseconds since 1970 do not fit 64 bits.
	StartUnixNs int64  `json:"start_unix_ns"`
	StartPs     int64  `json:"start_ps"` // 0 to 999, after StartUnixNs
	Trigger     string `json:"trigger"`  // "command", "generator" or "start line"

	// How the clock ran; with DEVIce:SYNC EXT it neither drifted nor wandered.
	ClockOffsetPs   int64 `json:"clock_offset_ps"`
	DriftE15        int64 `json:"drift_e15"`                    // parts in 1e15
	WhiteFME15      int64 `json:"white_fm_e15,omitempty"`       // Allan deviation at 1 s of white frequency noise
	RandomWalkFME15 int64 `json:"random_walk_fm_e15,omitempty"` // change of the frequency in 1 s, rms
	ClockStepAtPs   int64 `json:"clock_step_at_ps,omitempty"`   // true time since the start at which a fault made it jump
	ClockStepPs     int64 `json:"clock_step_ps,omitempty"`      // by so much

	FrequencyJumpAtPs int64 `json:"frequency_jump_at_ps,omitempty"` // true time since the start from which on a fault made it run faster
	FrequencyJumpE15  int64 `json:"frequency_jump_e15,omitempty"`   // by so many parts in 1e15

	WidthPs  uint64 `json:"width_ps"`
	PeriodPs uint64 `json:"period_ps"`
	Records  uint64 `json:"records"` // ended, the last perhaps early
	Stopped  bool   `json:"stopped"` // by REC:STOP or the end of the simulator, before the last record was full

	Channels []ChannelTruth `json:"channels"` // those with RAWn:SEND ON when a record ended
}

// ChannelTruth is the part of the truth that concerns one RAW block.
type ChannelTruth struct {
	Channel     int    `json:"channel"`       // of RAW and the DataLinkTarget, 1 to 4
	Input       int    `json:"input"`         // whose detections it stamps; 0: none is linked
	DelayPs     int64  `json:"delay_ps"`      // sum of the DELAy blocks on the way
	Tags        uint64 `json:"tags"`          // handed to an open DataLinkTarget acquisition
	First       uint64 `json:"first_ps"`      // absolute; 0 when there are no tags
	Last        uint64 `json:"last_ps"`       //
	SHA256      string `json:"sha256"`        // hexadecimal, over the absolute times
	InDeadTime  uint64 `json:"in_dead_time"`  // detections between two records, which no record holds
	BeforeStart uint64 `json:"before_start"`  // detections whose tag would have been negative
	LostToFault uint64 `json:"lost_to_fault"` // left out because a fault was asked for
	Unclaimed   uint64 `json:"unclaimed"`     // dropped because no DataLinkTarget acquisition was open
	Undelivered uint64 `json:"undelivered"`   // of Tags: not taken by a peer before stop
}

// ledger adds up what one channel delivered.
type ledger struct {
	ChannelTruth
	sum hash.Hash
}

func newLedger(channel, input int, delay int64) *ledger {
	return &ledger{ChannelTruth: ChannelTruth{Channel: channel, Input: input, DelayPs: delay}, sum: sha256.New()}
}

// truth returns the state of the ledger; it may go on afterwards.
func (l *ledger) truth() ChannelTruth {
	t := l.ChannelTruth
	t.SHA256 = hex.EncodeToString(l.sum.Sum(nil))
	return t
}

// Clock returns the clock of the acquisition, which tells what it showed at
// any true time.
func (t Truth) Clock() sky.Clock {
	return sky.Clock{
		Offset: t.ClockOffsetPs,
		Drift:  quantity.Drift(t.DriftE15),
		Wander: sky.NewWander(t.Seed, t.Serial, quantity.Drift(t.WhiteFME15), quantity.Drift(t.RandomWalkFME15)),
		Step:   sky.ClockStep{At: t.ClockStepAtPs, By: t.ClockStepPs},
		Turn:   sky.FrequencyJump{At: t.FrequencyJumpAtPs, By: quantity.Drift(t.FrequencyJumpE15)},
	}
}

// began notes the start instant.
func (t *Truth) began(start sky.Instant) { t.StartUnixNs, t.StartPs = start.Unix() }
