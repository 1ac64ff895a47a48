package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/quantity"
)

type coincidencesFlags struct {
	tagFiles
	window, offset quantity.Time
	asJSON         bool
}

func newCoincidencesCommand() *cobra.Command {
	var f coincidencesFlags
	c := &cobra.Command{
		Use:   "coincidences A [B] --window D",
		Short: "count pairs of tags within a window, and what of them is chance",
		Long: `Count pairs of tags within a window, and what of them is chance.

A pair has |B - A| of at most half the window, both ends included. Accidentals
are the mean of eight windows of the same width, shifted by ten windows and more
(at least 1 us) to both sides.` + tagFilesHelp,
		RunE: func(c *cobra.Command, args []string) error { return runCoincidences(c, args, f) },
	}
	f.add(c)
	c.Flags().TextVar(&f.window, "window", f.window, `full width of the window, as "1 ns"`)
	c.Flags().TextVar(&f.offset, "offset", f.offset, "B minus A of the clocks; it is subtracted from B")
	c.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object")
	if err := c.MarkFlagRequired("window"); err != nil {
		panic(err) // the flag is the one above
	}
	return c
}

// coincidencesAnswer is what --json prints: counts as they are, rates per
// second of the time both recorded, and the coincidence-to-accidental ratio
// where there were accidentals.
type coincidencesAnswer struct {
	correlate.Coincidences
	AllRate   float64  `json:"all_hz"`
	NetRate   float64  `json:"net_hz"`
	NetRateSD float64  `json:"net_sd_hz"`
	CAR       *float64 `json:"car,omitempty"`
	CARSD     *float64 `json:"car_sd,omitempty"`
}

func runCoincidences(c *cobra.Command, args []string, f coincidencesFlags) error {
	correction, err := correlate.NewCorrection(correlate.Line{Offset: int64(f.offset)})
	if err != nil {
		return &exitError{exitUsage, err}
	}
	o := correlate.CoincidenceOptions{Window: int64(f.window)}
	if err := o.Check(); err != nil {
		return &exitError{exitUsage, err}
	}
	a, b, done, err := f.openBoth(args)
	defer done()
	if err != nil {
		return err
	}
	found, err := correlate.Coincide([]correlate.Channel{{Tags: a}, {Tags: b, Correction: correction}}, o)
	if err == nil {
		if f.asJSON {
			err = json.NewEncoder(c.OutOrStdout()).Encode(answerOf(found))
		} else {
			err = printCoincidences(c.OutOrStdout(), found)
		}
	}
	if err != nil {
		return &exitError{exitOther, err}
	}
	return nil
}

func answerOf(found correlate.Coincidences) coincidencesAnswer {
	r := coincidencesAnswer{Coincidences: found}
	r.AllRate, _ = found.Rate(float64(found.All), 0)
	r.NetRate, r.NetRateSD = found.Rate(found.Net, found.NetSD)
	if car, sd, ok := found.CAR(); ok {
		r.CAR, r.CARSD = &car, &sd
	}
	return r
}

func printCoincidences(out io.Writer, c correlate.Coincidences) error {
	half := float64(c.Window) / 2
	rate, sd := c.Rate(c.Net, c.NetSD)
	_, err := fmt.Fprintf(out, `window       ±%.6g ps, %.4g s recorded by both
tags         A %d, B %d
coincidences %d, standard deviation %.3g; each tag once %d
accidentals  %s
net          %s, %s
`,
		half, float64(c.Overlap)/1e12, c.TagsA, c.TagsB,
		c.All, math.Sqrt(float64(c.All)), c.OneToOne,
		withSD(c.Accidentals, c.AccidentalsSD, "by chance"),
		withSD(c.Net, c.NetSD, "pairs"), withSD(rate, sd, "per s"))
	if err != nil {
		return err
	}
	if car, sd, ok := c.CAR(); ok {
		_, err = fmt.Fprintf(out, "CAR          %s\n", withSD(car, sd, "coincidences per accidental"))
	}
	return err
}
