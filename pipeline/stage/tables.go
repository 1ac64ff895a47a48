package stage

import (
	"io"
	"strconv"

	"tsrun/pipeline/correlate"
	"tsrun/pipeline/track"
)

// WriteCounts writes a line for each count, the first at start, then by step.
func WriteCounts(w io.Writer, start, step int64, counts []uint64) error {
	var line []byte
	for i, n := range counts {
		line = append(strconv.AppendInt(line[:0], start+int64(i)*step, 10), ',')
		line = append(strconv.AppendUint(line, n, 10), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// WriteG2 writes a line for each bin: where it begins in ps, its count, and g2
// with its standard deviation, both empty where there is no value.
func WriteG2(w io.Writer, g correlate.G2) error {
	var line []byte
	for i, n := range g.Counts {
		line = append(strconv.AppendInt(line[:0], g.Start+int64(i)*g.Bin, 10), ',')
		line = append(strconv.AppendUint(line, n, 10), ',')
		line = append(g.G2[i].AppendCell(line, 6), ',')
		line = append(g.SD[i].AppendCell(line, 6), '\n')
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}

// WriteRates writes a line for each bin: where it begins in ps, and the tags of
// each channel. A channel that had not begun or had ended has an empty cell.
func WriteRates(w io.Writer, r correlate.Rates) error {
	if len(r.Channels) == 0 {
		return nil
	}
	var line []byte
	for k := range r.Channels[0].Counts {
		line = append(line[:0], r.At(r.Start+int64(k)*r.Bin).String()...)
		for i, c := range r.Channels {
			line = append(line, ',')
			if r.Recorded(i, k) {
				line = strconv.AppendUint(line, c.Counts[k], 10)
			}
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return nil
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

// WriteKnots writes the track of a clock, a knot a line.
func WriteKnots(w io.Writer, knots []track.Knot) error {
	var line []byte
	for _, k := range knots {
		line = AppendKnot(line[:0], k)
		if _, err := w.Write(line); err != nil {
			return err
		}
	}
	return nil
}
