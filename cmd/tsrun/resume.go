package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/master"
	"tsrun/pipeline/report"
	"tsrun/pipeline/run"
	"tsrun/pipeline/series"
	"tsrun/pipeline/text"
	"tsrun/pipeline/web"
)

func newResumeCommand() *cobra.Command {
	var plugins pluginDirs
	var asJSON bool
	var keys, listen, page string
	c := &cobra.Command{
		Use:   "resume RUN",
		Short: "finish a run whose master was killed, or that ended without all files",
		Long: `resume finishes the run of a run directory: it takes the files that the nodes still
hold, proves them, executes the stages and writes the manifest. It needs no recipe:
the directory has it, and the addresses that the slaves were told.

Slaves that still run come by themselves, and so do those that are started again on
their PCs with the same --node and --data. Those of this PC are started. A node that
does not come is waited for until the recipe's faults.patience (10 minutes) has
passed, or two Ctrl-C; what it holds is then missing, and resume may be called again.

A run whose results could not be written, as on a full disk, has its stages executed again.
Any other that ended with all its files is left as it is. The exit code is that of the run.

The directory of a series (scan: in a recipe) goes on with the first run that has not
ended; a run of it that was broken off is left as it is, and taken again.`,
		Args: arguments(1, 1, "one run directory, or that of a series"),
		RunE: func(c *cobra.Command, args []string) error {
			return resume(c, args[0], &plugins, keys, listen, page, asJSON)
		},
	}
	plugins.add(c)
	registerKeys(c.Flags(), &keys)
	c.Flags().StringVar(&listen, "listen", "", "`ADDRESS` to listen at, where this PC has another one than in the run, or the run's ports are taken there; slaves are then started again with it as --master (default: that of the run)")
	c.Flags().BoolVar(&asJSON, "json", false, "one event a line on standard output")
	registerWeb(c.Flags(), &page)
	return c
}

func resume(c *cobra.Command, path string, plugins *pluginDirs, keys, listen, page string, asJSON bool) error {
	if err := run.CheckSystem(); err != nil {
		return failure(err)
	}
	if series.Is(path) {
		f := runFlags{plugins: *plugins, keys: keys, json: asJSON, web: page}
		return resumeSeries(c.Context(), &f, path)
	}
	if !run.IsRun(path) {
		return run.NoRun(path)
	}
	outliveTerminal()
	dirs, err := plugins.all()
	if err != nil {
		return err
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find tsrun's own program: %w", err)
	}
	asked := interruptions()
	defer asked.close()
	_, known, err := run.ReadRun(path)
	if err != nil {
		known = nil // master.Resume says why nothing can be done
	}
	hub, done := showing(asJSON)
	over, err := startPage(c.Context(), page, hub, web.Options{Recipe: known, Stop: asked.keep})
	if err != nil {
		done()
		return failure(err)
	}
	outcome, err := master.Resume(c.Context(), path, master.Options{
		PluginDirs: dirs, Program: program, Listen: listen, Version: version, Observer: hub, Interrupts: asked.interrupts, Report: report.WritePage, Secure: secureMaster(keys),
	})
	done()
	over()
	if err != nil {
		return failure(err)
	}
	if outcome.Finished {
		if err := sayFinished(c, path, outcome.Manifest); err != nil {
			return err
		}
	}
	if code := exitCode(outcome.Manifest); code != exitGood {
		return &exitError{code, nil} // the summary has said why
	}
	return nil
}

// sayFinished says of a run that there is nothing to do.
func sayFinished(c *cobra.Command, path string, m *run.Manifest) error {
	var words []string
	for _, condition := range m.Condition {
		words = append(words, string(condition))
	}
	_, err := fmt.Fprintf(c.ErrOrStderr(), "tsrun: %s has ended, %s, and lacks no files or results: nothing is changed\n", path, text.Printable(strings.Join(words, " + ")))
	return err
}
