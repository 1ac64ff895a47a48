// Command tsrun starts Time Controllers together from one recipe, brings their
// tags to one place and finds how far their clocks were apart.
//
// This package holds flags and printing, one file per command; the work is
// done by the rooms of pipeline.
//
// Results go to standard output, everything about how it is going to standard
// error, so that a result can be piped. Messages start in lower case and end
// without a full stop.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

func main() {
	takeQuitForInterrupt()
	os.Exit(execute(os.Args[1:]))
}

// execute runs one command line and returns the exit code.
func execute(args []string) int {
	root := newRootCommand()
	root.SetArgs(joinAddress(args))
	if len(args) > 0 && args[0] == cobra.ShellCompRequestCmd {
		plainUsages(root)
	}
	root.SetOut(standardOutput)
	c, err := root.ExecuteC()
	var code *exitError
	if standardOutput.failed != nil && !errors.As(err, &code) {
		err = &exitError{exitOther, standardOutput.failed}
	}
	switch {
	case err == nil:
		return exitGood
	case !errors.As(err, &code):
		code = &exitError{exitOther, err}
	}
	if code.err == nil {
		return code.code // the command has said why
	}
	complain(code.err)
	if wantsJSON(c, args) {
		_ = tellProgram(standardOutput, code.err, code.code) // standard error has it
	}
	return code.code
}

// complain says what is wrong, and what about this process may be behind it. The mistakes
// of a recipe speak for themselves.
func complain(err error) {
	var m *mistakesError
	if errors.As(err, &m) {
		fmt.Fprintln(os.Stderr, m.problems)
		return
	}
	said := err.Error()
	if why := run.Circumstances(err); !strings.HasSuffix(said, why) {
		said += "; " + why
	}
	fmt.Fprintf(os.Stderr, "tsrun: %s\n", text.PrintableLines(said))
}

// Exit codes are an API: scripts rely on them, docs/exit-codes.md lists them.
const (
	exitGood        = 0
	exitOther       = 1
	exitUsage       = 2
	exitNotGood     = 3
	exitRecipe      = 4
	exitPreflight   = 5
	exitPlugin      = 6
	exitVerify      = 7
	exitInterrupted = 130
)

// exitError ends the program with a code of its own. A nil err means that the
// command has already said what is wrong.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string { return fmt.Sprint(e.err) }
func (e *exitError) Unwrap() error { return e.err }

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "tsrun RECIPE",
		Short: "start Time Controllers together and find their clocks in the photons",
		Long: `tsrun starts the Time Controllers of several PCs together from one recipe, brings
their time tags to this PC, verified and complete, and finds from the photons how far
the clocks were apart. A run leaves a directory in runs/ that says what was recorded,
by what, when and in which condition.

On the other PC: tsrun --mode slave --node NAME --master ADDRESS-OF-THIS-PC
Without a network: tsrun --mode slave --node NAME --local RECIPE records the part of
one node, and keeps it for tsrun collect`,
		Example: `  tsrun recipes/coincidence.yaml
  tsrun recipes/coincidence.yaml --set 'acquire.duration=10 s' --json
  tsrun check recipes/lab-two-pcs.yaml
  tsrun verify runs/latest`,
		Version:                    version,
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		SilenceErrors:              true,
	}
	var flags runFlags
	flags.register(root)
	root.Args = recipeOrNothing
	root.ValidArgsFunction = completeFirst
	root.RunE = flags.start
	root.AddCommand(commands()...)
	root.InitDefaultCompletionCmd()
	root.InitDefaultHelpCmd()
	plainWords(root)
	return root
}

// commands lists every command; each lives in a file of its own, those that count
// in package stage.
func commands() []*cobra.Command {
	return append(countCommands(),
		newWatchCommand(),
		newCheckCommand(),
		newShowCommand(),
		newSimCommand(),
		newDoctorCommand(),
		newVerifyCommand(),
		newDrillCommand(),
		newReportCommand(),
		newPlotCommand(),
		newWebCommand(),
		newRunsCommand(),
		newRerunCommand(),
		newResumeCommand(),
		newCollectCommand(),
		newAlignCommand(),
		newDriftCommand(),
		newClockCommand(),
		newCalibrateCommand(),
		newConvertCommand(),
		newInfoCommand(),
		newPluginCommand(),
		newHubCommand(),
		newFollowCommand(),
		newServiceCommand(),
		newPairCommand(),
		newKeysCommand(),
		newSchemaCommand(),
		newVersionCommand(),
		newManCommand(),
	)
}

// group is a command that does nothing itself: those below it do.
func group(name, short string, below ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{Use: name, Short: short, Args: noArguments, RunE: func(c *cobra.Command, _ []string) error { return c.Help() }}
	c.AddCommand(below...)
	return c
}
