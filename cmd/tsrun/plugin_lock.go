package main

import (
	"encoding/hex"
	"fmt"
	"path/filepath"

	"github.com/spf13/cobra"

	"tsrun/pipeline/host"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
)

func newPluginLockCommand() *cobra.Command {
	var flags recipeFlags
	var add bool
	c := &cobra.Command{
		Use:   "lock RECIPE",
		Short: "pin the plugins of a recipe by the SHA-256 of their programs",
		Long: `lock writes tsrun.lock beside the recipe: the SHA-256 of the program of each plugin
that it names. From then on check and a run refuse a plugin whose program is another,
on this PC before it is started, and on other PCs before anything is recorded. Where
PCs have other programs of the same plugins, add those with --add on each PC to one
file. The recipes of one directory have one lock.`,
		Args: arguments(1, 1, "one recipe"),
		RunE: func(c *cobra.Command, args []string) error { return lockPlugins(c, args[0], flags, add) },
	}
	flags.register(c)
	c.Flags().BoolVar(&add, "add", false, "keep what the lock pins already")
	return c
}

func lockPlugins(c *cobra.Command, path string, flags recipeFlags, add bool) error {
	dirs, err := flags.plugins.all()
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	lock := host.Lock{}
	if add {
		if lock, err = host.ReadLock(dir); err != nil {
			return failure(err)
		}
		if lock == nil {
			lock = host.Lock{}
		}
	}
	// Without a catalog: no plugin is asked before it is pinned.
	resolved, err := recipe.Load(path, recipe.Options{Set: flags.sets, Stages: stage.Kinds()})
	if err != nil {
		return refuseRecipe(err)
	}
	for _, name := range resolved.Recipe.Plugins() {
		component, err := host.Find(dirs, name)
		if err != nil {
			return failure(err)
		}
		lock.Pin(component)
		if _, err := fmt.Fprintf(c.OutOrStdout(), "%s  %s at %s\n", hex.EncodeToString(component.SHA256[:]), name, text.Printable(component.Path)); err != nil {
			return err
		}
	}
	return lock.Write(dir)
}
