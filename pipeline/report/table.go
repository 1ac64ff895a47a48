package report

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"tsrun/pipeline/plot"
)

// mostLines is how many lines of a table are looked at.
const mostLines = 10_000_000

// table is what a picture needs of a table of results.
type table struct {
	columns []string
	curves  []plot.Reducer // of each column but the first, over the first
	lines   int
	cut     bool     // it has more lines than were looked at
	text    []string // its lines, as long as there are few
	odd     uint64   // cells that hold something that is no number, as NaN
	step    float64  // between the first two places
}

// longestLine bounds a line of a table, in bytes.
const longestLine = 64 << 10

// readTable reads a table. Of each column it keeps what a picture shows; sd names the
// column that holds the deviation of another.
func readTable(in io.Reader) (*table, error) {
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, longestLine), longestLine)
	t := &table{}
	first, row := math.NaN(), []float64{}
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "#") && t.columns == nil {
			continue
		}
		cells := strings.Split(line, ",")
		if t.columns == nil {
			t.columns, t.curves = cells, make([]plot.Reducer, max(0, len(cells)-1))
			if len(cells) < 2 || len(cells) > 256 {
				return nil, fmt.Errorf("a table of %d columns is none of results", len(cells))
			}
			continue
		}
		if len(cells) != len(t.columns) {
			return nil, fmt.Errorf("line %d has %d cells, the table has %d columns", t.lines+1, len(cells), len(t.columns))
		}
		if t.lines == mostLines {
			t.cut = true
			break
		}
		t.lines++
		if len(t.text) <= plot.MaxPoints {
			t.text = append(t.text, line)
		}
		row = t.numbers(row[:0], cells)
		x := row[0]
		if t.lines == 2 {
			t.step = x - first
		}
		if t.lines == 1 {
			first = x
		}
		for i := range t.curves {
			t.curves[i].Add(plot.Point{X: x, Y: row[i+1], SD: t.deviation(row, i+1)})
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, fmt.Errorf("the line after line %d is longer than %d KiB, so that it is none of a table of results", t.lines, longestLine>>10)
	case err != nil:
		return nil, fmt.Errorf("after line %d: %w", t.lines, err)
	}
	if t.columns == nil {
		return nil, errors.New("it has no line of columns")
	}
	return t, nil
}

// numbers are the values of a line, and what of it is none is counted: nobody writes NaN
// where results have an empty cell.
func (t *table) numbers(row []float64, cells []string) []float64 {
	for _, cell := range cells {
		v := number(cell)
		if cell != "" && (math.IsNaN(v) || math.IsInf(v, 0)) {
			t.odd++
		}
		row = append(row, v)
	}
	return row
}

// number is the value of a cell; no number where it is empty.
func number(cell string) float64 {
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return math.NaN()
	}
	return v
}

// deviation is that of a column, which stands in the column behind, under a name with _sd.
func (t *table) deviation(row []float64, column int) float64 {
	if column+1 < len(row) && strings.Contains(t.columns[column+1], "_sd") {
		return row[column+1]
	}
	return 0
}

// of are the points of a named column, moved from ps to a unit of so many ps along
// the first one, and divided by another along its own.
func (t *table) of(column string, unit, by float64) []plot.Point {
	i := slices.Index(t.columns, column)
	if i < 1 {
		return nil
	}
	points := t.curves[i-1].Points()
	for k := range points {
		points[k].X, points[k].Y, points[k].SD = points[k].X/unit, points[k].Y/by, points[k].SD/by
	}
	return points
}

// reach is the largest magnitude along the first column.
func (t *table) reach() (most float64) {
	for _, p := range t.curves[0].Points() {
		most = max(most, math.Abs(p.X))
	}
	return most
}
