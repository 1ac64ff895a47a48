package report

import (
	"cmp"
	"math"
	"strings"

	"tsrun/pipeline/run"
	"tsrun/pipeline/stage"
	"tsrun/pipeline/text"
	"tsrun/sdk/quantity"
)

// reportCounts writes what a stage that counts has found.
func reportCounts(out *strings.Builder, r run.Result) {
	switch r.Kind {
	case "coincidences":
		reportSummary(out, r, reportCoincidences)
	case "scan":
		reportSummary(out, r, reportScan)
	case "histogram":
		reportSummary(out, r, reportHistogram)
	case "g2":
		reportSummary(out, r, reportG2)
	case "rates":
		reportSummary(out, r, reportRates)
	}
}

// reportSummary writes a summary that is of the form that its stage has.
func reportSummary[S any](out *strings.Builder, r run.Result, write func(out *strings.Builder, stage string, s S)) {
	if s, ok := stage.DecodeSummary[S](r); ok {
		write(out, r.Stage, s)
	}
}

func reportCoincidences(out *strings.Builder, stage string, s stage.CoincidencesSummary) {
	what := "pairs of"
	if len(s.Of) > 2 {
		what = "coincidences of"
	}
	entry(out, stage, "%s %s %s within ±%s%s", text.Count(s.All), what, strings.Join(s.Of, " and "), half(s.Window), corrected(s.Corrected))
	accidentals := "what of them is by accident is not known"
	if s.Accidentals.Known() {
		accidentals = quantity.Measured(float64(s.Accidentals), float64(s.AccidentalsSD)) + " of them by accident"
	}
	entry(out, "", "%s; %s when each tag counts once", accidentals, text.Count(s.OneToOne))
	for _, p := range s.Periods {
		entry(out, "", "the light repeats after %s; chance is counted whole periods away", text.Picoseconds(int64(math.Round(p))))
	}
	if s.Warning != "" {
		entry(out, "", "warning: %s", s.Warning)
	}
	for _, h := range s.Heralding {
		entry(out, "", "%s heralded by %s: %s %%", namesOf(s.Of, h.Of), namesOf(s.Of, h.By), quantity.Measured(100*h.Value, 100*h.SD))
	}
}

// half writes half a window, exactly.
func half(window int64) string {
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

func reportScan(out *strings.Builder, stage string, s stage.ScanSummary) {
	switch {
	case s.NoValue != "":
		entry(out, stage, "%s - %s: %s", s.Stop, s.Start, s.NoValue)
		return
	case s.Peak == nil && s.NoPeak+s.Warning != "":
		entry(out, stage, "%s - %s: no peak: %s", s.Stop, s.Start, cmp.Or(s.NoPeak, s.Warning))
		return
	case s.Peak == nil:
		entry(out, stage, "%s - %s: no delay stands out of chance%s", s.Stop, s.Start, corrected(s.Corrected))
		return
	}
	entry(out, stage, "%s - %s: peak at %s ps, %s ps wide (standard deviation)%s", s.Stop, s.Start,
		quantity.Measured(s.Peak.Offset.Float(), s.Peak.OffsetSD), quantity.Measured(s.Peak.Sigma, s.Peak.SigmaSD), corrected(s.Corrected))
	if s.Warning != "" {
		entry(out, "", "how many pairs is not known: %s", s.Warning)
		return
	}
	entry(out, "", "%s pairs, %s by chance in a window of ±%s", known(s.Peak.Pairs, s.Peak.PairsSD),
		text.Significant(float64(s.Peak.Accidentals)), half(s.WindowPs))
}

func reportHistogram(out *strings.Builder, stage string, s stage.HistogramSummary) {
	switch {
	case s.NoValue != "":
		entry(out, stage, "%s - %s: %s", s.Stop, s.Start, s.NoValue)
	case s.PeakPs == nil:
		entry(out, stage, "%s - %s: no pairs within ±%s%s", s.Stop, s.Start, text.Picoseconds(s.RangePs), corrected(s.Corrected))
	default:
		entry(out, stage, "%s - %s: highest bin %s, centred at %s, bins of %s%s", s.Stop, s.Start, text.Count(s.PeakCounts),
			text.Picoseconds(*s.PeakPs), text.Picoseconds(s.BinPs), corrected(s.Corrected))
	}
	reportSelf(out, s.SelfPairs)
}

func reportSelf(out *strings.Builder, pairs uint64) {
	if pairs > 0 {
		entry(out, "", "%s pairs of a tag with itself are left out", text.Count(pairs))
	}
}

func reportG2(out *strings.Builder, stage string, s stage.G2Summary) {
	if s.AtZero.Known() {
		entry(out, stage, "%s - %s: g2 = %s at zero, in the bin of %s centred at %s%s", s.Stop, s.Start, known(s.AtZero, s.AtZeroSD),
			text.Picoseconds(s.BinPs), text.Picoseconds(s.BinPs/2), corrected(s.Corrected))
	} else {
		entry(out, stage, "%s - %s: g2 has no value at zero: %s%s", s.Stop, s.Start, s.NoValue, corrected(s.Corrected))
	}
	if s.HighestPs != nil && *s.HighestPs != s.BinPs/2 {
		entry(out, "", "highest, %s, in the bin centred at %s", known(s.Highest, s.HighestSD), text.Picoseconds(*s.HighestPs))
	}
	reportSelf(out, s.SelfPairs)
	for _, p := range s.Periods {
		entry(out, "", "the light repeats after %s: its pulses tell, not the bins", text.Picoseconds(int64(math.Round(p))))
	}
	for _, p := range s.Pulses {
		switch {
		case p.Number != 0:
		case p.G2.Known():
			entry(out, "", "%s of the pulse at zero, over %d others", known(p.G2, p.SD), len(s.Pulses)-1)
		default:
			entry(out, "", "the pulse at zero has no value: all others are empty")
		}
	}
	if s.Warning != "" {
		entry(out, "", "warning: %s", s.Warning)
	}
}

func known(v, sd quantity.Number) string { return quantity.Measured(float64(v), float64(sd)) }

func reportRates(out *strings.Builder, stage string, s stage.RatesSummary) {
	for i, c := range s.Channels {
		if i >= len(s.Of) || i >= len(s.Empty) {
			return // of another form
		}
		name := ""
		if i == 0 {
			name = stage
		}
		silent := ""
		if n := len(c.Gaps); n > 0 {
			longest := 0.0
			for _, g := range c.Gaps {
				longest = max(longest, float64(g.To-g.From)/1e12)
			}
			silent = "; silent for " + text.Significant(longest) + " s"
			if n > 1 {
				silent = "; silent " + text.Count(uint64(n)) + " times, the longest " + text.Significant(longest) + " s"
			}
		}
		switch {
		case c.Tags == 0:
			entry(out, name, "%s: nothing was recorded", s.Of[i])
		case !c.Rate.Known():
			entry(out, name, "%s: %s tags of one moment, which tell no rate", s.Of[i], text.Count(c.Tags))
		default:
			entry(out, name, "%s: %s tags, %s%s", s.Of[i], text.Count(c.Tags), text.Hertz(text.Rounded(float64(c.Rate)*1000)), silent)
		}
	}
}
