package stage

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// coincidencesKind counts what the channels saw together; every tuple is a line of
// its table.
var coincidencesKind = counting[CoincidencesConfig, correlate.Coincidences, CoincidencesSummary]{
	kind: kind[CoincidencesConfig, CoincidencesSummary]{name: "coincidences", fields: coincidencesFields, words: coincidencesWords},
	command: Command{
		Use:   "coincidences FILE... --window D",
		Short: "count what two to eight channels saw together, and what of it is chance",
		Long: `Count what two to eight channels saw together, and what of it is chance.

A coincidence is one tag of each channel, no two further apart than half the
window; a pair has |B - A| of at most half the window, both ends included.
Accidentals come from windows of the same width, shifted by ten windows and more
(at least 1 us and beyond dead times, or --shift) to both sides, by whole periods
of light that is pulsed or gated. Heralding is net coincidences over
those without one channel, of a pair over the other's singles.`,
		Example: `  tsrun coincidences alice.bin bob.bin --window '1 ns' --align align.json
  tsrun coincidences recording.ptu --channel 1,2,3 --window '1 ns' --offset '0 ps,24 ns'`,
		Least: 2, Most: correlate.MaxChannels,
		Columns: "per coincidence: a_ps,b_ps,delta_ps,one_to_one; a_ps,b_ps,c_ps,...,delta_b_ps,... of more channels", Keys: "counts and rates, with their deviations",
	},
	flags: func(c *CoincidencesConfig) []Flag {
		return []Flag{
			{Name: "window", Usage: "full width of the window, a `TIME` as \"1 ns\"", Value: &c.Window, Required: true},
			{Name: "shift", Usage: "`TIME` between the windows of accidentals; longer than dead times", Value: &c.Shift},
			{Name: "period", Usage: "`TIME` between pulses or gates, of which shifts are whole ones; found where it is left out", Value: &c.Period},
		}
	},
	check:   func(c CoincidencesConfig) error { return c.options().Check() },
	columns: func(of []string) string { return tupleColumns(len(of)) },
	count:   countCoincidences,
	summary: func(c CoincidencesConfig, of about, found correlate.Coincidences) CoincidencesSummary {
		return CoincidencesSummary{Of: c.Of, Corrected: of.corrected, Simulated: of.simulated, Coincidences: found}
	},
	warning: func(found correlate.Coincidences) string { return found.Warning },
	answer:  func(found correlate.Coincidences) any { return answerOf(found) },
	show:    showCoincidences,
}

