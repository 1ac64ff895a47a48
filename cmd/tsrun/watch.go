package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tsrun/pipeline/master"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

func newWatchCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "watch RECIPE",
		Short: "look at a bench without recording: rates, pairs, heralding and g2, five times a second",
		Long: `watch has every node of a recipe open its controllers and start them, and keeps nothing:
no run directory, no file of tags. It shows the rates of all channels, and of the channels
that the recipe's stages compare the pairs beyond chance, heralding and g2 at the peak, of
the last second: what one looks at while turning a mirror.

Ctrl-C ends it, and leaves the devices safe. r (with a page, its button too) goes on as a
run of the recipe, recorded from then on, without a device being opened again. Of a recipe
with scan: the values that stand in it are watched; r begins its series, a run for each value,
which opens the devices anew.`,
		Example: "  tsrun watch recipes/coincidence.yaml\n  tsrun watch recipes/coincidence.yaml --web",
		Args:    arguments(1, 1, "one recipe"),
		RunE: func(c *cobra.Command, args []string) error {
			if args[0] == "-" {
				return usage("what is watched may be recorded, and a run keeps the file of its recipe, so - is none")
			}
			if err := run.CheckSystem(); err != nil {
				return failure(err)
			}
			return watchRecipe(c.Context(), &f, args[0])
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.runs, "runs", "runs", "`DIR` where the run directory is made, once something is recorded")
	flags.StringArrayVar(&f.sets, "set", nil, "change the recipe, `PATH=VALUE`; recorded with the run")
	f.plugins.add(c)
	registerKeys(flags, &f.keys)
	flags.BoolVar(&f.json, "json", false, "one event a line on standard output")
	registerWeb(flags, &f.web)
	flags.Lookup("web").Usage = "show it to browsers too, at `HOST:PORT` as 127.0.0.1:5580; --web alone: there, or at another port of this PC where that is taken"
	return c
}

// watchRecipe watches the bench of a recipe, and records it when the user wants that.
func watchRecipe(ctx context.Context, f *runFlags, path string) error {
	dirs, err := f.plugins.all()
	if err != nil {
		return err
	}
	resolved, err := loadRecipe(path, f.sets, dirs)
	if err != nil {
		return err
	}
	record := make(chan struct{}, 1)
	f.record = func() {
		select {
		case record <- struct{}{}:
		default: // it was asked for before
		}
	}
	restore := singleKeys()
	defer restore()
	go awaitKey(os.Stdin, f.record) // ends with its input, or with this process
	o := master.Options{Recipe: resolved, Runs: f.runs, PluginDirs: dirs, Record: record, Leave: resolved.Scan != nil}
	if o.Leave {
		fmt.Fprintf(os.Stderr, "the values that stand in the recipe are watched; r ends that and begins its series of %s\n", quantity.Counted(resolved.Scan.Runs(), "run"))
	}
	outcome, err := runRecipe(ctx, f, path, o)
	if err != nil || !outcome.Left {
		return err
	}
	f.record = nil
	return beginSeries(ctx, f, path, resolved, dirs)
}

// awaitKey calls f for each r that is typed; where a terminal gives whole lines, with Enter.
func awaitKey(in io.Reader, f func()) {
	keys := bufio.NewReader(in)
	for {
		switch key, err := keys.ReadByte(); {
		case err != nil:
			return
		case key == 'r' || key == 'R':
			f()
		}
	}
}
