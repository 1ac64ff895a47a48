package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"tsrun/pipeline/catalogue"
	"tsrun/pipeline/master"
	"tsrun/pipeline/run"
)

func newRerunCommand() *cobra.Command {
	var f runFlags
	c := &cobra.Command{
		Use:   "rerun RUN",
		Short: "do a run again with the bytes of its recipe, and say what was not the same",
		Long: `rerun executes the recipe that a run directory keeps, with parents, variables and
each --set folded in, after a look whether it is still as the run left it. At the end
it says what of recipe, programs and devices was not the same as then; tsrun runs
compare says it of the results too. Paths in a recipe are those of the first run.

The new run is written beside the old one, or where --runs says. Its exit code is
that of the run.`,
		Args: arguments(1, 1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if !c.Flags().Changed("runs") {
				f.runs = filepath.Dir(filepath.Clean(args[0]))
			}
			return rerun(c.Context(), &f, args[0], c.ErrOrStderr())
		},
	}
	flags := c.Flags()
	flags.StringVar(&f.runs, "runs", "", "`DIR` where the new run directory is made (default: beside RUN)")
	f.plugins.add(c)
	registerKeys(flags, &f.keys)
	flags.BoolVar(&f.json, "json", false, "one event a line on standard output")
	return c
}

func rerun(ctx context.Context, f *runFlags, dir string, says io.Writer) error {
	// The link runs/latest will soon be of the new run.
	if !run.IsRun(dir) {
		return run.NoRun(dir)
	}
	first, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	path, err := catalogue.Repeats(first)
	if err != nil {
		return err
	}
	dirs, err := f.plugins.all()
	if err != nil {
		return err
	}
	resolved, err := loadRecipe(path, nil, dirs)
	if err != nil {
		return err
	}
	outcome, err := runRecipe(ctx, f, path, master.Options{Recipe: resolved, Runs: f.runs, PluginDirs: dirs})
	if outcome == nil {
		return err
	}
	if said := sayChanged(says, first, outcome.Directory); said != nil {
		var code *exitError
		if errors.As(err, &code) {
			return &exitError{code.code, said} // the code is that of the run
		}
		return said
	}
	return err
}

// sayChanged says under what other circumstances a run was done again.
func sayChanged(out io.Writer, first, again string) error {
	found, err := catalogue.Compare(first, again)
	if err != nil {
		return fmt.Errorf("compare the run with the first: %w", err)
	}
	changed := found.Without(catalogue.PartResults, catalogue.PartCondition)
	if len(changed) == 0 {
		_, err := fmt.Fprintf(out, "tsrun: recipe, programs and devices were those of %s\n", first)
		return err
	}
	if _, err := fmt.Fprintf(out, "tsrun: not the same as in %s:\n", first); err != nil {
		return err
	}
	return printDifferences(out, changed)
}
