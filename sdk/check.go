package sdk

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"
)

// DriverChecker is implemented by the configuration of a driver that finds
// mistakes which its schema cannot tell, in itself and in the channels of the
// controller. Check is a pure function: it opens nothing and asks nobody, since
// `tsrun check` calls it on any PC, through `PLUGIN --check`. The field of a
// failure is the key of the configuration ("record", "pairs.rate"), or
// "channels.NAME.on", .threshold, .edge or .delay of a channel. The settings of
// [Simulates] may have a Check, too; its fields are keys of theirs.
type DriverChecker interface {
	Check(a Acquisition) []*Failure
}

// SinkChecker is [DriverChecker] for the configuration of a sink.
type SinkChecker interface {
	Check(r Recording) []*Failure
}

// CheckRequest is what `PLUGIN --check` reads from standard input: a
// configuration and what a recipe wants of it. It answers with a [CheckAnswer].
type CheckRequest struct {
	Driver     string          `json:"driver,omitempty"` // the offer's name; of a sink: Sink
	Sink       string          `json:"sink,omitempty"`
	Results    bool            `json:"results,omitempty"` // of a sink: the configuration is for results, see [TakingResults]
	Merged     bool            `json:"merged,omitempty"`  // or for the merged tags, see [TakingMerged]
	Config     json.RawMessage `json:"config"`
	Simulation json.RawMessage `json:"simulation,omitempty"` // of a simulated device: the section simulate.NODE
	Channels   []CheckChannel  `json:"channels"`
	Hardware   bool            `json:"hardware,omitempty"` // a START pulse starts the controller
	DurationNs int64           `json:"duration_ns"`
	SegmentNs  int64           `json:"segment_ns"`
}

// CheckChannel is one channel of a [CheckRequest].
type CheckChannel struct {
	Name        string `json:"name"`
	Input       int    `json:"input"`
	ThresholdUv int64  `json:"threshold_uv"`
	Falling     bool   `json:"falling,omitempty"`
	DelayPs     int64  `json:"delay_ps"`
}

// CheckAnswer is what `PLUGIN --check` prints.
type CheckAnswer struct {
	Mistakes []CheckMistake `json:"mistakes"`
}

// CheckMistake is a [Failure] found by a check.
type CheckMistake struct {
	Field   string `json:"field"` // as [DriverChecker] says, "simulate.KEY" in the simulation; "" is the configuration as a whole
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// maxCheckRequest is how long a request may be: a recipe is not longer.
const maxCheckRequest = 1 << 20

// check answers one request.
func (p Plugin) check(in io.Reader) (CheckAnswer, error) {
	text, err := io.ReadAll(io.LimitReader(in, maxCheckRequest+1))
	if err != nil {
		return CheckAnswer{}, fmt.Errorf("read request: %w", err)
	}
	if len(text) > maxCheckRequest {
		return CheckAnswer{}, fmt.Errorf("read request: longer than %d bytes", maxCheckRequest)
	}
	var r CheckRequest
	if err := json.Unmarshal(text, &r); err != nil {
		return CheckAnswer{}, fmt.Errorf("read request: %w", err)
	}
	answer := CheckAnswer{Mistakes: []CheckMistake{}}
	found, err := p.mistakes(r)
	for _, f := range found {
		answer.Mistakes = append(answer.Mistakes, CheckMistake{Field: f.Field, Message: clean(f.Message), Hint: clean(f.Hint)})
	}
	return answer, err
}

func (p Plugin) mistakes(r CheckRequest) ([]*Failure, error) {
	for _, d := range p.Drivers {
		if d.name == r.Driver && (d.check != nil || d.checkSimulation != nil) {
			return d.mistakes(r)
		}
	}
	for _, s := range p.Sinks {
		check := s.check
		switch {
		case r.Results && s.results != nil:
			check = s.results.check
		case r.Merged && s.merged != nil:
			check = s.merged.check
		case r.Results || r.Merged:
			check = nil
		}
		if s.name == r.Sink && check != nil {
			return check(r.Config, r.recording())
		}
	}
	return nil, fmt.Errorf("no driver or sink %.64q has a check", r.Driver+r.Sink)
}

// mistakes are those of a driver's configuration and of its simulation, whose
// fields are named as in a recipe.
func (t DriverType) mistakes(r CheckRequest) (found []*Failure, err error) {
	if t.check != nil {
		if found, err = t.check(r.Config, r.acquisition()); err != nil {
			return nil, err
		}
	}
	if t.checkSimulation == nil || len(r.Simulation) == 0 {
		return found, nil
	}
	simulated, err := t.checkSimulation(r.Simulation, r.acquisition())
	for _, f := range simulated {
		named := *f
		named.Field = strings.TrimSuffix("simulate."+f.Field, ".")
		found = append(found, &named)
	}
	return found, err
}

// acquisition is what a driver will be asked for; it belongs to no run yet.
func (r CheckRequest) acquisition() Acquisition {
	a := Acquisition{Duration: time.Duration(r.DurationNs), Segment: time.Duration(r.SegmentNs)}
	if r.Hardware {
		a.Method = Hardware
	}
	for i, c := range r.Channels {
		a.Channels = append(a.Channels, Channel{Stream: uint16(i), Name: c.Name, Input: c.Input,
			Threshold: c.ThresholdUv, Falling: c.Falling, Delay: c.DelayPs})
	}
	return a
}

// recording is what a sink will be asked for; where to is not known yet.
func (r CheckRequest) recording() Recording {
	rec := Recording{Segment: time.Duration(r.SegmentNs)}
	for i, c := range r.Channels {
		rec.Streams = append(rec.Streams, RecordedStream{Stream: uint16(i), Name: c.Name})
	}
	return rec
}

// checkOf returns the check of a configuration type, or nil when it has none.
func checkOf[C, Use any](defaults C) func(json.RawMessage, Use) ([]*Failure, error) {
	if _, has := any(defaults).(interface{ Check(Use) []*Failure }); !has {
		return nil
	}
	return func(config json.RawMessage, use Use) ([]*Failure, error) {
		c, err := decodeConfig(config, defaults)
		if err != nil {
			return nil, err
		}
		return any(c).(interface{ Check(Use) []*Failure }).Check(use), nil
	}
}
