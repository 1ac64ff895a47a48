package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
)

// maxAlignTags is how many tags of a channel an align stage holds in memory:
// 2 GiB. Of longer records it looks at the beginning.
const maxAlignTags = 1 << 28

// align finds the target's clock and remembers it for later stages. Its file
// is the summary itself, written also when nothing was found.
func (a *analysis) align(c *recipe.AlignConfig, result *Result) (any, error) {
	reference, err := a.open(c.Reference)
	if err != nil {
		return nil, err
	}
	defer reference.Close()
	target, err := a.open(c.Target)
	if err != nil {
		return nil, err
	}
	defer target.Close()
	tagsA, wholeA, errA := readTags(reference, maxAlignTags)
	tagsB, wholeB, errB := readTags(target, maxAlignTags)
	if err := errors.Join(errA, errB); err != nil {
		return nil, err
	}
	found, err := align.Align(a.ctx, tagsA, tagsB, align.Options{Search: int64(c.Search), MaxDrift: align.DefaultMaxDrift})
	summary := AlignSummary{Reference: c.Reference, Target: c.Target, Simulated: a.simulated(c.Reference, c.Target)}
	var refusal *align.Refusal
	switch {
	case errors.As(err, &refusal):
		summary.Refused, summary.Reason, summary.Hint = true, refusal.Reason, refusal.Hint
		a.manifest.Notice(Reason{Condition: Tainted,
			Message: fmt.Sprintf("stage %q found no offset of %s against %s: %s", result.Stage, c.Target, c.Reference, refusal.Reason)})
	case err != nil:
		return nil, err
	default:
		if !wholeA || !wholeB {
			found.Warning += fmt.Sprintf("only the first %d tags of a channel were looked at", maxAlignTags)
		}
		correction := found.Line()
		a.clocks.found(a.clockOf(c.Reference), a.clockOf(c.Target), correction)
		summary.fill(found, correction)
	}
	return summary, a.file(result, ".json", func(w io.Writer) error {
		text, err := json.MarshalIndent(summary, "", "  ")
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	})
}

func (s *AlignSummary) fill(found align.Alignment, correction correlate.Line) {
	s.OffsetPs, s.ReferencePs, s.Frequency1e15 = correction.Offset, correction.Reference, int64(correction.Frequency)
	s.OffsetSDPs, s.FrequencyPpb, s.FrequencySDPpb = found.OffsetSD, found.Frequency, found.FrequencySD
	s.Alignment = &found
}

// readTags reads at most limit tags; whole says whether that is all.
func readTags(s correlate.Stream, limit int) (tags []uint64, whole bool, err error) {
	buf := make([]uint64, 1<<15)
	for {
		n, err := s.Next(buf)
		n = min(n, limit-len(tags))
		tags = append(tags, buf[:n]...)
		switch {
		case err == io.EOF:
			return tags, true, nil
		case err != nil:
			return nil, false, err
		case len(tags) == limit:
			return tags, false, nil
		}
	}
}

// coincidences counts pairs and writes each of them.
func (a *analysis) coincidences(c *recipe.CoincidencesConfig, result *Result) (any, error) {
	if len(c.Of) != 2 {
		return nil, fmt.Errorf("coincidences are of two channels, not of %d", len(c.Of))
	}
	p, err := a.pair(c.Of[0], c.Of[1])
	if err != nil {
		return nil, err
	}
	defer p.Close()
	summary := PairsSummary{Of: c.Of, Corrected: p.corrected}
	err = a.file(result, ".csv", func(w io.Writer) error {
		if _, err := io.WriteString(w, a.heading("a_ps,b_ps,delta_ps,one_to_one", c.Of...)); err != nil {
			return err
		}
		var line []byte
		summary.Coincidences, err = correlate.CoincideStreams(p.a, p.b, correlate.CoincidenceOptions{
			Window: int64(c.Window), Correction: p.correction,
			Each: func(pair correlate.Pair) error {
				line = appendPair(line[:0], pair)
				_, err := w.Write(line)
				return err
			},
		})
		return err
	})
	return summary, err
}

func appendPair(line []byte, p correlate.Pair) []byte {
	line = append(strconv.AppendUint(line, p.A, 10), ',')
	line = append(strconv.AppendUint(line, p.B, 10), ',')
	line = append(strconv.AppendInt(line, p.Delta, 10), ',')
	if p.OneToOne {
		return append(line, "1\n"...)
	}
	return append(line, "0\n"...)
}

// histogram counts the differences stop minus start.
func (a *analysis) histogram(c *recipe.HistogramConfig, result *Result) (any, error) {
	p, err := a.pair(c.Start, c.Stop)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	h, err := correlate.CountStreams(p.a, p.b, correlate.HistogramOptions{
		Range: int64(c.Range), Bin: int64(c.Bin), Correction: p.correction,
	})
	if err != nil {
		return nil, err
	}
	summary := HistogramSummary{
		Start: c.Start, Stop: c.Stop, Corrected: p.corrected,
		RangePs: int64(c.Range), BinPs: h.Bin, Pairs: h.Pairs, PeakPs: h.Start,
	}
	for i, n := range h.Counts {
		if n > summary.PeakCounts {
			summary.PeakCounts, summary.PeakPs = n, h.Start+int64(i)*h.Bin
		}
	}
	return summary, a.file(result, ".csv", func(w io.Writer) error {
		if _, err := io.WriteString(w, a.heading("start_ps,counts", c.Start, c.Stop)); err != nil {
			return err
		}
		var line []byte
		for i, n := range h.Counts {
			line = append(strconv.AppendInt(line[:0], h.Start+int64(i)*h.Bin, 10), ',')
			line = append(strconv.AppendUint(line, n, 10), '\n')
			if _, err := w.Write(line); err != nil {
				return err
			}
		}
		return nil
	})
}

// heading is the first line of a result, after one that marks simulated tags.
func (a *analysis) heading(columns string, channels ...string) string {
	if a.simulated(channels...) {
		return "# SIMULATED: computed, not measured\n" + columns + "\n"
	}
	return columns + "\n"
}

// simulated says whether any of the channels is of a simulated device.
func (a *analysis) simulated(channels ...string) bool {
	for _, name := range channels {
		c := a.channel(name)
		if c == nil {
			continue
		}
		if k := a.nodeOf(name).Controllers[c.Controller]; k != nil && k.Device.Simulated {
			return true
		}
	}
	return false
}
