// Command sink-file is the tsrun sink that keeps tags in files.
package main

import (
	"context"

	"tsrun/plugins/internal/segments"
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
	return segments.New(segments.Options{Encoder: func(_ sdk.Recording, s sdk.RecordedStream, _ int) (segments.Encoder, error) {
		return tagfile.NewEncoder(c.Format, int(s.Stream))
	}}), nil
}

func main() {
	sdk.Serve(sdk.Plugin{
		Name:    "sink-file",
		Version: version,
		Summary: "Files of tags, one row of segments per channel.",
		Sinks: []sdk.SinkType{sdk.TakingResults(
			sdk.NewSink("sink-file", defaults(), open).Keeping(sdk.AllTags).Resumable().InPlace().Naming(names()...), resultsDefaults(), writeResults)},
	})
}

// names are those that segments have, in each format.
func names() (patterns []string) {
	for _, format := range tagfile.Streamed() {
		patterns = append(patterns, "{channel}-{segment}."+format)
	}
	return patterns
}
