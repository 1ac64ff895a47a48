package run

import (
	"encoding/json"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
)

// AlignSummary is what an align stage found. Everything is the target's time
// minus the reference's; the offset is subtracted from the target in later
// stages. It is also what the stage's file holds.
type AlignSummary struct {
	Reference string `json:"reference"` // channel, "alice.signal"
	Target    string `json:"target"`
	Refused   bool   `json:"refused"` // nothing was found that could be believed
	Code      string `json:"code,omitempty"`
	Reason    string `json:"reason,omitempty"`
	Hint      string `json:"hint,omitempty"`

	OffsetPs       int64   `json:"offset_ps"` // when the reference's clock shows ReferencePs
	OffsetSDPs     float64 `json:"offset_sd_ps"`
	ReferencePs    uint64  `json:"reference_ps"`
	Frequency1e15  int64   `json:"frequency_1e15"` // positive: the target's clock runs fast
	FrequencyPpb   float64 `json:"frequency_ppb"`  // the same
	FrequencySDPpb float64 `json:"frequency_sd_ppb"`
	Simulated      bool    `json:"simulated"`

	Alignment *align.Alignment `json:"alignment,omitempty"` // all that was estimated
}

// PairsSummary is what a coincidences stage found.
type PairsSummary struct {
	Of        []string `json:"of"`        // A, B
	Corrected bool     `json:"corrected"` // B by what align stages found
	correlate.Coincidences
}

// HistogramSummary is what a histogram stage found; the counts are in its file.
type HistogramSummary struct {
	Start      string `json:"start"`
	Stop       string `json:"stop"`
	Corrected  bool   `json:"corrected"` // stop by what align stages found
	RangePs    int64  `json:"range_ps"`
	BinPs      int64  `json:"bin_ps"`
	Pairs      uint64 `json:"pairs"`
	PeakPs     int64  `json:"peak_ps"` // where the highest bin begins, the first of equals
	PeakCounts uint64 `json:"peak_counts"`
}

// decodeSummary reads the summary of a result into one of the types above.
// ok is false when there is none or it is of another form.
func decodeSummary[S any](r Result) (s S, ok bool) {
	ok = len(r.Summary) > 0 && json.Unmarshal(r.Summary, &s) == nil
	return s, ok
}
