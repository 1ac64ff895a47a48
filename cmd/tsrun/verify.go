package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

func newVerifyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify RUN",
		Short: "prove a run directory again: every file, hash, tag count and order",
		Long: `verify reads every file of a run directory and compares it with the run's
manifest and SHA256SUMS: presence, size, hash, number of tags, first and last
tag, order; and recipe, results and log with what the manifest says of them. It changes
nothing. Whatever is not as it was recorded is printed and ends it with exit code 7.`,
		Args: arguments(1, 1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			v, err := run.Verify(args[0])
			if err != nil {
				return err
			}
			if err := printVerification(c, v, asJSON); err != nil {
				return err
			}
			if len(v.Findings) > 0 {
				return &exitError{exitVerify, nil} // the findings say why
			}
			return nil
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return c
}

func printVerification(c *cobra.Command, v run.Verification, asJSON bool) error {
	out := c.OutOrStdout()
	if asJSON {
		return json.NewEncoder(out).Encode(v)
	}
	for _, f := range v.Findings {
		if _, err := fmt.Fprintf(out, "%s: %s: %s\n", text.Printable(f.File), f.Code, text.Printable(f.Message)); err != nil {
			return err
		}
	}
	result := "all is as it was recorded"
	if n := len(v.Findings); n > 0 {
		result = quantity.Counted(n, "finding")
	}
	for _, name := range v.Notes {
		if _, err := fmt.Fprintf(out, "%s: a note, which is not looked at\n", text.Printable(name)); err != nil {
			return err
		}
	}
	for _, name := range v.Beside {
		if _, err := fmt.Fprintf(out, "%s: no file of the run, which is not looked at\n", text.Printable(name)); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(out, "%s: %s, %s, %s\n", result, quantity.Counted(v.Files, "file"), quantity.Counted(v.Bytes, "byte"), quantity.Counted(v.Tags, "tag"))
	return err
}
