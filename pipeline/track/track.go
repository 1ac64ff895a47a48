// Package track follows B's clock through two records of tags, by the photon
// pairs in them, from one place where it is known.
//
//	Follow      the whole record: tracked both ways, smoothed, judged
//	NewFilter   the same forward only, for records that still grow
//
// What is followed is x(t), B minus A beside the straight line of the [Seed],
// and its slope. The way of a record through the package:
//
//	frame.go      the seed's line, exactly; the pairs near it, one by one
//	slice.go      where the pairs of a slice of time are: a normal over a flat background
//	state.go      two-state Kalman filter: phase and frequency; of means over slices, while the phase walks
//	bank.go       many of them side by side, while the clock's noise is not known
//	tracker.go    from slice to slice: windows, doubts, losses, and ever wider windows for what was lost
//	follow.go     both ways through a whole record, from one start or several
//	smooth.go     Rauch-Tung-Striebel smoother, and the clock between slices
//	noise.go      the clock's noise, by maximum likelihood; Allan deviation
//	belief.go     what the clock may do without showing it: averages over noises and slow sines
//	steps.go      jumps of the clock: found and measured
//	hidden.go     those that seemed to be noise
//	doubt.go      those that may be, and are not believed
//	locate.go     when the clock jumped
//	recut.go      the pairs again, in slices as long as suits the clock
//	conclude.go   the order of these, and the facts: straight line, quarters, gaps
//	correction.go the track as lines; a track that was written
//	filter.go     the forward half, for records that still grow
package track

import (
	"errors"
	"math"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/scatter"
	"tsrun/sdk/quantity"
)

// Seed is what is known of B's clock before it is followed.
type Seed struct {
	Line        correlate.Line // good near its Reference
	OffsetSD    float64        // ps, of the offset at Reference
	FrequencySD float64        // ps per ps
	Jitter      float64        // ps: standard deviation of a pair's difference, roughly
	Grid        scatter.Grid   // the steps in which the tags come
	PairRate    float64        // pairs per second of A's time, without chance ones, roughly
	Syntonized  bool           // both clocks follow one reference: B's keeps to a line, unless the pairs say that it does not
}

// Knot is B minus A at a time of A's clock.
type Knot struct {
	Time        uint64        `json:"time_ps"` // on A's scale
	Offset      quantity.Fine `json:"offset_ps"`
	OffsetSD    float64       `json:"offset_sd_ps"`
	Frequency   float64       `json:"frequency_ppb"` // positive: B's clock runs fast
	FrequencySD float64       `json:"frequency_sd_ppb"`
	Pairs       float64       `json:"pairs"` // of the slice, without chance ones
}

// Step is a jump of B's clock against A's: a clock that was set, or cycles of a
// reference that were missed; or one of its frequency.
type Step struct {
	Time     uint64  `json:"time_ps"` // on A's scale
	TimeSD   float64 `json:"time_sd_ps"`
	Offset   float64 `json:"offset_ps"` // by how much B minus A changes
	OffsetSD float64 `json:"offset_sd_ps"`

	// By how much B's frequency changes with it: a reference that was lost or
	// found. Both are 0 where it goes on as before.
	Frequency   float64 `json:"frequency_ppb,omitempty"`
	FrequencySD float64 `json:"frequency_sd_ppb,omitempty"`
}

// Turns says whether the frequency jumps.
func (s Step) Turns() bool { return s.FrequencySD > 0 }

// Moves says whether the phase jumps, which it need not where the frequency does.
func (s Step) Moves() bool { return !s.Turns() || math.Abs(s.Offset) > sureties*s.OffsetSD }

// Gap is a stretch of A's time, within its record, in which no pairs were found
// about the track.
type Gap struct {
	From uint64 `json:"from_ps"`
	To   uint64 `json:"to_ps"`

	// What may be hidden in it: how far B may be from what the track would have
	// it, beside what its noise does. 0 where the pairs on both sides agree.
	Hidden float64 `json:"hidden_ps,omitempty"`

	// The clock was looked for there and not found: there may be pairs, elsewhere.
	NotFound bool `json:"not_found,omitempty"`
}

// AllanPoint is the overlapping Allan deviation of B's clock against A's.
type AllanPoint struct {
	Tau       float64 `json:"tau_s"`
	Deviation float64 `json:"deviation"` // dimensionless, without what the pairs' jitter adds
	SD        float64 `json:"sd"`
	Floor     float64 `json:"floor"` // what the pairs' jitter alone would show

	// The time deviation, in ps: by how much times that are averaged over Tau scatter
	// about what those before and after foretell; without what the pairs' jitter adds.
	Time      float64 `json:"tdev_ps,omitempty"`
	TimeSD    float64 `json:"tdev_sd_ps,omitempty"`
	TimeFloor float64 `json:"tdev_floor_ps,omitempty"`
}

// Noise is how B's clock wanders against A's: the standard deviation that its
// frequency, a dimensionless number, gets from white frequency noise when it is
// averaged over 1 s, and by how much a random walk of frequency changes it in
// 1 s. Zero: too little to be seen.
type Noise struct {
	WhiteFM      float64 `json:"white_fm"`
	RandomWalkFM float64 `json:"random_walk_fm"`
}

// Part is how well the corrected pairs of a part of the record agree with the
// whole: their differences B minus A should lie about 0 with the same width.
type Part struct {
	From     uint64  `json:"from_ps"`
	To       uint64  `json:"to_ps"`
	Centre   float64 `json:"centre_ps"`
	CentreSD float64 `json:"centre_sd_ps"`
	Width    float64 `json:"width_ps"` // standard deviation
	Pairs    float64 `json:"pairs"`
}

// Track is B's clock on A's, as long as both recorded.
type Track struct {
	Knots       []Knot       `json:"knots,omitempty"`
	Steps       []Step       `json:"steps,omitempty"`
	Gaps        []Gap        `json:"gaps,omitempty"`
	Allan       []AllanPoint `json:"allan,omitempty"`
	Noise       Noise        `json:"noise"`
	Straight    Knot         `json:"straight"`    // the straight line through all, at the mean time of the pairs
	ChiSquare   float64      `json:"chi_square"`  // of the slices about that line
	Freedom     int          `json:"freedom"`     // its degrees of freedom
	Quarters    []Part       `json:"quarters"`    // the corrected record's, for a check of itself
	Slice       float64      `json:"slice_s"`     // time between knots
	Slices      int          `json:"slices"`      // stretches of A's tags in which pairs were looked for
	Lost        int          `json:"lost_slices"` // those without
	Jitter      float64      `json:"jitter_ps"`   // standard deviation of a pair's difference
	Pairs       float64      `json:"pairs"`       // without chance ones
	Accidentals float64      `json:"accidentals"` // expected within three Jitter of the track

	// Brief: the record is so short that its deviations are nearly those of a clock that keeps to a line. One
	// noisier than 1e-11 at 1 s may be off by more.
	Brief bool `json:"brief,omitempty"`

	frame
	path   *path
	odd    float64 // part of the pairs that lie elsewhere than those of a normal peak; 0: none to speak of
	common float64 // ps²: variance of an error that all offsets have alike
}

// ErrLost is the error of Follow where the pairs are not on the seed's line.
var ErrLost = errors.New("there are no pairs about the line that the clock was to be followed from")
