package recipe

import (
	"fmt"
	"math"
	"slices"

	"tsrun/sdk/quantity"
)

const (
	maxBins   = 10_000_000 // of a histogram: 80 MB of counts
	maxDelays = 4_000_000  // of a scan, and bins of rates
)

// coincidences checks that the channels differ, and may each be compared with
// the first.
func (j *judgement) coincidences(path string, c *CoincidencesConfig, clocks *clocks) {
	at := func(i int) string { return index(path+".of", i) }
	for i, name := range c.Of {
		switch first := slices.Index(c.Of, name); {
		case i == 0:
		case first > 0 && first < i && name != "":
			j.fail(at(i), codeDuplicate, fmt.Sprintf("%s is named twice", name), "name different channels")
		default:
			j.compare(at(0), c.Of[0], at(i), name, clocks)
		}
	}
	for name := range c.Offsets {
		if !slices.Contains(c.Of, name) && !j.holes(path+".of") {
			j.failKey(path+".offsets."+name, codeUnused, fmt.Sprintf("%s is none of the channels above", name), didOr(name, c.Of))
		}
	}
	if c.Shift != 0 && c.Shift <= c.Window {
		j.fail(path+".shift", codeConflict, fmt.Sprintf("a shift of %s is within the window of %s", c.Shift, c.Window), "make it longer")
	}
	if c.Shift != 0 && c.Period != 0 {
		j.fail(path+".period", codeConflict, "a shift and a period both say by how much windows are shifted", "leave one of them out")
	}
}

func (j *judgement) delays(path string, s *ScanConfig) {
	switch {
	case j.holes(path): // reported
	case s.From > s.To:
		j.fail(path+".to", codeConflict, fmt.Sprintf("the scan begins at %s and ends before, at %s", s.From, s.To), "swap them")
	case (s.To-s.From)/s.Step >= maxDelays:
		j.fail(path+".step", codeValue, fmt.Sprintf("%d delays", (s.To-s.From)/s.Step+1), fmt.Sprintf("a scan has up to %d: make the step longer", maxDelays))
	}
}

func (j *judgement) histogram(path string, h *HistogramConfig, clocks *clocks) {
	j.compare(path+".start", h.Start, path+".stop", h.Stop, clocks)
	j.bins(path, h.Range, h.Bin)
}

func (j *judgement) bins(path string, reach, bin quantity.Time) {
	switch {
	case reach == 0 || bin == 0: // reported
	case reach%bin != 0:
		j.fail(path+".bin", codeConflict, fmt.Sprintf("a range of %s is no whole number of bins of %s", reach, bin), "change one of them")
	case 2*(reach/bin) > maxBins:
		j.fail(path+".bin", codeValue, fmt.Sprintf("%d bins", 2*(reach/bin)), fmt.Sprintf("a histogram has up to %d: make the bin wider", maxBins))
	}
}

func (j *judgement) g2(path string, g *G2Config, clocks *clocks) {
	j.histogram(path, &g.HistogramConfig, clocks)
	if j.holes(path) {
		return
	}
	if g.Far >= g.Range {
		j.fail(path+".far", codeConflict, fmt.Sprintf("no bin is %s from zero", g.Far), fmt.Sprintf("write less than the range of %s", g.Range))
	}
	switch period := g.Period.Picoseconds(); {
	case period == 0:
	case period < 2*float64(g.Bin):
		j.fail(path+".period", codeConflict, fmt.Sprintf("a period of %s is shorter than two bins of %s", g.Period, g.Bin), "make the bin finer")
	case float64(g.Range) < 1.5*period:
		j.fail(path+".period", codeConflict, fmt.Sprintf("a range of %s holds no pulse beside that at zero", g.Range), fmt.Sprintf("write a range of at least %s", quantity.Time(math.Ceil(1.5*period))))
	}
}

func (j *judgement) rates(path string, r *RatesConfig) {
	for i, name := range r.Of {
		if at := index(path+".of", i); j.channel(at, name) && slices.Index(r.Of, name) < i {
			j.fail(at, codeDuplicate, fmt.Sprintf("%s is named twice", name), "name different channels")
		}
	}
	if r.Bin > 0 && j.r.Acquire.Duration/r.Bin > maxDelays {
		j.fail(path+".bin", codeValue, fmt.Sprintf("%d bins", j.r.Acquire.Duration/r.Bin), fmt.Sprintf("there are up to %d: make the bin longer", maxDelays))
	}
}

// channelUse is one mention of a channel in the config of a stage.
type channelUse struct{ key, name string }

// sides are the channels of one side of an align stage: a lone one stands
// without a list.
func sides(key string, names []string) (uses []channelUse) {
	if len(names) == 1 {
		return []channelUse{{key, names[0]}}
	}
	for i, name := range names {
		uses = append(uses, channelUse{index(key, i), name})
	}
	return uses
}

func (s *Stage) channels() (uses []channelUse) {
	list := func(names []string) {
		for i, name := range names {
			uses = append(uses, channelUse{index("of", i), name})
		}
	}
	startStop := func(start, stop string) []channelUse { return []channelUse{{"start", start}, {"stop", stop}} }
	switch {
	case s.Align != nil:
		references, targets := s.Align.Channels()
		return append(sides("reference", references), sides("target", targets)...)
	case s.Coincidences != nil:
		list(s.Coincidences.Of)
	case s.Scan != nil:
		return startStop(s.Scan.Start, s.Scan.Stop)
	case s.Histogram != nil:
		return startStop(s.Histogram.Start, s.Histogram.Stop)
	case s.G2 != nil:
		return startStop(s.G2.Start, s.G2.Stop)
	case s.Rates != nil:
		list(s.Rates.Of)
	}
	return uses
}
