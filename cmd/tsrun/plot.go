package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/plot"
	"tsrun/pipeline/report"
	"tsrun/pipeline/run"
	"tsrun/pipeline/text"
	"tsrun/sdk/tagfile"
)

func newPlotCommand() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:   "plot RUN|FILE [NAME]",
		Short: "draw one picture of a run, or of a table of results, as SVG",
		Long: `plot draws one picture as SVG: of a run directory that which is named, as its report
has it, or of a table (.csv) that a stage or a command wrote. Without NAME it lists
the pictures of the run. Of more points than 2000 the lowest and the highest of each
stretch are drawn.`,
		Example: `  tsrun plot runs/latest
  tsrun plot runs/latest g2 --svg g2.svg
  tsrun plot runs/latest/results/g2.csv > g2.svg`,
		Args: arguments(1, 2, "a run directory and the name of a picture, or one table"),
		RunE: func(c *cobra.Command, args []string) error {
			if info, err := os.Stat(args[0]); err == nil && info.IsDir() {
				return plotRun(c, args, out)
			}
			if len(args) > 1 {
				return usage("a table has one picture, which has no name")
			}
			return plotTable(c, args[0], out)
		},
	}
	c.Flags().StringVar(&out, "svg", "-", "write the picture to this `FILE`, whole or not at all; - is standard output")
	return c
}

func plotRun(c *cobra.Command, args []string, out string) error {
	m, err := run.ReadManifest(args[0])
	if err != nil {
		return err
	}
	if len(args) == 1 && out != "-" {
		return usage("a run has several pictures: name the one that --svg is of; tsrun plot RUN lists them")
	}
	var names []string
	for _, d := range report.Pictures(args[0], m) {
		if len(args) > 1 && d.Name == args[1] {
			return writePicture(c, d.Picture, out)
		}
		names = append(names, text.Printable(d.Name))
	}
	if len(args) > 1 {
		return usage(fmt.Sprintf("the run has no picture %q; it has %s", args[1], strings.Join(names, ", ")))
	}
	_, err = fmt.Fprintln(c.OutOrStdout(), strings.Join(names, "\n"))
	return err
}

func plotTable(c *cobra.Command, path, out string) (err error) {
	info, err := os.Stat(path)
	if err == nil && !info.Mode().IsRegular() { // which may have no end
		return fmt.Errorf("%s is %s, not a regular file; name a table (.csv) of results, or a run directory", path, tagfile.KindOf(info.Mode()))
	}
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	picture, err := report.PictureOf(filepath.Base(path), file)
	if err != nil {
		return fmt.Errorf("%s: %w; name a table (.csv) of results, or a run directory", path, err)
	}
	return writePicture(c, picture, out)
}

func writePicture(c *cobra.Command, p plot.Picture, out string) error {
	if out == "-" {
		return plot.File(c.OutOrStdout(), p)
	}
	return writeWhole(out, func(w io.Writer) error { return plot.File(w, p) })
}
