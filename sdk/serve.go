package sdk

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"

	"tsrun/sdk/internal/serve"
	"tsrun/sdk/pluginpb"
)

// ProtocolVersion is the newest version of the plugin protocol that this SDK
// speaks, and OldestProtocol the oldest: host and plugin take the newest that
// both know.
const (
	ProtocolVersion = serve.ProtocolVersion
	OldestProtocol  = serve.OldestProtocol
)

// The magic cookie tells a plugin that it was started by a host and not by
// hand. It is no secret.
const (
	CookieKey   = serve.CookieKey
	CookieValue = serve.CookieValue
)

// Serve runs p until its host lets go of it or disappears, then exits. Main
// does nothing else. With the argument --describe it prints a [Description] as
// JSON instead, with --check it answers a [CheckRequest] from standard input,
// with results it writes what stages found (see [TakingResults]), with merged it takes the merged tags of a
// run (see [TakingMerged]), and without a host it says how plugins are used.
func Serve(p Plugin) {
	os.Exit(run(p, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

func run(p Plugin, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	answer := func(what any, err error) int {
		if err == nil {
			out := json.NewEncoder(stdout)
			out.SetIndent("", "  ")
			err = out.Encode(what)
		}
		if err != nil {
			fmt.Fprintf(stderr, "%s: %v\n", p.Name, err)
			return 1
		}
		return 0
	}
	switch {
	case slices.Contains(args, "--describe"):
		return answer(p.Describe())
	case slices.Contains(args, "--check"):
		return answer(p.check(stdin))
	case len(args) > 0 && args[0] == "results":
		return answer(p.writeResults(stdin))
	case len(args) > 0 && args[0] == "merged":
		return answer(p.takeMerged(stdin))
	}
	if os.Getenv(CookieKey) != CookieValue {
		fmt.Fprintf(stderr, "%s is a plugin of tsrun: %s\n"+
			"tsrun starts it when a recipe names it; `%s --describe` prints what it offers\n", p.Name, p.Summary, p.Name)
		return 2
	}
	process := serve.New(stderr)
	return process.Serve(serve.Services{
		Describe: p.described,
		Driver:   newDriverServer(process.Life, process.Log, p.Drivers),
		Sink:     newSinkServer(process.Life, process.Log, p.Sinks),
	})
}

// described is the plugin's description as it crosses to the host.
func (p Plugin) described() (*pluginpb.DescribeResponse, error) {
	d, err := p.Describe()
	if err != nil {
		return nil, statusOf(err)
	}
	return &pluginpb.DescribeResponse{Name: d.Name, Version: d.Version, Summary: d.Summary,
		Drivers: offersOut(d.Drivers), Sinks: offersOut(d.Sinks)}, nil
}
