package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tsrun/pipeline/event"
	"tsrun/pipeline/master"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/web"
)

// summarizeEach tells of each run directory that was made.
func summarizeEach(to event.Observer, dirs []string) error {
	for _, dir := range dirs {
		m, err := run.ReadManifest(dir)
		if err != nil {
			return err
		}
		to.Observe(event.Finished{Directory: dir, Manifest: m})
	}
	return nil
}

func newCollectCommand() *cobra.Command {
	var plugins pluginDirs
	var runs, keys, page string
	var sets, nodes []string
	var asJSON bool
	c := &cobra.Command{
		Use:   "collect RECIPE",
		Short: "fetch what nodes have recorded by themselves",
		Long: `collect fetches what nodes have recorded without a master (tsrun --mode slave --node
NAME --local RECIPE). It listens where the recipe says and waits for the slaves of its
nodes on other PCs, each for as long as network.join; they offer what waits in their
--data. A node gives only what was recorded with this recipe: give collect the same
file and the same --set. The nodes of a recipe that has none on another PC are all
waited for; --node chooses.

Every file is proven by its SHA-256, and the whole recording as tsrun verify does it,
before it counts. Recordings of several nodes that overlap in time become one run
directory, on which tsrun align and the other commands work; what overlaps with none
gets one of its own. A recording is collected once. What is under way when collect
ends goes on the next time.

The names of the directories that were made are printed, a line each.`,
		Example: "  tsrun collect recipes/lab-two-pcs.yaml\n  tsrun collect recipes/lab-two-pcs.yaml --node bob",
		Args:    arguments(1, 1, "one recipe"),
		RunE: func(c *cobra.Command, args []string) error {
			if err := run.CheckSystem(); err != nil {
				return failure(err)
			}
			dirs, err := plugins.all()
			if err != nil {
				return err
			}
			whole, err := recipe.Load(args[0], recipe.Options{Set: sets, Stages: stage.Kinds()}) // as the nodes did for their marks
			if err != nil {
				return refuseRecipe(err)
			}
			resolved, err := loadRecipe(args[0], sets, dirs)
			if err != nil {
				return err
			}
			outliveTerminal()
			asked := interruptions()
			defer asked.close()
			hub, done := showing(asJSON)
			over, err := startPage(c.Context(), page, hub, web.Options{Recipe: resolved.Recipe})
			if err != nil {
				done()
				return failure(err)
			}
			made, err := master.Collect(c.Context(), master.Options{Recipe: resolved, Runs: runs, PluginDirs: dirs, Version: version, Observer: hub, Interrupts: asked.interrupts, Secure: secureMaster(keys)},
				master.Collecting{Nodes: nodes, Marks: whole.Recipe.Marks()})
			if asJSON {
				err = errors.Join(err, summarizeEach(hub, made))
			}
			done()
			over()
			for _, dir := range made {
				if asJSON {
					break // its summary has told
				}
				if _, werr := fmt.Fprintln(c.OutOrStdout(), dir); werr != nil {
					err = errors.Join(err, werr)
				}
			}
			return failure(err)
		},
	}
	c.Flags().StringVar(&runs, "runs", "runs", "`DIR` where run directories are made")
	c.Flags().StringArrayVar(&nodes, "node", nil, "wait for the node of this `NAME` and for no other; may be repeated")
	c.Flags().StringArrayVar(&sets, "set", nil, "change the recipe, `PATH=VALUE`, as it was for the recordings")
	c.Flags().BoolVar(&asJSON, "json", false, "one event a line on standard output, a summary for each directory among them")
	registerWeb(c.Flags(), &page)
	plugins.add(c)
	registerKeys(c.Flags(), &keys)
	return c
}
