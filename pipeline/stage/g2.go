package stage

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// g2Kind counts the differences stop minus start over what uncorrelated light gives.
var g2Kind = counting[G2Config, correlate.G2, G2Summary]{
	kind: kind[G2Config, G2Summary]{name: "g2", fields: g2Fields, words: g2Words},
	command: Command{
		Use:   "g2 A [B] --range D --bin D",
		Short: "make the histogram of B minus A that is 1 for uncorrelated light",
		Long: `Make the histogram of B minus A that is 1 for uncorrelated light.

Each bin is divided by the pairs that light of the recorded rates gives without
correlation, in the time that both recorded at that delay. With --far the bins at
least so far from zero are 1 in the mean instead. Of light that comes in pulses each
pulse is summed up, and compared with the mean of all but that at zero; the period
is found, or --period says it.`,
		Least: 2, Most: 2,
		Columns: "lower_edge_ps,counts,g2,g2_sd per bin", Keys: "start_ps (lower edge of the first bin), bin_ps, counts, expected, g2, g2_sd, periods_ps, pulses, warning",
	},
	flags: func(c *G2Config) []Flag {
		return append(c.HistogramConfig.flags(),
			Flag{Name: "far", Usage: "normalise to the bins at least this `TIME` from zero", Value: &c.Far},
			Flag{Name: "period", Usage: "`TIME` between the pulses of a pulsed source; found where it is left out", Value: &c.Period})
	},
	check:   func(c G2Config) error { return c.options().Check() },
	columns: anyColumns("lower_edge_ps,counts,g2,g2_sd"),
	count: func(c G2Config, channels []correlate.Channel, lines io.Writer) (correlate.G2, error) {
		g, err := correlate.CountG2(channels[0], channels[1], c.options())
		if err == nil && lines != nil {
			err = writeCounts(lines, g.Start, g.Bin, g.Counts, g.G2, g.SD)
		}
		return g, err
	},
	summary: summaryOfG2,
	warning: func(g correlate.G2) string { return g.Warning },
	show:    showG2,
}

// G2Config is a histogram over what uncorrelated light would give.
type G2Config struct {
	HistogramConfig
	Far    quantity.Time   `json:"far,omitempty"`    // 0: over light of the recorded rates; else over bins so far from zero
	Period quantity.Period `json:"period,omitempty"` // of a pulsed source; 0: none
}

var g2Fields = slices.Concat(histogramFields, []*recipe.Field{
	recipe.TimeField("far", "Bins at least so far from zero are 1 in the mean; where it is left out, uncorrelated light of the recorded rates is 1.",
		quantity.Picosecond, recipe.LongestWindow),
	recipe.PeriodField("period", "Of a pulsed source: each pulse is summed up as well, and compared with the others.",
		quantity.Picosecond, recipe.LongestWindow),
})

// Check finds what no single key of the config can tell.
func (c G2Config) Check(to *recipe.StageCheck) {
	c.HistogramConfig.Check(to)
	if to.Broken("") {
		return
	}
	if c.Far >= c.Range {
		to.Conflict("far", fmt.Sprintf("no bin is %s from zero", c.Far), fmt.Sprintf("write less than the range of %s", c.Range))
	}
	switch period := c.Period.Picoseconds(); {
	case period == 0:
	case period < 2*float64(c.Bin):
		to.Conflict("period", fmt.Sprintf("a period of %s is shorter than two bins of %s", c.Period, c.Bin), "make the bin finer")
	case float64(c.Range) < 1.5*period:
		to.Conflict("period", fmt.Sprintf("a range of %s holds no pulse beside that at zero", c.Range), fmt.Sprintf("write a range of at least %s", quantity.Time(math.Ceil(1.5*period))))
	}
}

func (c G2Config) options() correlate.G2Options {
	return correlate.G2Options{Range: int64(c.Range), Bin: int64(c.Bin), Far: int64(c.Far), Period: c.Period.Picoseconds()}
}

// G2Summary is what a g2 stage found; the bins are in its table.
type G2Summary struct {
	Start     string            `json:"start"`
	Stop      string            `json:"stop"`
	Corrected bool              `json:"corrected"` // stop by what align stages found
	Simulated bool              `json:"simulated"`
	RangePs   int64             `json:"range_ps"`
	BinPs     int64             `json:"bin_ps"`
	Pairs     uint64            `json:"pairs"`
	SelfPairs uint64            `json:"self_pairs,omitempty"` // of a tag with itself, left out
	OverlapPs uint64            `json:"overlap_ps"`
	Scale     quantity.Number   `json:"scale"`      // see correlate.G2
	AtZero    quantity.Number   `json:"g2_at_zero"` // of the bin that begins at zero
	AtZeroSD  quantity.Number   `json:"g2_at_zero_sd"`
	NoValue   string            `json:"no_value,omitempty"` // why that is none
	HighestPs *int64            `json:"highest_ps"`         // the centre of the bin where g2 is highest; null where no bin has a value
	Highest   quantity.Number   `json:"highest_g2"`
	HighestSD quantity.Number   `json:"highest_g2_sd"`
	Periods   []float64         `json:"periods_ps,omitempty"` // that the light repeats after
	Pulses    []correlate.Pulse `json:"pulses,omitempty"`
	Warning   string            `json:"warning,omitempty"` // why bins or pulses are not over what uncorrelated light gives
}

