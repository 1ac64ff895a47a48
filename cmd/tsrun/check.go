package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/stage"
	"tsrun/sdk"
	"tsrun/sdk/quantity"
)

// pluginDirs are the directories of --plugin-dir.
type pluginDirs []string

func (d *pluginDirs) add(c *cobra.Command) {
	c.Flags().StringArrayVar((*[]string)(d), "plugin-dir", nil, "look for plugins in this `DIR` first")
}

// all are these and the usual ones.
func (d pluginDirs) all() ([]string, error) {
	dirs, err := host.DefaultDirs(d)
	return dirs, failure(err)
}

// recipeFlags are what commands that only read a recipe have in common.
type recipeFlags struct {
	sets    []string
	plugins pluginDirs
}

func (f *recipeFlags) register(c *cobra.Command) {
	c.Flags().StringArrayVar(&f.sets, "set", nil, "change the recipe first, `PATH=VALUE`")
	f.plugins.add(c)
}

// read loads a recipe with the changes of the flags; - is standard input.
func (f *recipeFlags) read(c *cobra.Command, path string, dirs []string) (*recipe.Resolved, error) {
	o := recipe.Options{Set: f.sets, Catalog: newCatalog(path, dirs), Stages: stage.Kinds()}
	if path != "-" {
		return recipe.Load(path, o)
	}
	text, err := io.ReadAll(io.LimitReader(c.InOrStdin(), recipe.MaxFile+1))
	if err != nil {
		return nil, fmt.Errorf("read recipe from standard input: %w", err)
	}
	return recipe.Parse("-", text, o)
}

func newCheckCommand() *cobra.Command {
	var flags recipeFlags
	var asJSON bool
	c := &cobra.Command{
		Use:   "check RECIPE...",
		Short: "find every mistake in recipes; starts nothing",
		Long: `check reads recipes, their parents and the descriptions of their plugins, asks
the plugins on this PC what else is wrong with their configs and channels, and
prints every mistake with its line, a caret and what to do. It starts no run and
reaches no device. - is a recipe from standard input. A recipe with mistakes ends it with exit code 4, or with 6
where the only mistakes are plugins that are missing.

With --json each mistake is an object on a line of its own, with the keys file,
line, column, path, code, message and hint; a file that cannot be read is an event
(tsrun schema events).`,
		Args: arguments(1, math.MaxInt, "recipes"),
		RunE: func(c *cobra.Command, args []string) error {
			dirs, err := flags.plugins.all()
			if err != nil {
				return err
			}
			var worst error
			for _, path := range args {
				worst = worseOf(worst, checkOne(c, path, flags, dirs, asJSON), asJSON)
			}
			return worst
		},
	}
	flags.register(c)
	c.Flags().BoolVar(&asJSON, "json", false, "print each mistake as JSON on a line")
	return c
}

// checkOne prints what is wrong with one recipe; - is standard input.
func checkOne(c *cobra.Command, path string, flags recipeFlags, dirs []string, asJSON bool) error {
	resolved, err := flags.read(c, path, dirs)
	if err != nil {
		return reportMistakes(c.OutOrStdout(), err, asJSON)
	}
	reportNotes(c.ErrOrStderr(), resolved.Notes)
	if !asJSON {
		fmt.Fprintf(c.OutOrStdout(), "%s: OK: %s\n", path, summarize(resolved))
	}
	return nil
}

// worseOf says what of two recipes ends the command: mistakes go before plugins
// that are missing. The text of what is passed over is printed here.
func worseOf(before, after error, asJSON bool) error {
	var a, b *exitError
	switch {
	case !errors.As(before, &a):
		return after
	case !errors.As(after, &b):
		return before
	}
	if b.code != exitPlugin && a.code == exitPlugin {
		a, b = b, a
	}
	if b.err == nil {
		return a
	}
	complain(b.err)
	if asJSON {
		_ = tellProgram(standardOutput, b.err, b.code) // standard error has it
	}
	return a
}

