package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"tsrun/pipeline/event"
	"tsrun/pipeline/report"
	"tsrun/pipeline/run"
)

func newReportCommand() *cobra.Command {
	var asJSON, asText bool
	var page string
	c := &cobra.Command{
		Use:   "report RUN",
		Short: "print the summary of a run again, or write its report as a page",
		Long: `report prints the summary of a run directory as the run itself did at its end. It
reads the manifest and nothing else; verify proves the files.

With --html it writes the report that each run leaves as report.html, of any run:
condition, expected and got, times, results with pictures, clocks, files, devices,
recipe, and how to load and repeat it. It is one file without scripts.`,
		Example: `  tsrun report runs/latest
  tsrun report runs/latest --text
  tsrun report runs/latest --html report.html`,
		Args: arguments(1, 1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			if asJSON && asText || (asJSON || asText) && page != "" {
				return usage("--json, --text and --html exclude each other: an answer is one of them")
			}
			m, err := run.ReadManifest(args[0])
			switch {
			case err != nil:
			case page == "-":
				err = report.Page(c.OutOrStdout(), m, args[0])
			case page != "":
				err = writeWhole(page, func(w io.Writer) error { return report.Page(w, m, args[0]) })
			case asText:
				_, err = fmt.Fprintln(c.OutOrStdout(), report.Paragraph(m))
			case asJSON:
				err = json.NewEncoder(c.OutOrStdout()).Encode(event.Finished{Directory: args[0], Manifest: m})
			default:
				err = report.Report(c.OutOrStdout(), m, args[0], widthOf(os.Stdout))
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object: directory, manifest")
	c.Flags().BoolVar(&asText, "text", false, "one paragraph, for a log book or a paper")
	c.Flags().StringVar(&page, "html", "", "write the report as a page to this `FILE`; - is standard output")
	return c
}
