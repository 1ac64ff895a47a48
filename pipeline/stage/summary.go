package stage

import (
	"encoding/json"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
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

	Period     float64         `json:"period_ps,omitempty"`     // see align.Refusal
	Candidates []quantity.Fine `json:"candidates_ps,omitempty"` // the same

	OffsetPs       int64   `json:"offset_ps"` // when the reference's clock shows ReferencePs
	OffsetSDPs     float64 `json:"offset_sd_ps"`
	ReferencePs    uint64  `json:"reference_ps"`
	Frequency1e15  int64   `json:"frequency_1e15"` // positive: the target's clock runs fast
	FrequencyPpb   float64 `json:"frequency_ppb"`  // the same
	FrequencySDPpb float64 `json:"frequency_sd_ppb"`
	Parts          int     `json:"parts,omitempty"` // of the record, each aligned for itself
	Simulated      bool    `json:"simulated"`

	Channels  []ChannelDelay   `json:"channels,omitempty"`  // of several channels, each with each; the offset is that of Reference and Target
	Alignment *align.Alignment `json:"alignment,omitempty"` // all that was estimated
}

// MarshalJSON writes null for the numbers of a refused alignment.
func (s AlignSummary) MarshalJSON() ([]byte, error) {
	type found AlignSummary
	if !s.Refused {
		return json.Marshal(found(s))
	}
	// The outer fields are written in place of those of the same names.
	return json.Marshal(struct {
		found
		OffsetPs       *int64   `json:"offset_ps"`
		OffsetSDPs     *float64 `json:"offset_sd_ps"`
		ReferencePs    *uint64  `json:"reference_ps"`
		Frequency1e15  *int64   `json:"frequency_1e15"`
		FrequencyPpb   *float64 `json:"frequency_ppb"`
		FrequencySDPpb *float64 `json:"frequency_sd_ppb"`
	}{found: found(s)})
}

// ChannelDelay is how much later the pairs of two channels come than those that
// the offset is of: cables and detectors differ, the clock does not.
type ChannelDelay struct {
	Reference string `json:"reference"`
	Target    string `json:"target"`
	align.ChannelPair
}

// CoincidencesSummary is what a coincidences stage found.
type CoincidencesSummary struct {
	Of        []string `json:"of"`        // A first
	Corrected bool     `json:"corrected"` // any channel by what align stages found
	Simulated bool     `json:"simulated"`
	correlate.Coincidences
}

// ScanSummary is what a scan stage found; the counts are in its table.
type ScanSummary struct {
	Start     string          `json:"start"`
	Stop      string          `json:"stop"`
	Corrected bool            `json:"corrected"` // stop by what align stages found
	Simulated bool            `json:"simulated"`
	StepPs    int64           `json:"step_ps"`
	WindowPs  int64           `json:"window_ps"`
	Peak      *correlate.Peak `json:"peak"`                 // null when none stood out of chance
	NoPeak    string          `json:"no_peak,omitempty"`    // why there can be none
	Periods   []float64       `json:"periods_ps,omitempty"` // that the light repeats after
	Warning   string          `json:"warning,omitempty"`    // why chance under the peak is not known
	NoValue   string          `json:"no_value,omitempty"`   // why there can be none
}

// HistogramSummary is what a histogram stage found; the counts are in its file.
type HistogramSummary struct {
	Start      string `json:"start"`
	Stop       string `json:"stop"`
	Corrected  bool   `json:"corrected"` // stop by what align stages found
	Simulated  bool   `json:"simulated"`
	RangePs    int64  `json:"range_ps"`
	BinPs      int64  `json:"bin_ps"`
	Pairs      uint64 `json:"pairs"`
	SelfPairs  uint64 `json:"self_pairs,omitempty"` // of a tag with itself, left out
	PeakPs     *int64 `json:"peak_ps"`              // the centre of the highest bin, the first of equals; null without pairs
	PeakCounts uint64 `json:"peak_counts"`
	NoValue    string `json:"no_value,omitempty"` // why there can be no pairs
}

// G2Summary is what a g2 stage found; the bins are in its table.
type G2Summary struct {
	Start     string            `json:"start"`
	Stop      string            `json:"stop"`
	Corrected bool              `json:"corrected"` // stop by what align stages found
	Simulated bool              `json:"simulated"`
	RangePs   int64             `json:"range_ps"`
	BinPs     int64             `json:"bin_ps"`
	Pairs     uint64            `json:"pairs"`
	SelfPairs uint64            `json:"self_pairs,omitempty"` // of a tag with itself, left out
	OverlapPs uint64            `json:"overlap_ps"`
	Scale     quantity.Number   `json:"scale"`      // see correlate.G2
	AtZero    quantity.Number   `json:"g2_at_zero"` // of the bin that begins at zero
	AtZeroSD  quantity.Number   `json:"g2_at_zero_sd"`
	NoValue   string            `json:"no_value,omitempty"` // why that is none
	HighestPs *int64            `json:"highest_ps"`         // the centre of the bin where g2 is highest; null where no bin has a value
	Highest   quantity.Number   `json:"highest_g2"`
	HighestSD quantity.Number   `json:"highest_g2_sd"`
	Periods   []float64         `json:"periods_ps,omitempty"` // that the light repeats after
	Pulses    []correlate.Pulse `json:"pulses,omitempty"`
	Warning   string            `json:"warning,omitempty"` // why bins or pulses are not over what uncorrelated light gives
}

// RatesSummary is what a rates stage found; the counts are in its table.
type RatesSummary struct {
	Of        []string                `json:"of"`
	Corrected bool                    `json:"corrected"` // any channel by what align stages found
	Simulated bool                    `json:"simulated"`
	BinPs     int64                   `json:"bin_ps"`
	Channels  []correlate.ChannelRate `json:"channels"`   // in the order of Of
	Empty     []int                   `json:"empty_bins"` // without a tag, between a channel's first and last
}

// decodeSummary reads the summary of a result into one of the types above.
// ok is false when there is none or it is of another form.
func DecodeSummary[S any](r run.Result) (s S, ok bool) {
	ok = len(r.Summary) > 0 && json.Unmarshal(r.Summary, &s) == nil
	return s, ok
}
