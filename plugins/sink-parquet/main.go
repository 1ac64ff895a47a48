// Command sink-parquet is the tsrun sink that keeps tags in Parquet files: one for
// each channel and segment, with one column, ps. It is a module of its own, so that
// nothing else of tsrun needs what it needs.
package main

import (
	"context"
	"os"
	"strings"

	"tsrun/plugins/internal/segments"
	"tsrun/sdk"
)

// version is set at link time.
var version = "dev"

// config is what a recipe says about the sink.
type config struct {
	Compression string `json:"compression" jsonschema:"enum=none,enum=snappy,enum=zstd,description=of the packed differences from tag to tag; random times get no shorter by it"`
	RowGroup    int    `json:"row_group" jsonschema:"minimum=1024,maximum=4194304,description=tags of a row group: as many of each channel are held in memory"`
}

func defaults() config { return config{Compression: "none", RowGroup: 1 << 18} }

func open(_ context.Context, env sdk.Env, c config) (sdk.Sink, error) {
	if _, known := codecs[c.Compression]; !known {
		return nil, &sdk.Failure{Code: "bad-config", Message: "open: compression " + clip(c.Compression) + " is not known", Hint: "write none, snappy or zstd", Field: "compression"}
	}
	if c.RowGroup < leastRows || c.RowGroup > mostRows {
		return nil, &sdk.Failure{Code: "bad-config", Message: "open: a row group is not between 1024 and 4194304 tags", Hint: "leave it out for 262144", Field: "row_group"}
	}
	node, _, _ := strings.Cut(env.Instance, ".")
	return segments.New(segments.Options{Foreign: true, Encoder: func(r sdk.Recording, s sdk.RecordedStream, nth int) (segments.Encoder, error) {
		return newEncoder(c, about(node, r, s, nth)), nil
	}}), nil
}

// clip bounds what is repeated of a recipe in a message.
func clip(text string) string {
	const most = 40
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "convert" {
		os.Exit(convertMain(os.Args[2:], os.Stdout, os.Stderr))
	}
	sdk.Serve(sdk.Plugin{
		Name:    "sink-parquet",
		Version: version,
		Summary: "Tags in Parquet files, one for each channel and segment.",
		Sinks: []sdk.SinkType{sdk.TakingResults(sdk.NewSink("sink-parquet", defaults(), open).Keeping(sdk.Elsewhere).
			Naming("{channel}-{segment}."+format), resultsDefaults(), writeResults)},
	})
}
