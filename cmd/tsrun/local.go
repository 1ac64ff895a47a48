package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tsrun/pipeline/master"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

// startLocal is what the root command does with --local.
func (f *runFlags) startLocal(c *cobra.Command, args []string, unable error) error {
	switch {
	case f.mode != "slave":
		return usage("--local is a slave's: add --mode slave --node NAME")
	case len(args) != 1 || args[0] == "-":
		return usage("--local needs the recipe, a file: tsrun --mode slave --node NAME --local RECIPE")
	case f.master != "" || f.once || c.Flags().Changed("tls") || c.Flags().Changed("runs"):
		return usage("--local records without a master: it takes neither --master, --once nor --tls, and its run directories are made in --data")
	case f.node == "":
		return usage("a slave needs a name: --node NAME, one of the recipe's nodes")
	}
	at, err := beginning(f.at, time.Now())
	if err != nil {
		return usage(err.Error())
	}
	if unable != nil {
		return failure(unable)
	}
	return runLocal(c.Context(), f, args[0], at)
}

// farthest is how long before a local recording it may be told to begin.
const farthest = 366 * 24 * time.Hour

// beginning reads --at: a time, or how much later than now. Nothing is the zero time.
func beginning(text string, now time.Time) (at time.Time, err error) {
	if text == "" {
		return at, nil
	}
	if later, ok := strings.CutPrefix(text, "+"); ok {
		after, err := quantity.ParseTime(later)
		if err != nil {
			return at, fmt.Errorf("--at %q: %v; write +10s, or a time as %s", text, err, now.UTC().Format(time.RFC3339))
		}
		at = now.Add(after.Duration()).Round(0) // by the wall clock, which may be set
	} else if at, err = time.Parse(time.RFC3339Nano, text); err != nil {
		return at, fmt.Errorf("--at %q: write a time with its zone, as %s, or how much later, as +10s", text, now.UTC().Format(time.RFC3339))
	}
	switch {
	case at.Before(now):
		return at, fmt.Errorf("--at %q is %v ago by this PC's clock", text, now.Sub(at).Round(time.Second))
	case at.Sub(now) > farthest:
		return at, fmt.Errorf("--at %q is more than a year from now", text)
	}
	return at, nil
}

// runLocal executes the part of a recipe that is one node's.
func runLocal(ctx context.Context, f *runFlags, path string, at time.Time) error {
	dirs, err := f.plugins.all()
	if err != nil {
		return err
	}
	whole, err := recipe.Load(path, recipe.Options{Set: f.sets, Stages: stage.Kinds()}) // its plugins need not all be here
	if err != nil {
		return refuseRecipe(err)
	}
	part, others, err := whole.Recipe.LocalPart(f.node, !at.IsZero())
	if err != nil {
		return failure(err)
	}
	resolved, err := loadRecipe(path, slices.Concat(f.sets, part), dirs)
	if err != nil {
		return err
	}
	_, err = runRecipe(ctx, f, path, master.Options{Recipe: resolved, Runs: f.data, PluginDirs: dirs, At: at,
		Local: &run.LocalPart{Node: f.node, Recipe: whole.Recipe.Name, Others: others, Marks: whole.Recipe.Marks()}})
	return err
}
