package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
	"tsrun/sdk/sdktest"
)

func newPluginCommand() *cobra.Command {
	return group("plugin", "list, show and check plugins: the drivers of controllers, and sinks",
		newPluginNewCommand(), newPluginListCommand(), newPluginShowCommand(), newPluginDocsCommand(), newPluginTestCommand(), newPluginLockCommand())
}

// testFlags are the flags of tsrun plugin test.
type testFlags struct {
	options  sdktest.Options
	config   string
	simulate string
	acquire  quantity.Time
	asJSON   bool
}

func newPluginTestCommand() *cobra.Command {
	var f testFlags
	c := &cobra.Command{
		Use:   "test PATH",
		Short: "check that a plugin keeps the plugin protocol",
		Long: `test starts the plugin's program again and again, as tsrun would, and tries what
becomes of it: handshake, schema, configs with mistakes, calls in and out of order,
three acquisitions in a row, a stop and a close in each state, whose clock the tags
are of, late times, a consumer that pauses or goes, a host that is killed; of a sink,
what its files hold, a kill -9 and a full disk. It prints a line for each check and
ends with exit code 1 where one has failed.

A driver is checked with its simulated device, where it says that it has one. With
--config it acquires from the device that this config means: take one that nobody
needs just now.`,
		Example: `  tsrun plugin test bin/plugins/tc-ethernet
  tsrun plugin test plugins/tc-foo --config '{"port": "/dev/ttyUSB0"}' --input 1`,
		Args: arguments(1, 1, "the path of a plugin's program"),
		RunE: f.run,
	}
	c.Flags().StringVar(&f.options.Kind, "kind", "", "check this driver or sink only, of those that the plugin offers, `NAME`")
	c.Flags().StringVar(&f.config, "config", "", "use this config for what is acquired and recorded, `JSON`")
	c.Flags().StringVar(&f.simulate, "simulate", "", "let the simulated device be this: a section simulate.NODE, `JSON`")
	c.Flags().IntSliceVar(&f.options.Inputs, "input", nil, "acquire from these inputs; the first two by default, `NUMBER`")
	c.Flags().TextVar(&f.acquire, "acquire", quantity.Time(0), "acquire so long where late times are tried; 2.6 h is past 2^53 ps, `TIME`")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print each result as JSON on a line")
	return c
}

func (f *testFlags) run(c *cobra.Command, args []string) error {
	o := f.options
	for flag, value := range map[string]struct {
		text string
		to   *json.RawMessage
	}{"config": {f.config, &o.Config}, "simulate": {f.simulate, &o.Simulation}} {
		if value.text == "" {
			continue
		}
		if !json.Valid([]byte(value.text)) {
			return usage(fmt.Sprintf("--%s is no JSON: %s", flag, value.text))
		}
		*value.to = json.RawMessage(value.text)
	}
	if f.acquire < 0 {
		return usage("--acquire is a time from 0 s on")
	}
	o.Acquire = f.acquire.Duration()
	suites, err := sdktest.Suites(c.Context(), args[0], o)
	if err != nil {
		return err
	}
	began, counts := time.Now(), map[sdktest.Status]int{}
	var printing error
	for _, s := range suites {
		s.Run(c.Context(), func(r sdktest.Result) {
			counts[r.Status]++
			if printing == nil {
				printing = f.print(c, r)
			}
		})
	}
	if printing == nil && !f.asJSON {
		_, printing = fmt.Fprintf(c.OutOrStdout(), "%d passed, %d failed, %d open, in %v\n",
			counts[sdktest.Passed], counts[sdktest.Failed], counts[sdktest.Open], time.Since(began).Round(100*time.Millisecond))
	}
	if printing == nil && counts[sdktest.Failed] == 0 {
		return nil
	}
	return &exitError{exitOther, printing}
}

func (f *testFlags) print(c *cobra.Command, r sdktest.Result) error {
	if f.asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(r)
	}
	_, err := fmt.Fprintln(c.OutOrStdout(), text.Printable(r.String()))
	return err
}
