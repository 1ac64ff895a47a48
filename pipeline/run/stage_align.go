package run

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"tsrun/pipeline/align"
	"tsrun/pipeline/correlate"
	"tsrun/pipeline/recipe"
	"tsrun/pipeline/track"
)

// align finds the target's clock, follows it through the whole record, and
// remembers it for later stages. Its first file is the summary itself, written
// also when nothing was found; the second is the track.
func (a *analysis) align(c *recipe.AlignConfig, result *Result) (any, error) {
	found, err := a.findClock(c)
	summary, err := NewAlignSummary(c.Reference, c.Target, found, err)
	if err != nil {
		return nil, err
	}
	summary.Simulated = a.simulated(c.Reference, c.Target)
	if summary.Refused {
		a.manifest.Notice(Reason{Condition: Tainted,
			Message: fmt.Sprintf("stage %q found no offset of %s against %s: %s", result.Stage, c.Target, c.Reference, summary.Reason)})
	} else {
		a.clocks.found(a.clockOf(c.Reference), a.clockOf(c.Target), found.Correction())
		if found.Track != nil {
			a.manifest.noticeJumps(result.Stage, c.Target, found.Track.Steps)
		}
	}
	err = a.file(result, ".json", func(w io.Writer) error {
		text, err := json.MarshalIndent(summary, "", "  ")
		if err == nil {
			_, err = w.Write(append(text, '\n'))
		}
		return err
	})
	if err == nil && !summary.Refused && found.Track != nil {
		err = a.file(result, ".csv", func(w io.Writer) error {
			return writeKnots(w, a.heading(strings.Join(KnotColumns, ","), c.Reference, c.Target), found.Track.Knots)
		})
	}
	summary.Alignment = summary.Alignment.WithoutKnots() // a track has as many knots as the run was long
	return summary, err
}

// findClock aligns the channels of a stage, as far as their segments are here.
func (a *analysis) findClock(c *recipe.AlignConfig) (align.Alignment, error) {
	reference, err := a.open(c.Reference)
	if err != nil {
		return align.Alignment{}, err
	}
	defer reference.Close()
	target, err := a.open(c.Target)
	if err != nil {
		return align.Alignment{}, err
	}
	defer target.Close()
	tagsA, wholeA, errA := readTags(reference, maxAlignTags)
	tagsB, wholeB, errB := readTags(target, maxAlignTags)
	if err := errors.Join(errA, errB); err != nil {
		return align.Alignment{}, err
	}
	found, err := align.Align(a.ctx, tagsA, tagsB, a.manifest.AlignOptions(c))
	if err == nil && !(wholeA && wholeB) {
		found.Warning += fmt.Sprintf("only the first %d tags of a channel were looked at", maxAlignTags)
	}
	return found, err
}

// maxAlignTags is how many tags of a channel an align stage holds in memory:
// 2 GiB. Of longer records it looks at the beginning.
const maxAlignTags = 1 << 28

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

// KnotColumns are the columns of files that hold a track.
var KnotColumns = []string{"time_ps", "offset_ps", "offset_sd_ps", "frequency_ppb", "frequency_sd_ppb"}

// AppendKnot appends the line of a knot, in columns separated by commas.
func AppendKnot(line []byte, k track.Knot) []byte {
	line = append(strconv.AppendUint(line, k.Time, 10), ',')
	line = append(append(line, k.Offset.String()...), ',')
	line = append(strconv.AppendFloat(line, k.OffsetSD, 'f', 3, 64), ',')
	line = append(strconv.AppendFloat(line, k.Frequency, 'f', 6, 64), ',')
	return append(strconv.AppendFloat(line, k.FrequencySD, 'f', 6, 64), '\n')
}

// writeKnots writes the track of a clock, a knot a line.
func writeKnots(w io.Writer, heading string, knots []track.Knot) error {
	if _, err := io.WriteString(w, heading); err != nil {
		return err
	}
	var line []byte
	for _, k := range knots {
		line = AppendKnot(line[:0], k)
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}
