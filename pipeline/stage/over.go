package stage

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

// Over says of which part of the record a stage is. Every config has it.
type Over struct {
	Over string `json:"over,omitempty"` // "": all of it; overCommon
}

// overCommon is the time in which every node recorded without a gap.
const overCommon = "common"

var overField = recipe.ChoiceField("over", "common: only the time in which every node recorded without a gap; where it is left out, all that was recorded.", overCommon).Default("")

// lookOver notes the time that a stage looks at. Where that is the common time, it is by
// the clocks as far as stages before have found them.
func (a *analysis) lookOver(over string) error {
	a.over = nil
	if over == "" {
		return nil
	}
	common := a.manifest.FindCommon(a.scaleOf)
	if common.Length() == 0 {
		return errors.New("it looks at the time in which every node recorded without a gap, and " + common.Why)
	}
	a.over = common
	return nil
}

// lookOverIn is lookOver of what the config of any stage says.
func (a *analysis) lookOverIn(config json.RawMessage) error {
	var c Over
	if len(config) > 0 {
		if err := json.Unmarshal(config, &c); err != nil {
			return fmt.Errorf("read config of stage: %w", err)
		}
	}
	return a.lookOver(c.Over)
}

// again looks for the clocks of an align stage of a run that was, as the run did.
func (a *analysis) again(c AlignConfig) ([]AlignSummary, error) {
	defer func() { a.over = nil }()
	if err := a.lookOver(c.Over.Over); err != nil {
		return nil, err
	}
	if c.Several() {
		_, summary, err := a.findNetwork(c)
		return summary.Each(), err
	}
	found, summary, err := a.findClock(c)
	if err == nil && !summary.Refused {
		a.clocks.found(a.clockOf(c.Reference), a.clockOf(c.Target), found.Correction())
	}
	return []AlignSummary{summary}, err
}

// overOf is the time of which a channel's tags are read; nil: all.
func (a *analysis) overOf(name string) *run.CommonClock {
	if a.over == nil {
		return nil
	}
	c, known := a.over.Clocks[a.clockOf(name)]
	if !known {
		return nil
	}
	return &c
}

// scaleOf is the scale of a controller by what align stages found, and else by the starts.
func (a *analysis) scaleOf(reference, controller string) run.Scale {
	k, known, _ := a.clocks.between(reference, controller)
	if !known {
		return a.manifest.StartScale(reference, controller)
	}
	back := k.Inverse()
	return run.Scale{
		To:   func(ps int64) int64 { return int64(k.Apply(uint64(ps))) },
		From: func(ps int64) int64 { return int64(back.Apply(uint64(ps))) },
		By:   run.ByAlign,
	}
}

// cut leaves those of tags, which are in order, that lie in the time of the stream, and
// ends it behind.
func (s *channelStream) cut(tags []uint64, err error) (int, error) {
	from, _ := slices.BinarySearch(tags, s.over.FromPs)
	to, _ := slices.BinarySearch(tags, s.over.ToPs)
	if to < len(tags) && err == nil {
		err = io.EOF
	}
	return copy(tags, tags[from:to]), err
}

// OverWords say which time a stage looked at; "" where it was all.
func OverWords(r run.Result) string {
	if r.Over.Length() == 0 {
		return ""
	}
	node, _, _ := strings.Cut(r.Over.Reference, ".")
	return fmt.Sprintf("of the time in which all nodes recorded without a gap: %s to %s of %s", text.Seconds(r.Over.FromPs), text.Seconds(r.Over.ToPs), node)
}
