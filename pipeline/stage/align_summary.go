package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"tsrun/pipeline/align"
	"tsrun/pipeline/text"
	"tsrun/pipeline/track"
	"tsrun/sdk/quantity"
)

// AlignSummary is what an align stage found. Everything is the target's time
// minus the reference's; the offset is subtracted from the target in later
// stages. It is also what the stage's file holds.
type AlignSummary struct {
	Reference string `json:"reference"` // channel, "alice.signal"
	Target    string `json:"target"`    // "" of several
	Refused   bool   `json:"refused"`   // nothing was found that could be believed
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

	Shots     []AlignedShot    `json:"shots,omitempty"`     // of a run that took several: each in which an offset was found
	Channels  []ChannelDelay   `json:"channels,omitempty"`  // of several channels, each with each; the offset is that of Reference and Target
	Alignment *align.Alignment `json:"alignment,omitempty"` // all that was estimated

	// Of the clocks of several controllers: what was found of each, and together. Then
	// there is no target, and no number but those.
	Via     []string        `json:"via,omitempty"` // of one of them: the channels through which its clock was reached, none where directly
	Clocks  []AlignSummary  `json:"clocks,omitempty"`
	Network *NetworkSummary `json:"network,omitempty"`
}

// AlignedShot is how the clocks stood when both had begun to record a shot.
type AlignedShot struct {
	Shot        int           `json:"shot"` // from 1
	Start       uint64        `json:"start_ps"`
	StartOffset quantity.Fine `json:"start_offset_ps"`
	StartSD     float64       `json:"start_offset_sd_ps"`
	Frequency   float64       `json:"frequency_ppb"`
	FrequencySD float64       `json:"frequency_sd_ppb"`
}

// alignedShots are those in which an offset was found.
func alignedShots(all []align.Shot) (found []AlignedShot) {
	for i, s := range all {
		if s.Refused == nil {
			found = append(found, AlignedShot{Shot: i + 1, Start: s.Start, StartOffset: s.StartOffset, StartSD: s.StartSD, Frequency: s.Frequency, FrequencySD: s.FrequencySD})
		}
	}
	return found
}

// Each are the clocks of the stage, one by one.
func (s AlignSummary) Each() []AlignSummary {
	if s.Network == nil {
		return []AlignSummary{s}
	}
	return s.Clocks
}

// MarshalJSON writes null for the numbers of a refused alignment, and of several.
func (s AlignSummary) MarshalJSON() ([]byte, error) {
	type found AlignSummary
	if !s.Refused && s.Network == nil {
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

// NewAlignSummary is what [align.Align] returned of two channels; a refusal is
// a summary too, any other error is returned.
func NewAlignSummary(reference, target string, found align.Alignment, err error) (AlignSummary, error) {
	s := AlignSummary{Reference: reference, Target: target}
	var refusal *align.Refusal
	switch {
	case errors.As(err, &refusal):
		s.Refused, s.Code, s.Reason, s.Hint = true, refusal.Code, refusal.Reason, refusal.Hint
		s.Period, s.Candidates = refusal.Period, refusal.Candidates
	case err != nil:
		return s, err
	default:
		line := found.Line()
		s.OffsetPs, s.ReferencePs, s.Frequency1e15 = line.Offset, line.Reference, int64(line.Frequency)
		s.OffsetSDPs, s.FrequencyPpb, s.FrequencySDPpb = found.OffsetSD, found.Frequency, found.FrequencySD
		s.Alignment = &found
	}
	return s, nil
}

// Words say for a person what was found.
func (s AlignSummary) Words(say Say) { alignWords(say, s) }

func alignWords(say Say, s AlignSummary) {
	if s.Network != nil {
		networkWords(say, s)
		return
	}
	if s.Refused {
		say("no offset of %s against %s: %s", s.Target, s.Reference, s.Reason)
		if s.Hint != "" {
			say("%s", s.Hint)
		}
		return
	}
	offset := float64(s.OffsetPs)
	if s.Alignment != nil {
		offset = s.Alignment.Offset.Float()
	}
	say("%s - %s = %s at %s", s.Target, s.Reference, text.Measured(offset, s.OffsetSDPs, "ps"), text.Seconds(s.ReferencePs))
	say("%s", paceWords(s.Target, s.FrequencyPpb, s.FrequencySDPpb))
	for _, d := range s.Channels {
		if d.Correlated && (d.Reference != s.Reference || d.Target != s.Target) {
			say("%s - %s: %s later, %s pairs", d.Target, d.Reference, text.Measured(d.Delay, d.DelaySD, "ps"), text.Grouped(d.Pairs))
		}
	}
	if s.Alignment == nil {
		return
	}
	if s.Alignment.Wanders && s.Alignment.Track != nil {
		trackWords(say, s.Alignment.Track)
	}
	if s.Alignment.Warning != "" {
		say("%s", s.Alignment.Warning)
	}
}

// paceWords says which way a clock goes wrong.
func paceWords(name string, ppb, sd float64) string {
	switch {
	case !text.Certain(ppb, sd):
		return fmt.Sprintf("the clock of %s is not seen to run faster or slower: %s", name, text.Measured(ppb, sd, "ppb"))
	case ppb < 0:
		return fmt.Sprintf("the clock of %s runs %s slow", name, text.Measured(-ppb, sd, "ppb"))
	default:
		return fmt.Sprintf("the clock of %s runs %s fast", name, text.Measured(ppb, sd, "ppb"))
	}
}

// trackWords says how a clock drifted beside its line.
func trackWords(say Say, t *track.Track) {
	if t.Noise.WhiteFM > 0 || t.Noise.RandomWalkFM > 0 {
		say("it drifts by white FM of %.2g at 1 s and a random walk of frequency of %.2g in 1 s", t.Noise.WhiteFM, t.Noise.RandomWalkFM)
	}
	var deviations []string
	for _, p := range t.Allan {
		if p.Deviation > 2*p.SD && p.Deviation > p.Floor && p.Tau >= 0.1 { // shorter ones are in its file
			deviations = append(deviations, fmt.Sprintf("%.2g in %.2g s", p.Deviation, p.Tau))
		}
	}
	if len(deviations) > 0 {
		say("Allan deviation %s", strings.Join(deviations[:min(len(deviations), 6)], ", "))
	}
	for _, missing := range []struct {
		what     string
		notFound bool
	}{{"no pairs", false}, {"the clock was not found", true}} {
		gaps := slices.DeleteFunc(slices.Clone(t.Gaps), func(g track.Gap) bool { return g.NotFound != missing.notFound })
		if len(gaps) > 0 {
			say("%s in %d gaps, the first from %s to %s", missing.what, len(gaps), text.Seconds(gaps[0].From), text.Seconds(gaps[0].To))
		}
	}
}
