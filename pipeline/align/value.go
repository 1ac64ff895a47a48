package align

import "tsrun/pipeline/quantity"

// State is how well B's clock is known while both records still grow.
type State string

const (
	Searching State = "searching" // not found yet
	Tracking  State = "tracking"  // followed from pair to pair
	Lost      State = "lost"      // no pairs where they should be: the offset is foretold, not measured
	Stepped   State = "stepped"   // found again, elsewhere than foretold: the clock jumped
)

// Value is what was known of B's clock once the tags about Time had come: B
// minus A there, from this and earlier tags alone.
type Value struct {
	State       State         `json:"state"`
	Time        uint64        `json:"time_ps"` // on A's scale
	Offset      quantity.Fine `json:"offset_ps"`
	OffsetSD    float64       `json:"offset_sd_ps"`
	Frequency   float64       `json:"frequency_ppb"` // positive: B's clock runs fast
	FrequencySD float64       `json:"frequency_sd_ppb"`
	Pairs       float64       `json:"pairs"`          // net, that this value is from
	Step        *Jump         `json:"step,omitempty"` // of a clock that stepped
}

// Jump is a sudden change of B minus A.
type Jump struct {
	Time     uint64  `json:"time_ps"`    // on A's scale
	TimeSD   float64 `json:"time_sd_ps"` // of Time
	Offset   float64 `json:"offset_ps"`  // change
	OffsetSD float64 `json:"offset_sd_ps"`
}
