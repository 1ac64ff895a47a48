package stage

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"tsrun/sdk/quantity"
)

// picture draws values over time differences as bars, in at most so many rows
// that a terminal shows them.
type picture struct {
	start, step int64                   // ps: where the first value is, and how far apart they are
	wide        int64                   // ps: of a bin, which has its value in its centre; 0: the value is of start itself
	join        func([]float64) float64 // makes one row of several values
	format      string                  // of a value; %10.0f where it is empty
}

func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

// mean is that of the values there are.
func mean(v []float64) float64 {
	v = slices.DeleteFunc(slices.Clone(v), math.IsNaN)
	return sum(v) / float64(len(v)) // of none: none
}

func highest(v []float64) float64 { return slices.Max(v) }

func floats[N ~uint64 | ~int64 | ~float64](counts []N) []float64 {
	v := make([]float64, len(counts))
	for i, n := range counts {
		v[i] = float64(n)
	}
	return v
}

func (p picture) draw(out io.Writer, values []float64) error {
	const maxRows, width = 40, 50
	if p.format == "" {
		p.format = "%10.0f"
	}
	each := (len(values) + maxRows - 1) / maxRows
	var rows []float64
	var middles []int64 // ps
	for part := range slices.Chunk(values, max(each, 1)) {
		first := p.start + int64(len(rows)*each)*p.step
		rows, middles = append(rows, p.join(part)), append(middles, first+(int64(len(part)-1)*p.step+p.wide)/2)
	}
	most := 1e-300
	for _, v := range rows {
		if !math.IsNaN(v) {
			most = max(most, v)
		}
	}
	for r, v := range rows {
		text, bar := fmt.Sprintf(p.format, v), ""
		if math.IsNaN(v) {
			text = fmt.Sprintf("%10s", "-")
		} else {
			bar = strings.Repeat("#", int(v*width/most))
		}
		if _, err := fmt.Fprintf(out, "%16s %s %s\n", quantity.Time(middles[r]), text, bar); err != nil {
			return err
		}
	}
	return nil
}