// CoincidencesConfig counts tags of all channels of which no two are further
// apart than half of Window.
type CoincidencesConfig struct {
	Of      []string                 `json:"of"` // two to eight channels, A first
	Window  quantity.Time            `json:"window"`
	Offsets map[string]quantity.Time `json:"offsets,omitempty"` // channel: how much later its tags come; subtracted
	Shift   quantity.Time            `json:"shift,omitempty"`   // of the windows for accidentals; 0: as correlate finds it
	Period  quantity.Period          `json:"period,omitempty"`  // of pulsed or gated light; 0: as correlate finds it
	Over
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

func (c CoincidencesConfig) options() correlate.CoincidenceOptions {
	return correlate.CoincidenceOptions{Window: int64(c.Window), Shift: int64(c.Shift), Period: c.Period.Picoseconds()}
}

// countCoincidences writes lines as they are found: there may be very many.
func countCoincidences(c CoincidencesConfig, channels []correlate.Channel, lines io.Writer) (correlate.Coincidences, error) {
	for i, name := range c.Of {
		channels[i].Offset = int64(c.Offsets[name])
	}
	o := c.options()
	if lines != nil {
		var line []byte
		o.Each = func(t correlate.Tuple) error {
			line = appendTuple(line[:0], t)
			_, err := lines.Write(line)
			return err
		}
	}
	return correlate.Coincide(channels, o)
}

// tupleColumns names the columns of what n channels saw together: the tags,
// then the differences to A; of two channels there is one.
func tupleColumns(n int) string {
	if n == 2 {
		return "a_ps,b_ps,delta_ps,one_to_one"
	}
	var columns []string
	for i := range n {
		columns = append(columns, strings.ToLower(LetterOf(i))+"_ps")
	}
	for i := 1; i < n; i++ {
		columns = append(columns, "delta_"+strings.ToLower(LetterOf(i))+"_ps")
	}
	return strings.Join(append(columns, "one_to_one"), ",")
}

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

// CoincidencesSummary is what a coincidences stage found.
type CoincidencesSummary struct {
	Of        []string `json:"of"`        // A first
	Corrected bool     `json:"corrected"` // any channel by what align stages found
	Simulated bool     `json:"simulated"`
	correlate.Coincidences
}

// CoincidencesAnswer is what the command prints as JSON: counts as they are, and rates per
// second of the time all recorded.
type CoincidencesAnswer struct {
	correlate.Coincidences
	AllRate   quantity.Number `json:"all_hz"`
	NetRate   quantity.Number `json:"net_hz"`
	NetRateSD quantity.Number `json:"net_sd_hz"`
}

func answerOf(found correlate.Coincidences) CoincidencesAnswer {
	r := CoincidencesAnswer{Coincidences: found}
	r.AllRate, _ = found.Rate(quantity.Number(found.All), 0)
	r.NetRate, r.NetRateSD = found.Rate(found.Net, found.NetSD)
	return r
}

func coincidencesWords(say Say, s CoincidencesSummary) {
	what := "pairs of"
	if len(s.Of) > 2 {
		what = "coincidences of"
	}
	say("%s %s %s within ±%s%s", text.Count(s.All), what, strings.Join(s.Of, " and "), halfOf(s.Window), correctedWords(s.Corrected))
	accidentals := "what of them is by accident is not known"
	if s.Accidentals.Known() {
		accidentals = text.Measured(s.Accidentals, s.AccidentalsSD, "of them by accident")
	}
	say("%s; %s when each tag counts once", accidentals, text.Count(s.OneToOne))
	for _, p := range s.Periods {
		say("the light repeats after %s; chance is counted whole periods away", text.Picoseconds(int64(math.Round(p))))
	}
	if s.Uneven != 0 {
		say("%s", unevenWords(s.Uneven))
	}
	if s.Blind != 0 {
		say("%s", blindWords(s.Blind, len(s.Of)))
	}
	if s.Repeated != 0 {
		say("%s", repeatedWords(s.Repeated))
	}
	if s.Warning != "" {
		say("warning: %s", s.Warning)
	}
	for _, h := range s.Heralding {
		say("%s heralded by %s: %s", namesOf(s.Of, h.Of), namesOf(s.Of, h.By), text.Measured(100*h.Value, 100*h.SD, "%"))
	}
	if s.NoHeralding != "" {
		say("%s", s.NoHeralding)
	}
}

// unevenWords says by what part chance near zero differs from what is stated.
func unevenWords(part float64) string {
	return fmt.Sprintf("chance near zero is about %.3g times that where channels are moved, as of light that flickers; the deviations hold that", 1+part)
}

// blindWords says what dead times do to chance.
func blindWords(part float64, channels int) string {
	what := "which is taken off the accidentals"
	if channels > 2 {
		what = "and their deviation holds that"
	}
	return fmt.Sprintf("detectors that saw one event are dead for the next: chance is %.3g %% less than where channels are moved, %s", 100*part, what)
}

// repeatedWords says what tags that repeat do to the counts.
func repeatedWords(part float64) string {
	return fmt.Sprintf("tags follow one another within the window, %.3g %% of them beyond chance, as of afterpulses and double counts: net and heralding count an event again; the deviations hold that", 100*part)
}

// halfOf writes half a window, exactly.
func halfOf(window int64) string {
	if window%2 == 0 {
		return text.Picoseconds(window / 2)
	}
	return text.Grouped(window/2) + ".5 ps"
}

// namesOf writes the channels that letters stand for.
func namesOf(of []string, letters string) string {
	var names []string
	for _, l := range letters {
		if i := int(l - 'A'); i >= 0 && i < len(of) {
			names = append(names, of[i])
		}
	}
	return strings.Join(names, " and ")
}

func showCoincidences(out io.Writer, c correlate.Coincidences) error {
	var words strings.Builder
	fmt.Fprintf(&words, "window       ±%.6g ps, %.4g s recorded by %s\n", float64(c.Window)/2, float64(c.Overlap)/1e12, allOf(len(c.Channels)))
	for i, n := range c.Channels {
		separator := ", "
		if i == 0 {
			separator = "tags         "
		}
		fmt.Fprintf(&words, "%s%s %d", separator, LetterOf(i), n.Tags)
	}
	fmt.Fprintf(&words, "\ncoincidences %d, standard deviation %.3g; each tag once %d\n", c.All, correlate.CountSD(c.All), c.OneToOne)
	for i, p := range c.Periods {
		of := "of the light"
		if i == 0 && c.Unseen {
			of = "as given, which the first tags do not show"
		}
		fmt.Fprintf(&words, "period       %.9g ps %s; windows of accidentals are shifted by whole periods, %s and more\n", p, of, quantity.Time(c.Shift))
	}
	if c.Net.Known() {
		rate, sd := c.Rate(c.Net, c.NetSD)
		fmt.Fprintf(&words, "accidentals  %s\nnet          %s, %s\n", text.Measured(c.Accidentals, c.AccidentalsSD, "by chance"),
			text.Measured(c.Net, c.NetSD, eventsOf(len(c.Channels))), text.Measured(rate, sd, "per s"))
	} else {
		fmt.Fprintf(&words, "accidentals  no value\nnet          no value\n")
	}
	switch {
	case c.CAR.Known():
		fmt.Fprintf(&words, "CAR          %s\n", text.Measured(c.CAR, c.CARSD, "coincidences per accidental"))
	case c.CARAtLeast > 0:
		why := "few accidentals or none were counted"
		if c.Uneven != 0 {
			why = "chance near zero is not known well"
		}
		fmt.Fprintf(&words, "CAR          at least %.3g, in 99 %%: %s\n", c.CARAtLeast, why)
	}
	words.WriteString(flagsOf(c))
	for _, h := range c.Heralding {
		fmt.Fprintf(&words, "heralding    %s\n", text.Measured(100*h.Value, 100*h.SD, "% of "+h.By+" seen by "+h.Of))
	}
	if c.NoHeralding != "" {
		fmt.Fprintf(&words, "heralding    no value: %s\n", c.NoHeralding)
	}
	for _, p := range c.Parts {
		chance := "what of them is chance is not known"
		if p.Net.Known() {
			chance = text.Measured(p.Accidentals, p.AccidentalsSD, "by chance") + ", " + text.Measured(p.Net, p.NetSD, "net")
		}
		fmt.Fprintf(&words, "%-12s %d, %s\n", p.Of, p.All, chance)
	}
	if c.Warning != "" {
		fmt.Fprintf(&words, "warning      %s\n", c.Warning)
	}
	_, err := io.WriteString(out, words.String())
	return err
}

// flagsOf says what makes chance differ, a line each.
func flagsOf(c correlate.Coincidences) string {
	var words strings.Builder
	if c.Uneven != 0 {
		fmt.Fprintf(&words, "uneven       %s\n", unevenWords(c.Uneven))
	}
	if c.Blind != 0 {
		fmt.Fprintf(&words, "blind        %s\n", blindWords(c.Blind, len(c.Channels)))
	}
	if c.Repeated != 0 {
		fmt.Fprintf(&words, "repeated     %s\n", repeatedWords(c.Repeated))
	}
	return words.String()
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
