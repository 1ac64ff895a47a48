package main

import "github.com/spf13/cobra"

func newShowCommand() *cobra.Command {
	var flags recipeFlags
	c := &cobra.Command{
		Use:   "show RECIPE",
		Short: "print a recipe as it would run, with the origin of each value",
		Long: `show prints the resolved recipe: parents merged, --set applied, variables
replaced, defaults filled in. Beside each value stands where it comes from. What
it prints is a recipe itself. It starts nothing. - is a recipe from standard input.`,
		Args: arguments(1, 1, "one recipe"),
		RunE: func(c *cobra.Command, args []string) error {
			dirs, err := flags.plugins.all()
			if err != nil {
				return err
			}
			resolved, err := flags.read(c, args[0], dirs)
			if err != nil {
				return refuseRecipe(err)
			}
			reportNotes(c.ErrOrStderr(), resolved.Notes)
			_, err = c.OutOrStdout().Write(resolved.YAML())
			return err
		},
	}
	flags.register(c)
	return c
}
