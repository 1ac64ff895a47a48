package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
)

func newVerifyCommand() *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use:   "verify RUN",
		Short: "prove a run directory again: every file, hash, tag count and order",
		Long: `verify reads every file of a run directory and compares it with the run's
manifest and SHA256SUMS: presence, size, hash, number of tags, first and last
tag, order. It changes nothing. Whatever is not as it was recorded is printed
and ends it with exit code 7.`,
		Args: arguments(1, 1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			v, err := run.Verify(args[0])
			if err != nil {
				return &exitError{exitOther, err}
			}
			if err := printVerification(c, v, asJSON); err != nil {
				return &exitError{exitOther, err}
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
	switch n := len(v.Findings); {
	case n == 1:
		result = "1 finding"
	case n > 1:
		result = fmt.Sprintf("%d findings", n)
	}
	_, err := fmt.Fprintf(out, "%s: %d files, %d bytes, %d tags\n", result, v.Files, v.Bytes, v.Tags)
	return err
}
