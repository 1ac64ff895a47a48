package stage

import (
	"fmt"
	"io"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// ScanConfig counts coincidences of stop minus start at every delay.
type ScanConfig struct {
	Start  string        `json:"start"`
	Stop   string        `json:"stop"`
	From   quantity.Time `json:"from"`
	To     quantity.Time `json:"to"`
	Step   quantity.Time `json:"step"`
	Window quantity.Time `json:"window"`
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

// scan counts the coincidences at every delay of stop against start.
func (a *analysis) scan(c ScanConfig, result *run.Result) (any, error) {
	in, err := a.inputs(nil, c.Start, c.Stop)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	s, err := correlate.ScanDelays(in.channels[0], in.channels[1], correlate.ScanOptions{
		From: int64(c.From), To: int64(c.To), Step: int64(c.Step), Window: int64(c.Window),
	})
	if err != nil {
		return nil, err
	}
	summary := ScanSummary{Start: c.Start, Stop: c.Stop, Corrected: in.corrected, Simulated: a.simulated(c.Start, c.Stop),
		StepPs: s.Step, WindowPs: s.Window, Peak: s.Peak, NoPeak: s.NoPeak, Periods: s.Periods, Warning: s.Warning,
		NoValue: correlate.Nothing([]string{c.Start, c.Stop}, []uint64{s.TagsA, s.TagsB})}
	err = a.table(result, "delay_ps,counts", []string{c.Start, c.Stop}, func(w io.Writer) error { return WriteCounts(w, s.Start, s.Step, s.Counts) })
	if err != nil {
		return nil, err
	}
	return summary, a.json(result, summary)
}
