package main

import (
	"fmt"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// table is one kind of statement and how to measure it.
type table struct {
	name, about string
	run         func(*report)
}

// report is what one table found.
type report struct {
	part    bool // of the records only so many as take seconds
	verbose bool // tell of each record
	from    int  // which records
	rows    [][]string
	broken  []string // bounds that do not hold
}

// seeds returns how many records to measure: of all, or in a part.
func (r *report) seeds(all, part int) int {
	if r.part {
		return part
	}
	return all
}

// seed returns the seed of one of a table's records: other ones from other
// beginnings.
func (r *report) seed(n int) uint64 { return uint64(r.from)<<32 + uint64(n) }

// row adds a line; the first is the heading.
func (r *report) row(cells ...any) {
	line := make([]string, len(cells))
	for i, c := range cells {
		if f, ok := c.(float64); ok {
			c = fmt.Sprintf("%.3g", f)
		}
		line[i] = fmt.Sprint(c)
	}
	r.rows = append(r.rows, line)
}

// want states a bound.
func (r *report) want(holds bool, format string, args ...any) {
	if !holds {
		r.broken = append(r.broken, fmt.Sprintf(format, args...))
	}
}

// print writes the rows as a table of Markdown and the bounds that do not hold.
func (r *report) print(w io.Writer) {
	for i, row := range r.rows {
		fmt.Fprintf(w, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(w, "|%s\n", strings.Repeat(" --- |", len(row)))
		}
	}
	for _, b := range r.broken {
		fmt.Fprintf(w, "\ndoes not hold: %s\n", b)
	}
}

// each calls f for 0 to n-1 on all cores.
func each(n int, f func(i int)) {
	var wait sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wait.Go(func() {
			for i := range next {
				f(i)
			}
		})
	}
	for i := range n {
		next <- i
	}
	close(next)
	wait.Wait()
}

// rms returns the root of the mean square of values, NaN of none.
func rms(values []float64) float64 {
	var sum float64
	for _, v := range values {
		sum += v * v
	}
	return math.Sqrt(sum / float64(len(values)))
}

// within returns the share of values of at most limit in size, NaN of none.
func within(values []float64, limit float64) float64 {
	n := 0
	for _, v := range values {
		if math.Abs(v) <= limit {
			n++
		}
	}
	return float64(n) / float64(len(values))
}

// largest returns the value that is largest in size, 0 of none.
func largest(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	return slices.MaxFunc(values, func(x, y float64) int {
		switch {
		case math.Abs(x) < math.Abs(y):
			return -1
		case math.Abs(x) > math.Abs(y):
			return 1
		}
		return 0
	})
}
