package stage

import (
	"fmt"
	"slices"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/event"
	"tsrun/pipeline/recipe"
	"tsrun/sdk/quantity"
	"tsrun/sdk/tag"
)

const (
	liveWindow = quantity.Nanosecond // of pairs that no stage counts
	liveBins   = 100                 // to each side of zero
	liveReach  = 5                   // windows to each side
)

// LivePairs counts the pairs of two channels while a run goes on, a segment at a time,
// by the clock that an align stage has followed through it: with the arithmetic of the
// stages, so that what is shown is what they will say. A bench that is watched is counted
// otherwise, and package watch says why.
type LivePairs struct {
	told   event.Pairs // what its events have in common, and the sums
	config CoincidencesConfig
	first  *correlate.Line // of the first segment of the shot, without its drift
}

// NewLivePairs counts as the first coincidences stage of the recipe that is of these two
// channels, or within half a nanosecond.
func NewLivePairs(r *recipe.Recipe, stage, reference, target string) (*LivePairs, error) {
	p := &LivePairs{config: CoincidencesConfig{Of: []string{reference, target}, Window: liveWindow}}
	for _, s := range r.Stages {
		if s.Kind != coincidencesKind.name {
			continue
		}
		c, err := read[CoincidencesConfig](s.Config)
		if err != nil {
			return nil, fmt.Errorf("stage %q: %w", s.Name, err)
		}
		if len(c.Of) == 2 && slices.Contains(c.Of, reference) && slices.Contains(c.Of, target) {
			p.config.Window, p.config.Offsets, p.config.Shift, p.config.Period = c.Window, c.Offsets, c.Shift, c.Period
			break
		}
	}
	bin := max(1, int64(p.config.Window)*liveReach/liveBins)
	p.told = event.Pairs{Stage: stage, Reference: reference, Target: target, WindowPs: int64(p.config.Window), Total: correlate.NewPairSum(),
		StartPs: -liveBins * bin, BinPs: bin, Counts: make([]uint64, 2*liveBins), Raw: make([]uint64, 2*liveBins)}
	return p, nil
}

// LeaveOut notes a segment that nobody counts.
func (p *LivePairs) LeaveOut() { p.told.LeftOut++ }

// Restart notes that the controllers were started anew: what follows has another offset.
func (p *LivePairs) Restart() { p.first = nil }

// Count takes the tags of one segment of both channels, and what was known of the clock
// in it; ok is false where that is nothing, or chance is not known: the segment is left
// out. The shot is 0 in a run that takes one.
func (p *LivePairs) Count(shot, segment int, a, b []uint64, clock []align.Value) (e event.Pairs, ok bool, err error) {
	lines := LinesOf(clock)
	if len(lines) == 0 || len(a) == 0 || len(b) == 0 {
		p.LeaveOut()
		return e, false, nil
	}
	counted, err := p.coincidences(a, b, lines)
	last := correlate.NewPairSum()
	if err != nil || !last.Add(counted) {
		p.LeaveOut()
		return e, false, err
	}
	if p.first == nil {
		p.first = &correlate.Line{Reference: lines[0].Reference, Offset: lines[0].Offset}
	}
	corrected, err := p.histogram(a, b, lines)
	if err != nil {
		p.LeaveOut()
		return e, false, err
	}
	raw, err := p.histogram(a, b, []correlate.Line{*p.first})
	if err != nil {
		p.LeaveOut()
		return e, false, err
	}
	for k := range corrected {
		p.told.Counts[k] += corrected[k]
		p.told.Raw[k] += raw[k]
	}
	p.told.Total.Add(counted)
	p.told.Counted++
	e = p.told
	e.Shot, e.Segment, e.AtPs, e.Last, e.Newest = shot, segment, a[0], last, corrected
	e.Counts, e.Raw = slices.Clone(e.Counts), slices.Clone(e.Raw) // who is told keeps them
	e.Peak, e.Sum = correlate.FitPeak(e.StartPs, e.BinPs, corrected), correlate.FitPeak(e.StartPs, e.BinPs, e.Counts)
	return e, true, nil
}

func (p *LivePairs) channels(a, b []uint64, lines []correlate.Line) ([]correlate.Channel, error) {
	correction, err := correlate.NewCorrection(lines...)
	return []correlate.Channel{
		{Tags: tag.NewReader(a), Record: p.told.Reference, Offset: int64(p.config.Offsets[p.told.Reference])},
		{Tags: tag.NewReader(b), Record: p.told.Target, Offset: int64(p.config.Offsets[p.told.Target]), Correction: correction},
	}, err
}

func (p *LivePairs) coincidences(a, b []uint64, lines []correlate.Line) (correlate.Coincidences, error) {
	channels, err := p.channels(a, b, lines)
	if err != nil {
		return correlate.Coincidences{}, err
	}
	return correlate.Coincide(channels, p.config.options())
}

func (p *LivePairs) histogram(a, b []uint64, lines []correlate.Line) ([]uint64, error) {
	channels, err := p.channels(a, b, lines)
	if err != nil {
		return nil, err
	}
	h, err := correlate.CountChannels(channels[0], channels[1], correlate.HistogramOptions{Range: -p.told.StartPs, Bin: p.told.BinPs})
	return h.Counts, err
}

// LinesOf are a clock from value to value, and beyond the last as it went there. Where it
// jumped no line leads.
func LinesOf(clock []align.Value) (lines []correlate.Line) {
	for i, v := range clock {
		if v.State == align.Lost || len(lines) > 0 && int64(v.Time-lines[len(lines)-1].Reference) <= 0 {
			continue
		}
		pace := v.Frequency * 1e-9
		if i+1 < len(clock) && clock[i+1].State == align.Tracking && int64(clock[i+1].Time-v.Time) > 0 {
			pace = clock[i+1].Offset.Minus(v.Offset) / float64(int64(clock[i+1].Time-v.Time))
		}
		line := correlate.Line{Reference: v.Time, Offset: v.Offset.Whole, Frequency: quantity.Drift(max(-1, min(1, pace)) * 1e15)}
		if line.Check() == nil {
			lines = append(lines, line)
		}
	}
	return lines
}
