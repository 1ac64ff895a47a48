// Command sink-file is the tsrun sink that keeps tags in files.
//
// Every stream becomes a row of segment files, cut by the time of the tags:
// segment k holds the tags from k times the segment's length up to, and not
// including, k+1 times. A segment without tags is a file without tags, so that
// a missing number always means a missing file.
//
//	signal-000000.bin          whole: durable, hashed, never changed again
//	.signal-000001.bin.part    being written, or left by a failure
//
// A segment is written under its second name and hashed on the way. When it is
// full it goes to a closer in the background, which makes it durable and gives
// it its first name; only then the host hears of it.
//
// A process that goes on with the recording of one that died begins behind the
// segments which that has told of, and replaces what else it has left.
//
//	main      the program and its configuration
//	sink      streams of blocks, cut into segments
//	segment   one file: write, hash, publish
//	closer    publishes segments in the background, in order
//	failure   what to tell when the disk does not take it
package main

import (
	"context"

	"tsrun/sdk"
	"tsrun/sdk/tagfile"
)

// version is set at link time.
var version = "dev"

// config is what a recipe says about the sink.
type config struct {
	Format string `json:"format" jsonschema:"enum=bin,enum=tags,enum=txt,enum=csv,description=bin: 64-bit little-endian picoseconds; tags: the same in 2 to 4 bytes a tag with checksums; txt: a line CHANNEL;PS per tag; csv: the same with a comma and a heading"`
}

func defaults() config { return config{Format: tagfile.Bin} }

func open(_ context.Context, _ sdk.Env, c config) (sdk.Sink, error) {
	if _, err := tagfile.NewEncoder(c.Format, 0); err != nil {
		return nil, &sdk.Failure{Code: "bad-config", Message: err.Error(), Field: "format"}
	}
	return &sink{format: c.Format}, nil
}

func main() {
	sdk.Serve(sdk.Plugin{
		Name:    "sink-file",
		Version: version,
		Summary: "Files of tags, one row of segments per channel.",
		Sinks:   []sdk.SinkType{sdk.NewSink("sink-file", defaults(), open).Keeping(sdk.AllTags).Resumable().Naming(names()...)},
	})
}

// names are those that segments have, in each format.
func names() (patterns []string) {
	for _, format := range tagfile.Streamed() {
		patterns = append(patterns, "{channel}-{segment}."+format)
	}
	return patterns
}
