package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"tsrun/pipeline/quantity"
)

// picture draws values over time differences as bars, in at most so many rows
// that a terminal shows them.
type picture struct {
	start, step int64                   // ps: where the first value is, and how far apart they are
	join        func([]float64) float64 // makes one row of several values
	format      string                  // of a value; %10.0f where it is empty
}

func sum(v []float64) (s float64) {
	for _, x := range v {
		s += x
	}
	return s
}

func mean(v []float64) float64 { return sum(v) / float64(len(v)) }

func highest(v []float64) float64 { return slices.Max(v) }

func floats[N ~uint64 | ~int64](counts []N) []float64 {
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
	for part := range slices.Chunk(values, max(each, 1)) {
		rows = append(rows, p.join(part))
	}
	most := 1e-300
	for _, v := range rows {
		most = max(most, v)
	}
	for r, v := range rows {
		bar := strings.Repeat("#", int(v*width/most))
		if _, err := fmt.Fprintf(out, "%16s "+p.format+" %s\n", quantity.Time(p.start+int64(r*each)*p.step), v, bar); err != nil {
			return err
		}
	}
	return nil
}
