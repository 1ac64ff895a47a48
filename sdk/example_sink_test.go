package sdk_test

import (
	"bytes"
	"context"
	"fmt"

	"tsrun/sdk"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

// countsConfig is what a recipe may set.
type countsConfig struct {
	Bin quantity.Time `json:"bin" jsonschema:"description=length of a bin"`
}

// counts is a sink that keeps no tags: it counts them in bins of time, and
// writes one table at the end.
type counts struct {
	countsConfig
	rec  sdk.Recording
	bins map[uint16][]uint64 // of each stream
}

func openCounts(_ context.Context, _ sdk.Env, c countsConfig) (sdk.Sink, error) {
	if c.Bin < quantity.Microsecond {
		return nil, &sdk.Failure{Code: "bad-config", Message: "open: a bin of " + c.Bin.String(),
			Hint: "write at least 1 us", Field: "bin"}
	}
	return &counts{countsConfig: c, bins: map[uint16][]uint64{}}, nil
}

func (s *counts) Begin(_ context.Context, r sdk.Recording) error {
	s.rec = r
	return nil
}

func (s *counts) Write(_ context.Context, b *tag.Block) error {
	bins := s.bins[b.Stream]
	for _, t := range b.Tags {
		i := t / uint64(s.Bin)
		for uint64(len(bins)) <= i {
			bins = append(bins, 0)
		}
		bins[i]++
	}
	s.bins[b.Stream] = bins
	return nil
}

func (s *counts) Finish(context.Context) error {
	var table bytes.Buffer
	fmt.Fprintln(&table, "channel,start_ps,counts")
	for _, stream := range s.rec.Streams {
		for i, n := range s.bins[stream.Stream] {
			fmt.Fprintf(&table, "%s,%d,%d\n", stream.Name, uint64(i)*uint64(s.Bin), n)
		}
	}
	return s.rec.Publish(sdk.Table, "counts.csv", table.Bytes()) // durable, hashed, and told of
}

func (s *counts) Close() error { return nil }

// This is the whole of a plugin with a sink.
func ExampleSink() {
	sdk.Serve(sdk.Plugin{
		Name: "sink-counts", Version: "0.1.0", Summary: "Counts instead of tags.",
		Sinks: []sdk.SinkType{
			sdk.NewSink("sink-counts", countsConfig{Bin: quantity.Second}, openCounts).Keeping(sdk.NoTags),
		},
	})
}
