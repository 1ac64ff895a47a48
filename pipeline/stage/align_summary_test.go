package stage

import (
	"encoding/json"
	"slices"
	"testing"

	"tsrun/pipeline/align"
	"tsrun/sdk/quantity"
)

// TestRefusedHasNoNumbers: what was not found is null, and is read back.
func TestRefusedHasNoNumbers(t *testing.T) {
	refused := AlignSummary{Reference: "a.b", Target: "c.d", Refused: true, Code: "no-peak", Reason: "none"}
	text, err := json.Marshal(Drift{Stage: "clocks", AlignSummary: refused})
	if err != nil {
		t.Fatal(err)
	}
	var all map[string]any
	if err := json.Unmarshal(text, &all); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"offset_ps", "offset_sd_ps", "reference_ps", "frequency_1e15", "frequency_ppb", "frequency_sd_ppb"} {
		if value, there := all[name]; !there || value != nil {
			t.Errorf("%s is %v", name, value)
		}
	}
	var back Drift
	if err := json.Unmarshal(text, &back); err != nil || !back.Refused || back.Code != "no-peak" || back.Stage != "clocks" || all["stage"] != "clocks" {
		t.Errorf("%s: %+v, %v", text, back, err)
	}
	text, err = json.Marshal(AlignSummary{OffsetPs: 5, ReferencePs: 1 << 63})
	if err != nil || json.Unmarshal(text, &all) != nil || all["offset_ps"] != 5.0 || all["reference_ps"] != float64(1<<63) {
		t.Errorf("%s, %v", text, err)
	}
}

// What may be meant where several offsets are as good is said as far as it is known.
func TestRefusedSaysItsCandidates(t *testing.T) {
	candidates := []quantity.Fine{quantity.NewFine(-13_000, 0), quantity.NewFine(0, 0.5)}
	refusal := &align.Refusal{Code: "ambiguous", Reason: "there are peaks", Period: 13_000, Candidates: candidates}
	s, err := NewAlignSummary("a.b", "c.d", align.Alignment{}, refusal)
	if err != nil || !slices.Equal(s.Candidates, candidates) || s.Period != 13_000 {
		t.Errorf("%+v, %v", s, err)
	}
}

// What three deviations do not tell from none is not said to be fast or slow.
func TestPaceWords(t *testing.T) {
	for _, c := range []struct {
		ppb, sd float64
		want    string
	}{
		{12, 0.012, "the clock of bob runs 12.000 ± 0.012 ppb fast"}, {-12, 0.012, "the clock of bob runs 12.000 ± 0.012 ppb slow"},
		{-0.0012, 0.0041, "the clock of bob is not seen to run faster or slower: -0.0012 ± 0.0041 ppb"},
	} {
		if got := paceWords("bob", c.ppb, c.sd); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}
