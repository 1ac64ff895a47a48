package main

import (
	"encoding/json"
	"fmt"
	"io"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/wire"
	"tsrun/sdk"
)

// build says what this program is and what it can talk to.
type build struct {
	Version   string        `json:"version"`
	Commit    string        `json:"commit,omitempty"` // with "+dirty" where files were changed since
	Date      string        `json:"date,omitempty"`   // of the commit
	Go        string        `json:"go"`
	System    string        `json:"system"`
	Recipe    int           `json:"recipe_version"` // of recipes that it takes
	Nodes     int           `json:"node_protocol"`  // between master and slaves
	PluginAPI int           `json:"plugin_protocol"`
	Plugins   []pluginBuild `json:"plugins"` // that were found; never null
}

type pluginBuild struct {
	Name    string `json:"name"`
	Version string `json:"version,omitempty"` // absent where nothing describes it
	Path    string `json:"path"`
}

func newVersionCommand() *cobra.Command {
	var plugins pluginDirs
	var asJSON bool
	c := &cobra.Command{
		Use:   "version",
		Short: "say which tsrun this is, what it can talk to, and which plugins there are",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			dirs, err := plugins.all()
			if err != nil {
				return err
			}
			b := newBuild(dirs)
			if asJSON {
				return json.NewEncoder(c.OutOrStdout()).Encode(b)
			}
			return b.write(c.OutOrStdout())
		},
	}
	plugins.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func newBuild(dirs []string) build {
	b := build{Version: version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH,
		Recipe: recipe.Version, Nodes: wire.Protocol, PluginAPI: sdk.ProtocolVersion, Plugins: []pluginBuild{}}
	info, _ := debug.ReadBuildInfo() // nil of a program built in another way
	dirty := ""
	for i := 0; info != nil && i < len(info.Settings); i++ {
		switch s := info.Settings[i]; s.Key {
		case "vcs.revision":
			b.Commit = s.Value
		case "vcs.time":
			b.Date = s.Value
		case "vcs.modified":
			if s.Value == "true" {
				dirty = "+dirty"
			}
		}
	}
	b.Commit += dirty
	found, _ := host.List(dirs)
	for _, p := range found {
		b.Plugins = append(b.Plugins, pluginBuild{Name: p.Name, Version: p.Version, Path: p.Path})
	}
	return b
}

func (b build) write(out io.Writer) error {
	_, err := fmt.Fprintf(out, "tsrun %s (%s, %s)\n", b.Version, b.Go, b.System)
	if err == nil && b.Commit != "" {
		_, err = fmt.Fprintf(out, "commit %s, %s\n", b.Commit, b.Date)
	}
	if err == nil {
		_, err = fmt.Fprintf(out, "takes recipes of version %d, slaves of protocol %d, plugins of protocol %d\n", b.Recipe, b.Nodes, b.PluginAPI)
	}
	for _, p := range b.Plugins {
		if err == nil {
			_, err = fmt.Fprintf(out, "plugin %s %s at %s\n", p.Name, p.Version, p.Path)
		}
	}
	return err
}
