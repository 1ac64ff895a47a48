package main

import (
	"github.com/spf13/cobra"

	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/stage"
)

func newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema [recipe | events]",
		Short: "print the JSON Schema of recipes, for editors, or of events",
		Long: `schema prints the JSON Schema that recipes are checked against. An editor with a
YAML language server marks mistakes by it when a recipe begins with the line

  # yaml-language-server: $schema=FILE

schema events prints that of a line of tsrun RECIPE --json.`,
		Args:      arguments(0, 1, "recipe, events or nothing"),
		ValidArgs: []string{"recipe", "events"},
		RunE: func(c *cobra.Command, args []string) error {
			schema := func() ([]byte, error) { return recipe.Schema(stage.Kinds()) }
			switch {
			case len(args) == 0 || args[0] == "recipe":
			case args[0] == "events":
				schema = event.EventSchema
			default:
				return usage(args[0] + " has no schema; write tsrun schema recipe or tsrun schema events")
			}
			text, err := schema()
			if err == nil {
				_, err = c.OutOrStdout().Write(text)
			}
			return err
		},
	}
}
