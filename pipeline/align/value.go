package align

import "tsrun/pipeline/track"

// State is how well B's clock is known while both records still grow.
type State string

const (
	Searching State = "searching" // not found yet
	Tracking  State = "tracking"  // followed from pair to pair
	Lost      State = "lost"      // no pairs where they should be: a value tells what was known last
	Stepped   State = "stepped"   // followed again, elsewhere than foretold: the clock jumped
)

// Value is what was known of B's clock once the tags about its Time had come:
// B minus A there, from this and earlier tags alone.
type Value struct {
	State State `json:"state"`
	track.Knot
	Step *track.Step `json:"step,omitempty"` // of a clock that stepped
}
