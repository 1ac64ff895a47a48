package stage

import (
	"cmp"
	"fmt"
	"io"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// scanKind counts the coincidences at every delay of stop against start.
var scanKind = counting[ScanConfig, correlate.Scan, ScanSummary]{
	kind: kind[ScanConfig, ScanSummary]{name: "scan", fields: scanFields, words: scanWords},
	command: Command{
		Use:   "scan A [B] --from D --to D --step D --window D",
		Short: "count coincidences at every delay of B, and measure the peak",
		Long: `Count coincidences at every delay of B, and measure the peak.

At the delay d a pair counts when |B - A - d| is at most half the window, both
ends included. The peak is where pairs stand out of chance: its offset is what to
subtract from B, and its width that of the pairs, whatever window and step are.`,
		Least: 2, Most: 2,
		Columns: "delay_ps,counts per delay", Keys: "start_ps, step_ps, window_ps, counts, peak, periods_ps, warning",
	},
	flags: func(c *ScanConfig) []Flag {
		return []Flag{
			{Name: "from", Usage: "the first delay, a `TIME` as \"-20 ns\"", Value: &c.From, Required: true},
			{Name: "to", Usage: "no delay is beyond this `TIME`", Value: &c.To, Required: true},
			{Name: "step", Usage: "`TIME` between delays", Value: &c.Step, Required: true},
			{Name: "window", Usage: "full width of the window, a `TIME` as \"1 ns\"", Value: &c.Window, Required: true},
		}
	},
	check:   func(c ScanConfig) error { return c.options().Check() },
	columns: anyColumns("delay_ps,counts"),
	count: func(c ScanConfig, channels []correlate.Channel, lines io.Writer) (correlate.Scan, error) {
		s, err := correlate.ScanDelays(channels[0], channels[1], c.options())
		if err == nil && lines != nil {
			err = writeCounts(lines, s.Start, s.Step, s.Counts)
		}
		return s, err
	},
	summary: func(c ScanConfig, of about, s correlate.Scan) ScanSummary {
		return ScanSummary{Start: c.Start, Stop: c.Stop, Corrected: of.corrected, Simulated: of.simulated,
			StepPs: s.Step, WindowPs: s.Window, Peak: s.Peak, NoPeak: s.NoPeak, Periods: s.Periods, Warning: s.Warning,
			NoValue: correlate.Nothing([]string{c.Start, c.Stop}, []uint64{s.TagsA, s.TagsB})}
	},
	show: showScan,
}

// ScanConfig counts coincidences of stop minus start at every delay.
type ScanConfig struct {
	Start  string        `json:"start"`
	Stop   string        `json:"stop"`
	From   quantity.Time `json:"from"`
	To     quantity.Time `json:"to"`
	Step   quantity.Time `json:"step"`
	Window quantity.Time `json:"window"`
	Over
}

// Uses are the two channels.
func (c ScanConfig) Uses() []recipe.ChannelUse { return startStop(c.Start, c.Stop) }

var scanFields = append(startStopFields("delays are"),
	recipe.TimeField("from", "The first delay.", -recipe.LongestWindow, recipe.LongestWindow).Required(),
	recipe.TimeField("to", "No delay is beyond this.", -recipe.LongestWindow, recipe.LongestWindow).Required(),
	recipe.TimeField("step", "Between delays.", quantity.Picosecond, recipe.LongestWindow).Required(),
	recipe.TimeField("window", "Full width: stop minus start minus the delay within plus or minus half of it counts.",
		2*quantity.Picosecond, quantity.Second).Required(),
)

// maxDelays is how many delays a scan has at most, and bins rates.
const maxDelays = 4_000_000

// Check finds what no single key of the config can tell.
func (c ScanConfig) Check(to *recipe.StageCheck) {
	to.Compare(c.Uses())
	switch {
	case to.Broken(""): // reported
	case c.From > c.To:
		to.Conflict("to", fmt.Sprintf("the scan begins at %s and ends before, at %s", c.From, c.To), "swap them")
	case (c.To-c.From)/c.Step >= maxDelays:
		to.WrongValue("step", fmt.Sprintf("%d delays", (c.To-c.From)/c.Step+1), fmt.Sprintf("a scan has up to %d: make the step longer", maxDelays))
	}
}

func (c ScanConfig) options() correlate.ScanOptions {
	return correlate.ScanOptions{From: int64(c.From), To: int64(c.To), Step: int64(c.Step), Window: int64(c.Window)}
}

// ScanSummary is what a scan stage found; the counts are in its table.
type ScanSummary struct {
	Start     string          `json:"start"`
	Stop      string          `json:"stop"`
	Corrected bool            `json:"corrected"` // stop by what align stages found
	Simulated bool            `json:"simulated"`
	StepPs    int64           `json:"step_ps"`
	WindowPs  int64           `json:"window_ps"`
	Peak      *correlate.Peak `json:"peak"`                 // null when none stood out of chance
	NoPeak    string          `json:"no_peak,omitempty"`    // why there can be none
	Periods   []float64       `json:"periods_ps,omitempty"` // that the light repeats after
	Warning   string          `json:"warning,omitempty"`    // why chance under the peak is not known
	NoValue   string          `json:"no_value,omitempty"`   // why there can be none
}

func scanWords(say Say, s ScanSummary) {
	of := s.Stop + " - " + s.Start
	switch {
	case s.NoValue != "":
		say("%s: %s", of, s.NoValue)
		return
	case s.Peak == nil && s.NoPeak+s.Warning != "":
		say("%s: no peak: %s", of, cmp.Or(s.NoPeak, s.Warning))
		return
	case s.Peak == nil:
		say("%s: no delay stands out of chance%s", of, correctedWords(s.Corrected))
		return
	}
	say("%s: peak at %s, %s wide (standard deviation)%s", of,
		text.Measured(s.Peak.Offset.Float(), s.Peak.OffsetSD, "ps"), text.Measured(s.Peak.Sigma, s.Peak.SigmaSD, "ps"), correctedWords(s.Corrected))
	if s.Warning != "" {
		say("how many pairs is not known: %s", s.Warning)
		return
	}
	say("%s, %s by chance in a window of ±%s", text.Measured(s.Peak.Pairs, s.Peak.PairsSD, "pairs"),
		text.Significant(float64(s.Peak.Accidentals)), halfOf(s.WindowPs))
}

func showScan(out io.Writer, s correlate.Scan) error {
	peak := "peak         none stands out of chance\n"
	switch p := s.Peak; {
	case p != nil:
		peak = fmt.Sprintf("peak         %s, %s wide (standard deviation)\nhalf maximum %.4g ps wide, highest at %s\n%s",
			text.Measured(p.Offset.Float(), p.OffsetSD, "ps"), text.Measured(p.Sigma, p.SigmaSD, "ps"), p.FWHM, quantity.Time(p.Highest), pairsInPeak(s))
	case s.NoPeak+s.Warning != "":
		peak = "peak         no value: " + cmp.Or(s.NoPeak, s.Warning) + "\n"
	}
	_, err := fmt.Fprintf(out, "%s, %.4g s recorded by both; window ±%.6g ps\n%s\n", tagsOf(s.TagsA, s.TagsB), float64(s.Overlap)/1e12, float64(s.Window)/2, peak)
	if err != nil {
		return err
	}
	return picture{start: s.Start, step: s.Step, join: highest}.draw(out, floats(s.Counts))
}

// pairsInPeak says how many pairs stand out of chance.
func pairsInPeak(s correlate.Scan) string {
	if s.Warning != "" {
		return "pairs        no value: " + s.Warning + "\n"
	}
	chance := "in the mean of those beside the peak"
	if len(s.Periods) > 0 {
		chance = fmt.Sprintf("as when B is moved by whole periods of the light, %.9g ps", s.Periods[0])
	}
	return fmt.Sprintf("pairs        %s; %.3g by chance in a window, %s\ncertainty    %.3g standard deviations beyond chance\n",
		text.Measured(s.Peak.Pairs, s.Peak.PairsSD, "net"), s.Peak.Accidentals, chance, s.Peak.Significance)
}
