package main

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tsrun/pipeline/recipe"
	"tsrun/pipeline/stage"
	"tsrun/sdk/tagfile"
	"tsrun/sim/idq"
	"tsrun/sim/tdc1"
	"tsrun/sim/ticc"
)

// What is wrong with a command line is said in tsrun's own words, and ends it
// with exitUsage.

// arguments lets a command take at least and at most so many words; what says
// which, as "one run directory".
func arguments(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) >= least && len(args) <= most && quoteHint(args) == "" {
			return nil
		}
		given := "none is given"
		if len(args) > 0 {
			given = fmt.Sprintf("%d are given: %s", len(args), strings.Join(args, " "))
		}
		if len(args) == 1 {
			given = "only " + args[0] + " is given"
		}
		return usage(fmt.Sprintf("%s takes %s, %s; write %s%s", c.Name(), what, given, synopsis(c), quoteHint(args)))
	}
}

// noArguments is of a command that takes none; a word may be a command below it.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, below := range c.Commands() {
		names = append(names, below.Name())
	}
	if c.HasSubCommands() && len(names) > 0 {
		return usage(strings.TrimSuffix(fmt.Sprintf("%s is no command of %s; %s", args[0], c.CommandPath(), recipe.DidYouMean(args[0], names)), "; "))
	}
	return usage(fmt.Sprintf("%s takes no arguments, %s is given; write %s", c.Name(), strings.Join(args, " "), synopsis(c)))
}

// knownCommand takes the words of a command, or none.
func knownCommand(c *cobra.Command, args []string) error {
	at := c.Root()
	for i, word := range args {
		below, rest, err := at.Find([]string{word})
		if err != nil || len(rest) > 0 || below == at {
			return noArguments(at, args[i:])
		}
		at = below
	}
	return nil
}

// synopsis is how a command is written, with the commands above it.
func synopsis(c *cobra.Command) string {
	if c.HasParent() {
		return c.Parent().CommandPath() + " " + c.Use
	}
	return c.Use
}

// quoteHint suspects a value with a space that the shell has taken apart.
func quoteHint(args []string) string {
	for _, word := range args {
		if isUnit(word) {
			return fmt.Sprintf("; quote a value with a space, as '1 %s'", word)
		}
	}
	return ""
}

func isUnit(word string) bool {
	if _, err := os.Stat(word); err == nil {
		return false
	}
	switch word {
	case "ps", "ns", "us", "µs", "ms", "s", "min", "h", "V", "mV", "Hz", "kHz", "MHz", "ppb", "ppm", "ppt":
		return true
	}
	return false
}

// plainWords prepares a tree of commands: errors about flags are tsrun's, and a
// quantity that is nothing by itself shows no default.
func plainWords(c *cobra.Command) {
	c.SetFlagErrorFunc(flagError)
	completeValues(c)
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if f.DefValue == "0 s" || len(f.Annotations[cobra.BashCompOneRequiredFlag]) > 0 {
			f.DefValue = ""
		}
	})
	switch c.Name() {
	case "completion":
		c.Short = "print what lets a shell complete tsrun's commands, flags and values"
		c.Args, c.RunE = noArguments, func(c *cobra.Command, _ []string) error { return c.Help() }
	case "help":
		c.Short = "say how a command is used"
		c.Args = knownCommand
	}
	if c.HasParent() && c.Parent().Name() == "completion" {
		c.Args = noArguments
	}
	c.PreRunE = checkFlags
	for _, below := range c.Commands() {
		plainWords(below)
	}
}

// checkFlags says which flags a command needs and has not, which exclude each other,
// and whether an answer would replace what it is made of.
func checkFlags(c *cobra.Command, args []string) error {
	var missing []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if len(f.Annotations[cobra.BashCompOneRequiredFlag]) > 0 && !f.Changed {
			missing = append(missing, "--"+f.Name)
		}
	})
	if len(missing) > 0 {
		return usage(fmt.Sprintf("%s needs %s; write %s", c.Name(), listed(missing), synopsis(c)))
	}
	if c.Flags().Changed("csv") && c.Flags().Changed("json") {
		return usage("--csv and --json exclude each other: an answer is one of them, not both")
	}
	for _, name := range outputs {
		if out := c.Flags().Lookup(name); out != nil && out.Changed {
			if err := spare(name, out.Value.String(), append(alignments(c), args...)); err != nil {
				return err
			}
		}
	}
	return nil
}

