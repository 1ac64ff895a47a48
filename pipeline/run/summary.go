package run

import (
	"encoding/json"

	"tsrun/pipeline/correlate"
)

// AlignSummary is what an align stage found. Everything is B minus A with A the
// reference; the offset is subtracted from the target in later stages.
type AlignSummary struct {
	Reference      string                `json:"reference"` // A, "alice.signal"
	Target         string                `json:"target"`    // B
	Found          bool                  `json:"found"`
	Refused        string                `json:"refused,omitempty"` // why there is no offset
	Hint           string                `json:"hint,omitempty"`
	OffsetPs       float64               `json:"offset_ps"` // at AtPs of A's clock
	OffsetSDPs     float64               `json:"offset_sd_ps"`
	AtPs           uint64                `json:"at_ps"`
	FrequencyPpb   float64               `json:"frequency_ppb"` // positive: the target's clock runs fast
	FrequencySDPpb float64               `json:"frequency_sd_ppb"`
	Correction     *correlate.Correction `json:"correction,omitempty"` // the same in exact integers, as it is applied
}

// PairsSummary is what a coincidences stage found.
type PairsSummary struct {
	Of        []string `json:"of"`        // A, B
	Corrected []string `json:"corrected"` // which of them an align stage corrected
	correlate.Coincidences
}

// HistogramSummary is what a histogram stage found; the counts are in its file.
type HistogramSummary struct {
	Start      string   `json:"start"`
	Stop       string   `json:"stop"`
	Corrected  []string `json:"corrected"` // which of them an align stage corrected
	RangePs    int64    `json:"range_ps"`
	BinPs      int64    `json:"bin_ps"`
	Pairs      uint64   `json:"pairs"`
	PeakPs     int64    `json:"peak_ps"` // where the highest bin begins, the first of equals
	PeakCounts uint64   `json:"peak_counts"`
}

// decodeSummary reads the summary of a result into one of the types above.
// ok is false when there is none or it is of another form.
func decodeSummary[S any](r Result) (s S, ok bool) {
	ok = len(r.Summary) > 0 && json.Unmarshal(r.Summary, &s) == nil
	return s, ok
}