func summaryOfG2(c G2Config, of about, g correlate.G2) G2Summary {
	zero := g.AtZero()
	s := G2Summary{
		Start: c.Start, Stop: c.Stop, Corrected: of.corrected, Simulated: of.simulated,
		RangePs: int64(c.Range), BinPs: g.Bin, Pairs: g.Pairs, OverlapPs: g.Overlap, Scale: g.Scale,
		AtZero: g.G2[zero], AtZeroSD: g.SD[zero], NoValue: g.NoValue(c.Start, c.Stop), SelfPairs: g.SelfPairs, Pulses: g.Pulses,
		Periods: g.Periods, Warning: g.Warning, Highest: quantity.None(), HighestSD: quantity.None(),
	}
	if k, ok := g.Highest(); ok {
		middle := g.Middle(k)
		s.HighestPs, s.Highest, s.HighestSD = &middle, g.G2[k], g.SD[k]
	}
	return s
}

func g2Words(say Say, s G2Summary) {
	of := s.Stop + " - " + s.Start
	if s.AtZero.Known() {
		say("%s: g2 = %s, in the bin of %s centred at %s%s", of, text.Measured(s.AtZero, s.AtZeroSD, "at zero"),
			text.Picoseconds(s.BinPs), text.Picoseconds(s.BinPs/2), correctedWords(s.Corrected))
	} else {
		say("%s: g2 has no value at zero: %s%s", of, s.NoValue, correctedWords(s.Corrected))
	}
	if s.HighestPs != nil && *s.HighestPs != s.BinPs/2 {
		say("highest, %s, in the bin centred at %s", text.Measured(s.Highest, s.HighestSD, ""), text.Picoseconds(*s.HighestPs))
	}
	selfPairsWords(say, s.SelfPairs)
	for _, p := range s.Periods {
		say("the light repeats after %s: its pulses tell, not the bins", text.Picoseconds(int64(math.Round(p))))
	}
	for _, p := range s.Pulses {
		switch {
		case p.Number != 0:
		case p.G2.Known():
			say("%s, over %d others", text.Measured(p.G2, p.SD, "of the pulse at zero"), len(s.Pulses)-1)
		default:
			say("the pulse at zero has no value: all others are empty")
		}
	}
	if s.Warning != "" {
		say("warning: %s", s.Warning)
	}
}

func showG2(out io.Writer, g correlate.G2) error {
	var words strings.Builder
	zero := g.AtZero()
	fmt.Fprintf(&words, "%s, %s in %s of %s, %.4g s recorded by both\n%sat zero      %s\n",
		tagsOf(g.TagsA, g.TagsB), quantity.Counted(g.Pairs, "difference"), quantity.Counted(len(g.Counts), "bin"), quantity.Time(g.Bin), float64(g.Overlap)/1e12, selfPairsLine(g.Histogram),
		text.MeasuredOr(g.G2[zero], g.SD[zero], fmt.Sprintf("in the bin centred at %s", quantity.Time(g.Middle(zero))), g.NoValue("A", "B")))
	of := "of the light, which is not of a steady rate: its pulses tell, not the bins"
	if g.Unseen {
		of = "as given, which the first tags do not show"
	}
	for _, p := range g.Periods {
		fmt.Fprintf(&words, "period       %.9g ps %s\n", p, of)
	}
	for _, p := range g.Pulses {
		if p.Number >= -3 && p.Number <= 3 {
			fmt.Fprintf(&words, "pulse %+d     %s, %s\n", p.Number, text.MeasuredOr(p.G2, p.SD, "of the others", "the others are empty"), quantity.Counted(p.Counts, "pair"))
		}
	}
	if g.Warning != "" {
		fmt.Fprintf(&words, "warning      %s\n", g.Warning)
	}
	if _, err := fmt.Fprintln(out, words.String()); err != nil {
		return err
	}
	return picture{start: g.Start, step: g.Bin, wide: g.Bin, join: mean, format: "%10.3f"}.draw(out, floats(g.G2))
}
