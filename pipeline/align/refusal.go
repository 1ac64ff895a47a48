package align

import (
	"fmt"

	"tsrun/sdk/quantity"
)

// Refusal is the error of an alignment without enough evidence. It is an
// answer, not a fault: the tags were read, and they do not say. The codes are
//
//	few-tags         a stream has hardly any tags
//	no-overlap       the records have less than 10 ms in common
//	coarse           the tags come in steps that are wider than a peak of pairs may be
//	no-peak          no offset gives more pairs than chance
//	not-significant  the whole record does not confirm what a part showed
//	outside-search   the best offset is beyond what was searched
//	outside-drift    the best frequency is beyond what was allowed
//	not-straight     the clocks step too far, or wander too fast, to be followed
//	not-confirmed    parts of the corrected record contradict each other
//	too-broad        A and B vary together, but slower than pairs do; or markers
//	                 scatter by too much of their period
//	ambiguous        there are several peaks of much the same height
type Refusal struct {
	Code   string `json:"code"` // see above; stable, for scripts
	Reason string `json:"reason"`
	Hint   string `json:"hint"`

	Period     float64         `json:"period_ps,omitempty"`     // of the peaks, where they repeat
	Candidates []quantity.Fine `json:"candidates_ps,omitempty"` // offsets, the likeliest first, some of many where there is a Period
}

func (r *Refusal) Error() string { return r.Reason + "; " + r.Hint }

func outsideSearch(r Alignment, search int64) error {
	return &Refusal{Code: "outside-search",
		Reason: fmt.Sprintf("the best offset, %.9g us, is beyond the search of %.6g us", r.StartOffset.Float()/1e6, float64(search)/1e6),
		Hint:   "search wider if the clocks may be that far apart"}
}

// outsideDrift takes what was allowed in ppb.
func outsideDrift(r Alignment, drift float64) error {
	return &Refusal{Code: "outside-drift",
		Reason: fmt.Sprintf("the best frequency, %.6g ppb, is beyond the %.6g ppb that were allowed", r.Frequency, drift),
		Hint:   "allow more drift if the clocks may be that different"}
}
