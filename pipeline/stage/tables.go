package stage

import (
	"io"
	"strconv"

	"tsrun/pipeline/track"
)

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
