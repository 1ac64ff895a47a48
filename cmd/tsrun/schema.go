package main

import (
	"github.com/spf13/cobra"

	"tsrun/pipeline/recipe"
)

func newSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema of recipes, for editors",
		Long: `schema prints the JSON Schema that recipes are checked against. An editor with a
YAML language server marks mistakes by it when a recipe begins with the line

  # yaml-language-server: $schema=FILE`,
		Args: noArguments,
		RunE: func(c *cobra.Command, _ []string) error {
			text, err := recipe.Schema()
			if err == nil {
				_, err = c.OutOrStdout().Write(text)
			}
			if err != nil {
				return &exitError{exitOther, err}
			}
			return nil
		},
	}
}
