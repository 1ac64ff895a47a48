package main

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/host"
	"tsrun/pipeline/text"
	"tsrun/sdk"
)

// found is a plugin as list and show print it.
type found struct {
	Name    string   `json:"name"`
	Version string   `json:"version,omitempty"` // absent where nothing describes it, as all that follow but path and sha256
	Summary string   `json:"summary,omitempty"`
	Path    string   `json:"path"`
	SHA256  string   `json:"sha256"`
	Drivers []string `json:"-"`
	Sinks   []string `json:"-"`

	Description *sdk.Description `json:"description,omitempty"` // of show
}

func foundOf(c host.Component) found {
	f := found{Name: c.Name, Version: c.Version, Summary: c.Summary, Path: c.Path, SHA256: hex.EncodeToString(c.SHA256[:]), Drivers: []string{}, Sinks: []string{}}
	if c.Description != nil {
		for _, o := range c.Description.Drivers {
			f.Drivers = append(f.Drivers, o.Name)
		}
		for _, o := range c.Description.Sinks {
			f.Sinks = append(f.Sinks, o.Name)
		}
	}
	return f
}

// MarshalJSON gives drivers and sinks their small names; they are never null.
func (f found) MarshalJSON() ([]byte, error) {
	type plain found
	return json.Marshal(struct {
		plain
		Drivers []string `json:"drivers"`
		Sinks   []string `json:"sinks"`
	}{plain(f), f.Drivers, f.Sinks})
}

func newPluginListCommand() *cobra.Command {
	var plugins pluginDirs
	var asJSON bool
	c := &cobra.Command{
		Use:   "list",
		Short: "list the plugins that are found, with version, kinds and SHA-256",
		Args:  noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			dirs, err := plugins.all()
			if err != nil {
				return err
			}
			plugins, beside := host.List(dirs)
			for _, component := range plugins {
				if err := foundOf(component).write(c.OutOrStdout(), asJSON); err != nil {
					return err
				}
			}
			if beside > 0 {
				fmt.Fprintf(c.ErrOrStderr(), "not looked at: %d more programs in these directories; --plugin-dir names one with fewer\n", beside)
			}
			return nil
		},
	}
	plugins.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print each plugin as JSON on a line")
	return c
}

func (f found) write(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(f)
	}
	var kinds []string
	for _, name := range f.Drivers {
		kinds = append(kinds, "driver "+name)
	}
	for _, name := range f.Sinks {
		kinds = append(kinds, "sink "+name)
	}
	if len(kinds) == 0 {
		kinds = []string{"not described: write NAME.json beside it with --describe"}
	}
	_, err := fmt.Fprintf(out, "%s %s: %s\n  %s\n  sha256 %s\n", f.Name, text.Printable(f.Version), text.Printable(strings.Join(kinds, ", ")), text.Printable(f.Path), f.SHA256)
	return err
}

func newPluginShowCommand() *cobra.Command {
	var plugins pluginDirs
	var asJSON bool
	c := &cobra.Command{
		Use:   "show NAME",
		Short: "show what a plugin says of itself: its kinds, and the keys of their configs",
		Args:  arguments(1, 1, "the name of a plugin"),
		RunE: func(c *cobra.Command, args []string) error {
			dirs, err := plugins.all()
			if err != nil {
				return err
			}
			component, err := host.Find(dirs, args[0])
			if err != nil {
				return failure(err)
			}
			f := foundOf(component)
			if f.Description = component.Description; asJSON {
				return f.write(c.OutOrStdout(), true)
			}
			err = f.write(c.OutOrStdout(), false)
			if err == nil && f.Description != nil {
				err = writeDocument(c.OutOrStdout(), f.Description)
			}
			return err
		},
	}
	plugins.add(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object, with the schemas")
	return c
}

// writeDocument shows a plugin's text; it may come from anywhere.
func writeDocument(out io.Writer, d *sdk.Description) error {
	document, err := d.Document()
	if err != nil {
		return err
	}
	for line := range strings.Lines(document) {
		if _, err := fmt.Fprintln(out, text.Printable(strings.TrimSuffix(line, "\n"))); err != nil {
			return err
		}
	}
	return nil
}

func newPluginDocsCommand() *cobra.Command {
	var plugins pluginDirs
	c := &cobra.Command{
		Use:   "docs DIR",
		Short: "write a page of documentation for each plugin that is found",
		Long: `docs writes DIR/NAME.md for each plugin that is found and described: its drivers
and sinks, and each key of their configs with values, default and meaning, as the
schema says them.`,
		Args: arguments(1, 1, "the directory for the pages"),
		RunE: func(c *cobra.Command, args []string) error {
			dirs, err := plugins.all()
			if err != nil {
				return err
			}
			names, err := host.WriteDocuments(dirs, args[0])
			for _, name := range names {
				fmt.Fprintln(c.OutOrStdout(), text.Printable(name))
			}
			return err
		},
	}
	plugins.add(c)
	return c
}
