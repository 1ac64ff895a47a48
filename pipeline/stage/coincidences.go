package stage

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// CoincidencesConfig counts tags of all channels of which no two are further
// apart than half of Window.
type CoincidencesConfig struct {
	Of      []string                 `json:"of"` // two to eight channels, A first
	Window  quantity.Time            `json:"window"`
	Offsets map[string]quantity.Time `json:"offsets,omitempty"` // channel: how much later its tags come; subtracted
	Shift   quantity.Time            `json:"shift,omitempty"`   // of the windows for accidentals; 0: as correlate finds it
	Period  quantity.Period          `json:"period,omitempty"`  // of pulsed or gated light; 0: as correlate finds it
}

// Uses are the channels, A first.
func (c CoincidencesConfig) Uses() []recipe.ChannelUse { return recipe.ChannelUses("of", c.Of) }

var coincidencesFields = []*recipe.Field{
	recipe.ChannelsField("of", "Two to eight channels, A first.", 2, correlate.MaxChannels),
	recipe.TimeField("window", "Full width: tags of which no two are further apart than half of it count; of two channels, B minus A within plus or minus half of it.",
		2*quantity.Picosecond, quantity.Second).Required(),
	recipe.PerChannelField("offsets", "How much later the tags of a channel come, by its cable or detector, beside what its clock explains; subtracted. None where it is left out.",
		"Of one channel of those above.", -recipe.LongestWindow, recipe.LongestWindow),
	recipe.TimeField("shift", "Accidentals come from windows shifted by one to four times this; longer than the detectors' dead time, and a whole number of periods of light that is pulsed or gated. Where it is left out, ten windows, at least 1 us and beyond dead times, in whole periods.",
		2*quantity.Picosecond, recipe.LongestWindow),
	recipe.PeriodField("period", "Of pulsed or gated light: windows of accidentals are shifted by whole ones. Found where it is left out.",
		100*quantity.Picosecond, recipe.LongestWindow),
}

// Check finds what no single key of the config can tell.
func (c CoincidencesConfig) Check(to *recipe.StageCheck) {
	to.Compare(c.Uses())
	for name := range c.Offsets {
		if !slices.Contains(c.Of, name) && !to.Broken("of") {
			to.Unused("offsets."+name, fmt.Sprintf("%s is none of the channels above", name), name, c.Of)
		}
	}
	if c.Shift != 0 && c.Shift <= c.Window {
		to.Conflict("shift", fmt.Sprintf("a shift of %s is within the window of %s", c.Shift, c.Window), "make it longer")
	}
	if c.Shift != 0 && c.Period != 0 {
		to.Conflict("period", "a shift and a period both say by how much windows are shifted", "leave one of them out")
	}
}

// coincidences counts what the channels saw together and writes every tuple.
func (a *analysis) coincidences(c CoincidencesConfig, result *run.Result) (any, error) {
	in, err := a.inputs(c.Offsets, c.Of...)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	summary := CoincidencesSummary{Of: c.Of, Corrected: in.corrected, Simulated: a.simulated(c.Of...)}
	err = a.table(result, TupleColumns(len(c.Of)), c.Of, func(w io.Writer) error {
		summary.Coincidences, err = correlate.Coincide(in.channels, correlate.CoincidenceOptions{
			Window: int64(c.Window), Shift: int64(c.Shift), Period: c.Period.Picoseconds(), Each: TupleWriter(w),
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	if summary.Warning != "" {
		a.manifest.Notice(run.Reason{Condition: run.Tainted, Message: fmt.Sprintf("stage %q: %s", result.Stage, summary.Warning)})
	}
	return summary, a.json(result, summary)
}

// TupleWriter writes a line for each coincidence it is given.
func TupleWriter(w io.Writer) func(correlate.Tuple) error {
	var line []byte
	return func(t correlate.Tuple) error {
		line = appendTuple(line[:0], t)
		_, err := w.Write(line)
		return err
	}
}

// TupleColumns names the columns of what n channels saw together: the tags,
// then the differences to A; of two channels there is one.
func TupleColumns(n int) string {
	if n == 2 {
		return "a_ps,b_ps,delta_ps,one_to_one"
	}
	var columns []string
	for i := range n {
		columns = append(columns, letter(i)+"_ps")
	}
	for i := 1; i < n; i++ {
		columns = append(columns, "delta_"+letter(i)+"_ps")
	}
	return strings.Join(append(columns, "one_to_one"), ",")
}

func letter(i int) string { return string(rune('a' + i)) }

func appendTuple(line []byte, t correlate.Tuple) []byte {
	for _, tag := range t.Tags {
		line = append(strconv.AppendUint(line, tag, 10), ',')
	}
	for _, d := range t.Deltas {
		line = append(strconv.AppendInt(line, d, 10), ',')
	}
	if t.OneToOne {
		return append(line, "1\n"...)
	}
	return append(line, "0\n"...)
}
