package sdk

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// MergedVersion is the version of what `PLUGIN merged` reads and answers.
const MergedVersion = 1

// MergedChoice are the keys that tsrun itself reads in the configuration of a sink of
// the merged tags. A configuration for [TakingMerged] embeds it.
type MergedChoice struct {
	Of        []string `json:"of,omitempty" jsonschema:"minItems=1,maxItems=256,description=the channels that are sent: node.channel; all where it is left out"`
	Reference string   `json:"reference,omitempty" jsonschema:"description=a channel of the controller whose clock all times are on; where it is left out: the reference of the first align stage and without one the first channel that is sent"`
	Queue     int      `json:"queue" jsonschema:"minimum=1,maximum=1024,description=messages of up to 65536 tags that wait for this sink; what comes beyond that it misses"`
}

// MergedDefaults is what is chosen where a recipe chooses nothing.
func MergedDefaults() MergedChoice { return MergedChoice{Queue: 64} }

// MergedRequest is what `PLUGIN merged` reads: one line.
type MergedRequest struct {
	Version int             `json:"version"`
	Sink    string          `json:"sink"` // the offer's name
	Config  json.RawMessage `json:"config"`
	Run     string          `json:"run"`    // 32 hexadecimal digits
	Socket  string          `json:"socket"` // path of a ZeroMQ PUB socket, which is there
}

// Merged is where a sink hears the merged tags of a run, in the messages of a live sink:
// docs/live.md describes each.
type Merged struct {
	Run    string
	Socket string // path of a ZeroMQ PUB socket
}

// MergedAnswer is what `PLUGIN merged` prints when the run has said its end, or the sink
// gives up.
type MergedAnswer struct {
	Version  int    `json:"version"`
	Where    string `json:"where,omitempty"` // the messages are, in words of the sink
	Messages uint64 `json:"messages"`        // that are there
	Tags     uint64 `json:"tags"`            // in them
	Missed   uint64 `json:"missed"`          // messages that the run dropped, as they were not taken in time
	Dropped  uint64 `json:"dropped"`         // messages that came here, and are not there
	Ended    bool   `json:"ended"`           // the run has said its end
	Failed   string `json:"failed,omitempty"`
	Hint     string `json:"hint,omitempty"` // what to do about it
}

// mergedTaker is the part of a sink that takes merged tags.
type mergedTaker struct {
	offer func() (TakenOffer, error)
	check func(json.RawMessage, Recording) ([]*Failure, error) // nil: its configuration has none
	take  func(context.Context, Merged, json.RawMessage) (MergedAnswer, error)
}

// TakingMerged has a sink take the merged tags of a run, too: a recipe then may say
// `takes: merged`. The configuration for that is a C, as in [NewSink], with a
// [MergedChoice] in it. Take is called in a process of its own at the master, for the
// length of the run, which never waits for it; its error is part of the answer.
func TakingMerged[C any](t SinkType, defaults C, take func(context.Context, Merged, C) (MergedAnswer, error)) SinkType {
	check := checkOf[C, Recording](defaults)
	t.merged = &mergedTaker{
		check: check,
		offer: func() (TakenOffer, error) {
			o, err := describeConfig(t.name, defaults)
			return TakenOffer{Schema: o.Schema, Defaults: o.Defaults, Checks: check != nil}, err
		},
		take: func(ctx context.Context, m Merged, config json.RawMessage) (MergedAnswer, error) {
			c, err := decodeConfig(config, defaults)
			if err != nil {
				return MergedAnswer{}, err
			}
			return take(ctx, m, c)
		},
	}
	return t
}

// takeMerged has the sink that a request names take the tags.
func (p Plugin) takeMerged(in io.Reader) (a MergedAnswer, err error) {
	var q MergedRequest
	if err := json.NewDecoder(io.LimitReader(in, maxCheckRequest)).Decode(&q); err != nil {
		return a, fmt.Errorf("read request: %w", err)
	}
	if q.Version != MergedVersion {
		return a, fmt.Errorf("read request: merged tags of version %d, this plugin knows %d", q.Version, MergedVersion)
	}
	for _, s := range p.Sinks {
		if s.name != q.Sink || s.merged == nil {
			continue
		}
		a, err = s.merged.take(context.Background(), Merged{Run: q.Run, Socket: q.Socket}, q.Config)
		a.Version = MergedVersion
		if err != nil {
			f := failureOf(err)
			a.Failed, a.Hint = f.Message, f.Hint
		}
		return a, nil
	}
	return a, fmt.Errorf("no sink %.64q takes merged tags", q.Sink)
}
