package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/stage"
	"tsrun/sdk/quantity"
)

type coincidencesFlags struct {
	channelFiles
	window, shift quantity.Time
	period        quantity.Period
	output
}

func newCoincidencesCommand() *cobra.Command {
	var f coincidencesFlags
	c := &cobra.Command{
		Use:   "coincidences FILE... --window D",
		Short: "count what two to eight channels saw together, and what of it is chance",
		Long: `Count what two to eight channels saw together, and what of it is chance.

A coincidence is one tag of each channel, no two further apart than half the
window; a pair has |B - A| of at most half the window, both ends included.
Accidentals come from windows of the same width, shifted by ten windows and more
(at least 1 us and beyond dead times, or --shift) to both sides, by whole periods
of light that is pulsed or gated. Heralding is net coincidences over
those without one channel, of a pair over the other's singles.` + clocksHelp + manyFilesHelp,
		Example: `  tsrun coincidences alice.bin bob.bin --window '1 ns' --align align.json
  tsrun coincidences recording.ptu --channel 1,2,3 --window '1 ns' --offset '0 ps,24 ns'`,
		RunE: func(c *cobra.Command, args []string) error { return runCoincidences(c, args, f) },
	}
	f.channelFiles.add(c, correlate.MaxChannels)
	c.Flags().TextVar(&f.window, "window", f.window, "full width of the window, a `TIME` as \"1 ns\"")
	c.Flags().TextVar(&f.shift, "shift", f.shift, "`TIME` between the windows of accidentals; longer than dead times")
	c.Flags().TextVar(&f.period, "period", f.period, "`TIME` between pulses or gates, of which shifts are whole ones; found where it is left out")
	f.output.add(c, "per coincidence: a_ps,b_ps,delta_ps,one_to_one; a_ps,b_ps,c_ps,...,delta_b_ps,... of more channels", "counts and rates, with their deviations")
	required(c, "window")
	return c
}

// required marks flags, which the command has.
func required(c *cobra.Command, names ...string) {
	for _, name := range names {
		if err := c.MarkFlagRequired(name); err != nil {
			panic(err) // the flags are those of the command
		}
	}
}

// coincidencesAnswer is what --json prints: counts as they are, and rates per
// second of the time all recorded.
type coincidencesAnswer struct {
	correlate.Coincidences
	AllRate   quantity.Number `json:"all_hz"`
	NetRate   quantity.Number `json:"net_hz"`
	NetRateSD quantity.Number `json:"net_sd_hz"`
}

func runCoincidences(c *cobra.Command, args []string, f coincidencesFlags) error {
	o := correlate.CoincidenceOptions{Window: int64(f.window), Shift: int64(f.shift), Period: f.period.Picoseconds()}
	if err := o.Check(); err != nil {
		return &exitError{exitUsage, err}
	}
	channels, origin, done, err := f.channels(args, 2, correlate.MaxChannels)
	defer done()
	if err != nil {
		return err
	}
	if asCSV, _ := f.form(); asCSV { // a line as it is found: there may be very many
		return f.print(c, about(c, origin), nil, func(out io.Writer) error { return writeTuples(out, channels, o) }, nil)
	}
	found, err := correlate.Coincide(channels, o)
	if err != nil {
		return &exitError{exitOther, err}
	}
	return f.print(c, about(c, origin), answerOf(found), nil, func(out io.Writer) error { return printCoincidences(out, found) })
}

// writeTuples writes a line for each coincidence.
func writeTuples(out io.Writer, channels []correlate.Channel, o correlate.CoincidenceOptions) error {
	return underHeading(out, stage.TupleColumns(len(channels)), func(out io.Writer) error {
		o.Each = stage.TupleWriter(out)
		_, err := correlate.Coincide(channels, o)
		return err
	})
}

func answerOf(found correlate.Coincidences) coincidencesAnswer {
	r := coincidencesAnswer{Coincidences: found}
	r.AllRate, _ = found.Rate(quantity.Number(found.All), 0)
	r.NetRate, r.NetRateSD = found.Rate(found.Net, found.NetSD)
	return r
}

func printCoincidences(out io.Writer, c correlate.Coincidences) error {
	var text strings.Builder
	fmt.Fprintf(&text, "window       ±%.6g ps, %.4g s recorded by %s\n", float64(c.Window)/2, float64(c.Overlap)/1e12, allOf(len(c.Channels)))
	for i, n := range c.Channels {
		separator := ", "
		if i == 0 {
			separator = "tags         "
		}
		fmt.Fprintf(&text, "%s%s %d", separator, letterOf(i), n.Tags)
	}
	fmt.Fprintf(&text, "\ncoincidences %d, standard deviation %.3g; each tag once %d\n", c.All, correlate.CountSD(c.All), c.OneToOne)
	for i, p := range c.Periods {
		of := "of the light"
		if i == 0 && c.Unseen {
			of = "as given, which the first tags do not show"
		}
		fmt.Fprintf(&text, "period       %.9g ps %s; windows of accidentals are shifted by whole periods, %s and more\n", p, of, quantity.Time(c.Shift))
	}
	if c.Net.Known() {
		rate, sd := c.Rate(c.Net, c.NetSD)
		fmt.Fprintf(&text, "accidentals  %s\nnet          %s, %s\n", withSD(c.Accidentals, c.AccidentalsSD, "by chance"),
			withSD(c.Net, c.NetSD, eventsOf(len(c.Channels))), withSD(rate, sd, "per s"))
	} else {
		fmt.Fprintf(&text, "accidentals  no value\nnet          no value\n")
	}
	switch {
	case c.CAR.Known():
		fmt.Fprintf(&text, "CAR          %s\n", withSD(c.CAR, c.CARSD, "coincidences per accidental"))
	case c.CARAtLeast > 0:
		fmt.Fprintf(&text, "CAR          at least %.3g, in 99 %%: few accidentals or none were counted\n", c.CARAtLeast)
	}
	for _, h := range c.Heralding {
		fmt.Fprintf(&text, "heralding    %s\n", withSD(100*h.Value, 100*h.SD, "% of "+h.By+" seen by "+h.Of))
	}
	for _, p := range c.Parts {
		chance := "what of them is chance is not known"
		if p.Net.Known() {
			chance = withSD(p.Accidentals, p.AccidentalsSD, "by chance") + ", " + withSD(p.Net, p.NetSD, "net")
		}
		fmt.Fprintf(&text, "%-12s %d, %s\n", p.Of, p.All, chance)
	}
	if c.Warning != "" {
		fmt.Fprintf(&text, "warning      %s\n", c.Warning)
	}
	_, err := io.WriteString(out, text.String())
	return err
}

func eventsOf(n int) string {
	if n == 2 {
		return "pairs"
	}
	return "events"
}

func allOf(n int) string {
	if n == 2 {
		return "both"
	}
	return "all"
}