// loadRecipe reads and checks a recipe, its plugins' configs included, for a
// command that goes on to run it. Its mistakes are said at the end of the command.
func loadRecipe(path string, sets, dirs []string) (*recipe.Resolved, error) {
	resolved, err := recipe.Load(path, recipe.Options{Set: sets, Catalog: newCatalog(path, dirs), Stages: stage.Kinds()})
	if err != nil {
		return nil, refuseRecipe(err)
	}
	reportNotes(os.Stderr, resolved.Notes)
	return resolved, nil
}

// refuseRecipe ends a command whose recipe has mistakes, or cannot be read.
func refuseRecipe(err error) error {
	var problems recipe.Problems
	if errors.As(err, &problems) {
		return &exitError{mistakeCode(problems), &mistakesError{problems}}
	}
	return &exitError{exitRecipe, err}
}

// reportMistakes prints the mistakes of a recipe and returns what ends the
// command: an error without a text when they have said it all.
func reportMistakes(out io.Writer, err error, asJSON bool) error {
	var problems recipe.Problems
	if !errors.As(err, &problems) {
		return &exitError{exitRecipe, err}
	}
	if asJSON {
		encoder := json.NewEncoder(out)
		for _, p := range problems {
			if err := encoder.Encode(p); err != nil {
				return &exitError{exitOther, err}
			}
		}
		return &exitError{mistakeCode(problems), nil}
	}
	if _, err := fmt.Fprintln(out, problems); err != nil {
		return &exitError{exitOther, err}
	}
	return &exitError{mistakeCode(problems), nil}
}

// mistakeCode is what a script learns of a recipe's mistakes: where nothing but
// plugins is missing, that.
func mistakeCode(problems recipe.Problems) int {
	if problems.OnlyPlugins() {
		return exitPlugin
	}
	return exitRecipe
}

func reportNotes(out io.Writer, notes []recipe.Problem) {
	for _, n := range notes {
		fmt.Fprintln(out, "note:", n)
	}
}

// summarize says in a few words what a recipe is of.
func summarize(resolved *recipe.Resolved) string {
	r := resolved.Recipe
	channels := 0
	for _, n := range r.Nodes {
		channels += len(n.Channels)
	}
	length := r.Acquire.Duration.String()
	if r.Acquire.Repeat > 1 {
		length = fmt.Sprintf("%s of %s", quantity.Counted(r.Acquire.Repeat, "shot"), length)
	}
	if s := resolved.Scan; s != nil {
		length = fmt.Sprintf("a series of %s of %s", quantity.Counted(s.Runs(), "run"), length)
	}
	text := fmt.Sprintf("%s, %s, %s", quantity.Counted(len(r.Nodes), "node"), quantity.Counted(channels, "channel"), length)
	if r.Simulate != nil {
		text += ", SIMULATED"
	}
	return text
}

// catalog looks plugins up in directories, by the descriptions beside them, and
// refuses those that the lock beside the recipe does not have.
type catalog struct {
	dirs    []string
	lock    host.Lock
	lockErr error
}

var _ recipe.Catalog = catalog{}

// newCatalog is for the recipe at path; - has no lock.
func newCatalog(path string, dirs []string) catalog {
	c := catalog{dirs: dirs}
	if path != "-" {
		c.lock, c.lockErr = host.ReadLock(filepath.Dir(path))
	}
	return c
}

func (k catalog) Plugin(name string) (recipe.Plugin, error) {
	component, err := host.Find(k.dirs, name)
	if err == nil {
		err = k.lockErr
	}
	if err != nil {
		return recipe.Plugin{}, err
	}
	if refusal := k.lock.Check(name, hex.EncodeToString(component.SHA256[:]), component.Path); refusal != nil {
		return recipe.Plugin{}, refusal
	}
	d := component.Description
	if d == nil {
		return recipe.Plugin{Undescribed: true}, nil
	}
	return recipe.Plugin{Driver: d.Driver(name), Sink: d.Sink(name),
		Check: func(r sdk.CheckRequest) ([]sdk.CheckMistake, error) { return component.Check(context.Background(), r) }}, nil
}
