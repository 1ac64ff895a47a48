package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tsrun/pipeline/drill"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// drillFlags are the flags of tsrun drill.
type drillFlags struct {
	recipe  recipeFlags
	options drill.Options
	faults  []string
	minutes float64
	longest quantity.Time
	asJSON  bool
}

func newDrillCommand() *cobra.Command {
	var f drillFlags
	c := &cobra.Command{
		Use:   "drill RECIPE",
		Short: "break runs of a recipe at random while they go on, and say what was lost",
		Long: `drill runs a recipe again and again, breaks each run at random while it goes on, and
proves afterwards that nothing was lost without a word. It starts the program itself:
a master, and slaves as processes of this PC; all nodes but the one that decides the
instant reach the master over a link of the drill, as if they were on other PCs.

Each run has two to four faults of these kinds:

  kill  kill -9 of the master, a slave, a driver or a sink; a slave is started anew
  stop  one of them stands still (SIGSTOP) for 0.1 s to 10 s
  cut   the link of a node is cut for 0.1 s to 20 s: its connections are closed, or
        nothing passes, or only the master's end is gone
  slow  its link is late (5 ms to 1 s each way), or uneven (each connection late by
        itself, so that one overtakes another), or narrow (100 kbit/s to 8 Mbit/s)
  disk  no file that a slave and its sinks, or the master, write may grow beyond a
        limit, as on a full disk (error EFBIG), for 0.1 s to 10 s

Which faults, when and for how long follows from the seed alone: run N of a drill has
the seed --seed + N, and the same seed breaks a run in the same way.

A run is as it should be when it ends, or is finished by tsrun resume; every file that
a sink has closed is with the master, once and bit for bit, or is kept at its node with
a reason in the manifest; the manifest gives a reason for everything that is missing;
and no process is left. Otherwise its directory is kept, with the command that breaks
it in the same way once more, and drill ends with exit code 3.

Only simulated controllers are drilled, unless --real is said. The master waits for a
node at most 30 s, unless --set faults.patience=... says otherwise. With no address
but that of the loopback this PC has no links, and the faults cut and slow are left out.`,
		Example: `  tsrun drill recipes/coincidence.yaml
  tsrun drill recipes/coincidence.yaml --faults kill,cut --minutes 10 --runs 0
  tsrun drill recipes/coincidence.yaml --seed 17 --runs 1 --set 'acquire.duration=3 s'`,
		Args: arguments(1, 1, "one recipe"),
		RunE: f.run,
	}
	flags := c.Flags()
	var all []string
	for _, k := range drill.Kinds() {
		all = append(all, string(k))
	}
	flags.StringSliceVar(&f.faults, "faults", all, "break runs in these ways only, `KINDS` with commas between them")
	completeList(c, "faults", all)
	flags.TextVar(&f.longest, "longest", quantity.Time(0), "let no fault last longer, `TIME`; as long as its kind may by default")
	flags.Uint64Var(&f.options.Seed, "seed", 1, "the seed of the first run, `NUMBER`")
	flags.IntVar(&f.options.Runs, "runs", 10, "break so many runs, `NUMBER`; 0: until --minutes have passed")
	flags.Float64Var(&f.minutes, "minutes", 0, "begin no run after so many `MINUTES`; 0: at any time")
	flags.IntVar(&f.options.AtOnce, "at-once", 1, "let so many runs go on beside each other, `NUMBER`")
	flags.StringVar(&f.options.Dir, "dir", "drill", "`DIR` where the directories of runs are made; those with nothing wrong are removed")
	flags.BoolVar(&f.options.Real, "real", false, "controllers may be real: their drivers are killed, too")
	flags.BoolVar(&f.asJSON, "json", false, "one JSON object: runs, kinds, closed, here, kept, tags, defects")
	f.recipe.register(c)
	return c
}

func (f *drillFlags) run(c *cobra.Command, args []string) error {
	if err := run.CheckSystem(); err != nil {
		return failure(err)
	}
	if err := f.check(); err != nil {
		return err
	}
	var err error
	if f.options.PluginDirs, err = f.recipe.plugins.all(); err != nil {
		return err
	}
	resolved, err := loadRecipe(args[0], f.recipe.sets, f.options.PluginDirs)
	if err != nil {
		return err
	}
	f.options.Recipe, f.options.Path, f.options.Set = resolved.Recipe, args[0], f.recipe.sets
	if f.options.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("find tsrun's own program: %w", err)
	}
	ctx, stop := interruptible(c.Context())
	defer stop()
	report := drill.Report{Runs: []drill.Result{}}
	err = drill.Run(ctx, f.options, func(r drill.Result) {
		report.Add(r)
		if !f.asJSON {
			_ = r.Print(os.Stderr) // how it is going; the result is the table
		}
	})
	if len(report.Runs) == 0 && err != nil {
		return failure(err)
	}
	if printed := f.print(c, &report); printed != nil {
		return printed
	}
	switch {
	case ctx.Err() != nil:
		return &exitError{exitInterrupted, nil}
	case err != nil:
		return failure(err)
	case report.Defects > 0:
		return &exitError{exitNotGood, nil} // the report says what
	}
	return nil
}

// check reads the flags that are no plain numbers.
func (f *drillFlags) check() error {
	kinds := map[string]drill.Kind{}
	var known []string
	for _, k := range drill.Kinds() {
		kinds[string(k)] = k
		known = append(known, string(k))
	}
	f.options.Faults = nil
	for _, name := range f.faults {
		k, ok := kinds[strings.TrimSpace(name)]
		if !ok {
			return usage(fmt.Sprintf("--faults %q: the kinds of faults are %s", name, listed(known)))
		}
		f.options.Faults = append(f.options.Faults, k)
	}
	const longest = 365 * 24 * 60 // minutes
	switch {
	case len(f.options.Faults) == 0:
		return usage("--faults: name at least one of " + listed(known))
	case !(f.minutes >= 0 && f.minutes <= longest):
		return usage(fmt.Sprintf("--minutes %v: write a number of minutes from 0 to %d", f.minutes, longest))
	case f.options.Runs < 0 || f.options.Runs == 0 && f.minutes == 0:
		return usage("--runs: write a number of runs, or --runs 0 with --minutes")
	case f.options.AtOnce < 1 || f.options.AtOnce > 64:
		return usage("--at-once: write a number of runs from 1 to 64")
	}
	if f.longest < 0 {
		return usage("--longest: write a time of more than 0")
	}
	f.options.Longest = f.longest.Duration()
	f.options.Within = time.Duration(f.minutes * float64(time.Minute))
	return nil
}

func (f *drillFlags) print(c *cobra.Command, report *drill.Report) error {
	if f.asJSON {
		return json.NewEncoder(c.OutOrStdout()).Encode(report)
	}
	return report.Print(c.OutOrStdout())
}