// listed writes names as "a, b and c".
func listed(names []string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// flagError says in plain words what is wrong with a flag.
func flagError(c *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var bare *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		return usage(unknownFlag(c, unknown))
	case errors.As(err, &bare):
		return usage(fmt.Sprintf("--%s needs a value%s", bare.GetFlag().Name, prefixed(": ", exampleOf(bare.GetFlag()))))
	case errors.As(err, &invalid):
		name, why := invalid.GetFlag().Name, invalid.Unwrap()
		if invalid.GetFlag().Value.Type() == "bool" {
			return usage(fmt.Sprintf("--%s is a switch and takes no value, not %q", name, invalid.GetValue()))
		}
		return usage(fmt.Sprintf("--%s %q: %v", name, invalid.GetValue(), why))
	}
	return usage(err.Error())
}

func exampleOf(f *pflag.Flag) string {
	name, text := pflag.UnquoteUsage(f)
	return strings.TrimSpace("--" + f.Name + " " + strings.ToUpper(name) + ", " + text)
}

func unknownFlag(c *cobra.Command, e *pflag.NotExistError) string {
	if short := e.GetSpecifiedShortnames(); short != "" {
		return fmt.Sprintf("%s has no flag -%s; flags have two dashes: see %s --help", c.Name(), short, c.CommandPath())
	}
	var names []string
	c.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			names = append(names, "--"+f.Name)
		}
	})
	given := "--" + e.GetSpecifiedName()
	hint := recipe.DidYouMean(given, names)
	if hint == "" {
		hint = "see " + c.CommandPath() + " --help"
	}
	return fmt.Sprintf("%s has no flag %s; %s", c.Name(), given, hint)
}

// notCommands are words that other programs have for what tsrun does otherwise.
var notCommands = map[string]string{
	"run":    "a recipe runs by its name alone: tsrun RECIPE",
	"slave":  "a slave is started with tsrun --mode slave --node NAME --master HOST",
	"master": "a recipe runs by its name alone: tsrun RECIPE",
	"start":  "a recipe runs by its name alone: tsrun RECIPE",
}

// recipeOrNothing takes one recipe. A word that is neither a file nor a command
// is most likely a command with a typing error.
func recipeOrNothing(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if _, err := os.Stat(args[0]); err != nil && args[0] != "-" {
		if instead, ok := notCommands[args[0]]; ok {
			return usage(fmt.Sprintf("%s is no command: %s", args[0], instead))
		}
		if near := c.SuggestionsFor(args[0]); len(near) > 0 {
			return usage(fmt.Sprintf("%s is no recipe and no command; did you mean %q?", args[0], near[0]))
		}
	}
	if len(args) > 1 {
		return usage(fmt.Sprintf("one recipe at a time, not %d: %s%s", len(args), strings.Join(args, " "), quoteHint(args[1:])))
	}
	return nil
}

// completeValues lets the shell offer the values that flags of a command take, and recipes and
// the directories of runs where it takes these.
func completeValues(c *cobra.Command) {
	faults := map[string][]string{"idq": idq.Faults.List(), "tdc1": tdc1.Faults.List(), "ticc": ticc.Faults.List()}
	values := map[string][]string{"by": {stage.ByPairs, stage.ByMarkers}, "fault": faults[c.Name()], "format": tagfile.Formats(),
		"out-format": tagfile.Formats(), "mode": {"master", "slave"}}
	for name, list := range values {
		if c.Flags().Lookup(name) == nil {
			continue
		}
		if err := c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(list, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the command has the flag, and nobody else completes it
		}
	}
	if c.ValidArgsFunction != nil || c.HasSubCommands() {
		return // a shell that is told to filter files offers no commands
	}
	switch _, takes, _ := strings.Cut(c.Use, " "); takes {
	case "RECIPE", "[RECIPE]", "RECIPE...":
		c.ValidArgsFunction = completeRecipes
	case "RUN", "RUN RUN", "DIR":
		c.ValidArgsFunction = completeDirectories
	}
}

// completeList lets the shell offer values of a flag that takes several with commas between:
// behind those that stand there, those that do not.
func completeList(c *cobra.Command, name string, values []string) {
	err := c.RegisterFlagCompletionFunc(name, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		chosen := strings.Split(typed, ",")
		chosen = chosen[:len(chosen)-1]
		var offered []string
		for _, v := range values {
			if !slices.Contains(chosen, v) {
				offered = append(offered, strings.Join(append(slices.Clone(chosen), v), ","))
			}
		}
		return offered, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	})
	if err != nil {
		panic(err) // the command has the flag, and nobody else completes it
	}
}

// plainUsages takes the marks of value names out of what flags say: a shell that completes
// shows them as they are.
func plainUsages(c *cobra.Command) {
	plain := func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") }
	c.Flags().VisitAll(plain)
	c.PersistentFlags().VisitAll(plain)
	for _, below := range c.Commands() {
		plainUsages(below)
	}
}

// completeDirectories offers directories, as those of runs are.
func completeDirectories(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	return nil, cobra.ShellCompDirectiveFilterDirs
}
