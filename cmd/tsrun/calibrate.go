package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/calibrate"
	"tsrun/pipeline/text"
)

func newCalibrateCommand() *cobra.Command {
	var asJSON, write bool
	c := &cobra.Command{
		Use:   "calibrate RUN",
		Short: "propose the compensation that starts the controllers of a run together",
		Long: `calibrate compares when the controllers of a run began, as its align stages found in
the photons, with when they should have, and says which values of
trigger.compensation would start them together the next time, as lines of the recipe.

With --write it puts them into the file of the recipe that they stand in, if that is
still as the run has read it: comments and layout stay.`,
		Example: "  tsrun calibrate runs/latest\n  tsrun calibrate runs/latest --write",
		Args:    arguments(1, 1, "one run directory"),
		RunE: func(c *cobra.Command, args []string) error {
			p, m, err := calibrate.Of(args[0])
			if err != nil {
				return err
			}
			if write && p.Refused == "" {
				if err := p.Write(m); err != nil {
					return &exitError{exitNotGood, fmt.Errorf("%w\n%s", err, strings.Join(p.Lines, "\n"))}
				}
			}
			if asJSON {
				err = json.NewEncoder(c.OutOrStdout()).Encode(p)
			} else {
				err = printProposal(c.OutOrStdout(), p)
			}
			if err == nil && p.Refused != "" {
				err = &exitError{code: exitNotGood}
				if !asJSON {
					err = &exitError{exitNotGood, errors.New("nothing is proposed: " + p.Refused + prefixed("; ", p.Hint))}
				}
			}
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "one JSON object: pairs, compensation, lines, written")
	c.Flags().BoolVar(&write, "write", false, "put the values into the file of the recipe that they stand in")
	return c
}

// printProposal writes how each pair of nodes started, and the lines of the recipe,
// which nothing follows, so that they can be copied.
func printProposal(out io.Writer, p *calibrate.Proposal) error {
	var b strings.Builder
	if p.Simulated {
		b.WriteString("SIMULATED: what is proposed is for simulated controllers alone\n")
	}
	for _, pair := range p.Pairs {
		pairWords(&b, pair)
	}
	for _, c := range p.Compensation {
		fmt.Fprintf(&b, "%s: compensation %s, was %s\n", c.Node, c.Text, c.WasText)
	}
	for _, w := range p.Written {
		what := "now has it"
		if w.Already {
			what = "has it already"
		}
		fmt.Fprintf(&b, "%s %s\n", text.Printable(w.File), what)
	}
	if p.Refused == "" && len(p.Lines) == 0 {
		b.WriteString("nothing is to be changed\n")
	}
	if len(p.Lines) > 0 {
		b.WriteString("\n" + strings.Join(p.Lines, "\n") + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

func pairWords(b *strings.Builder, p calibrate.Pair) {
	of := text.Printable(p.Stage)
	if p.Shot > 0 {
		of = fmt.Sprintf("%s, shot %d", of, p.Shot)
	}
	if p.Later != nil {
		fmt.Fprintf(b, "%s: by the photons %s began %s us after %s; known before: %s ± %s us\n", of, p.Target,
			micros(*p.Later), p.Reference, micros(float64(*p.Predicted)), micros(float64(*p.PredictedBound)))
		fmt.Fprintf(b, "  of that, %s us by when the commands were given; the clocks of the PCs are known to %s us\n",
			micros(float64(*p.Fired)), micros(float64(*p.ClockBound)))
	}
	if p.Shots > 0 {
		known := ""
		if p.ChangeSD != nil {
			known = fmt.Sprintf(", known to %s us as they scatter", micros(*p.ChangeSD))
		}
		fmt.Fprintf(b, "  that shot is in the middle of %d, which say by how much the compensation is off%s\n", p.Shots, known)
	}
	if p.Refused != "" {
		fmt.Fprintf(b, "  %s\n", text.Printable(p.Refused))
	}
}

// micros writes ns as us, to what a start is known to; what is rounded to zero has no sign.
func micros(ns float64) string {
	if s := fmt.Sprintf("%.1f", ns/1000); s != "-0.0" {
		return s
	}
	return "0.0"
}
