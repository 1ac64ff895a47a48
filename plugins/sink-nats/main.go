// Command sink-nats is the tsrun sink that keeps tags in files and brings them, block
// by block, into a stream of a NATS server. It is a module of its own, so that
// nothing else of tsrun needs what it needs. The same program is the server of a
// small laboratory (`tsrun hub`) and a reader of such streams (`tsrun follow`).
//
//	sink       files of tags, as sink-file makes them; each closed one is offered on
//	publisher  brings closed files into the stream, in order, exactly once
//	access     how a server is reached, and who this is
//	link       one connection: where the stream stands, a window of messages
//	message    subject, headers and payload of a block
//	results    brings what stages found into a stream, a message or more of each
//	settings   what a server promises of what it acknowledges
//	hub        a server in this program
//	follow     prints, filters and counts a stream, and writes its files again
//	relay      brings the merged tags of a run to a server, while it goes on
package main

import (
	"os"

	"tsrun/sdk"
)

// version is set at link time.
var version = "dev"

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "hub":
			os.Exit(hubMain(os.Args[2:], os.Stdout, os.Stderr))
		case "follow":
			os.Exit(followMain(os.Args[2:], os.Stdout, os.Stderr))
		}
	}
	sdk.Serve(sdk.Plugin{
		Name:    "sink-nats",
		Version: version,
		Summary: "Files of tags, and their blocks, the merged tags and what stages found as messages of a NATS server.",
		Sinks: []sdk.SinkType{sdk.TakingMerged(sdk.TakingResults(sdk.NewSink("sink-nats", defaults(), open).Keeping(sdk.AllTags).Resumable(), remoteDefaults(), writeResults),
			mergedDefaults(), takeMerged)},
		Needs: sdk.Needs{Network: true},
	})
}
