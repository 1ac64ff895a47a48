// Command sink-counts is a sink that keeps no tags, for tests: it counts those
// of each segment into a table. Under other names it says other things of what
// it keeps: sink-base that it keeps all elsewhere, and sink-older nothing.
package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"

	"tsrun/sdk"
	"tsrun/sdk/tag"
)

type config struct {
	Kind   sdk.ArtifactKind `json:"kind,omitempty" jsonschema:"description=of the table"`
	Table  string           `json:"table,omitempty" jsonschema:"description=its name; none is written where it is empty"`
	Forget uint64           `json:"forget,omitempty" jsonschema:"description=tags of each stream that it does not keep elsewhere"`
	Fault  string           `json:"fault,omitempty" jsonschema:"enum=missing,enum=twice,enum=outside,enum=alien,enum=changed"`
}

type counts struct {
	config
	elsewhere bool
	sdk.Recording
	tags  map[uint16]map[uint64]uint64 // stream: segment: tags
	total map[uint16]uint64
}

func (s *counts) Begin(_ context.Context, r sdk.Recording) error {
	s.Recording, s.tags, s.total = r, map[uint16]map[uint64]uint64{}, map[uint16]uint64{}
	for _, st := range r.Streams {
		s.tags[st.Stream] = map[uint64]uint64{}
	}
	return nil
}

func (s *counts) Write(_ context.Context, b *tag.Block) error {
	for _, t := range b.Tags {
		s.tags[b.Stream][t/uint64(s.Segment.Nanoseconds()*1000)]++
	}
	s.total[b.Stream] += uint64(len(b.Tags))
	if s.elsewhere {
		s.Kept(b.Stream, s.total[b.Stream]-min(s.Forget, s.total[b.Stream]))
	}
	return nil
}

func (s *counts) Finish(context.Context) error {
	if s.Table == "" {
		return nil
	}
	var table bytes.Buffer
	fmt.Fprintln(&table, "channel,segment,counts")
	for _, st := range s.Streams {
		for k := range uint64(len(s.tags[st.Stream])) {
			fmt.Fprintf(&table, "%s,%d,%d\n", st.Name, k, s.tags[st.Stream][k])
		}
	}
	switch s.Fault {
	case "missing":
		s.Closed(sdk.Artifact{Kind: s.Kind, Path: s.Table, Size: 5})
		return nil
	case "outside":
		s.Closed(sdk.Artifact{Kind: s.Kind, Path: "../" + s.Table})
	case "alien":
		s.Closed(sdk.Artifact{Kind: sdk.Tags, Path: s.Table, Stream: 99})
	}
	if err := s.Publish(s.Kind, s.Table, table.Bytes()); err != nil {
		return err
	}
	switch s.Fault {
	case "twice":
		s.Closed(sdk.Artifact{Kind: s.Kind, Path: s.Table, Size: int64(table.Len())})
	case "changed":
		return os.WriteFile(filepath.Join(s.Dir, s.Table), []byte("changed"), 0o644)
	}
	return nil
}

func (s *counts) Close() error { return nil }

func main() {
	name := filepath.Base(os.Args[0])
	offer := sdk.NewSink(name, config{Kind: sdk.Table, Table: "counts.csv"}, func(_ context.Context, _ sdk.Env, c config) (sdk.Sink, error) {
		return &counts{config: c, elsewhere: name == "sink-base"}, nil
	})
	switch name {
	case "sink-counts":
		offer = offer.Keeping(sdk.NoTags)
	case "sink-base":
		offer = offer.Keeping(sdk.Elsewhere)
	}
	sdk.Serve(sdk.Plugin{Name: name, Version: "0.1.0", Summary: "Counts tags.", Sinks: []sdk.SinkType{offer}})
}
