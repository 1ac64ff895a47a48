package main

import (
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// tolerance is how much worse a row may be.
const tolerance = 0.05

// rowSet is what one benchmark has said, by the name of the row.
type rowSet map[string]*row

// row is one number of a benchmark, from every round.
type row struct {
	unit        string
	before, now []float64
}

// result is a line of a benchmark: its name, how often it ran, and pairs of a number and its unit.
var result = regexp.MustCompile(`^(Benchmark\S*?)(?:-\d+)?\s+\d+\s+(.*)`)

// add takes what a benchmark printed.
func (r rowSet) add(now bool, text string) {
	for line := range strings.Lines(text) {
		m := result.FindStringSubmatch(strings.TrimSpace(line))
		if m == nil {
			continue
		}
		fields := strings.Fields(m[2])
		for i := 0; i+1 < len(fields); i += 2 {
			if v, err := strconv.ParseFloat(fields[i], 64); err == nil {
				r.addOne(now, m[1], fields[i+1], v)
			}
		}
	}
}

func (r rowSet) addOne(now bool, benchmark, unit string, v float64) {
	name := strings.TrimPrefix(benchmark, "Benchmark") + " " + unit
	if r[name] == nil {
		r[name] = &row{unit: unit}
	}
	if now {
		r[name].now = append(r[name].now, v)
	} else {
		r[name].before = append(r[name].before, v)
	}
}

// print prints a line for each row, and returns how many are worse.
func (r rowSet) print(out io.Writer) (worse int) {
	for _, name := range slices.Sorted(maps.Keys(r)) {
		before, now := median(r[name].before), median(r[name].now)
		switch {
		case len(r[name].before) == 0 || len(r[name].now) == 0:
			fmt.Fprintf(out, "%-58s only %s\n", name, map[bool]string{true: "now", false: "before"}[len(r[name].now) > 0])
		case before == 0 && now == 0: // a benchmark that leaves its time out
		default:
			verdict := judge(r[name].unit, before, now)
			if verdict == "WORSE" {
				worse++
			}
			line := fmt.Sprintf("%-58s %12.4g %12.4g %8.3f %s", name, before, now, now/before, verdict)
			fmt.Fprintln(out, strings.TrimRight(line, " "))
		}
	}
	return worse
}

// judge says what a row has become: worse, better, or nothing where it is about the
// same or where neither more nor less of its unit is better.
func judge(unit string, before, now float64) string {
	worse, better := now, before
	switch {
	case unit == "CPU-s": // of a whole process, with what a benchmark does before it measures
		return ""
	case moreIsBetter(unit):
		worse, better = before, now
	case !lessIsBetter(unit):
		return ""
	}
	switch {
	case worse > better*(1+tolerance):
		return "WORSE"
	case better > worse*(1+tolerance):
		return "better"
	}
	return ""
}

// moreIsBetter: rates, and shares of what something plain takes.
func moreIsBetter(unit string) bool {
	return strings.Contains(unit, "B/s") || strings.Contains(unit, "tags/s") || strings.HasPrefix(unit, "of-") ||
		unit == "ratio" || unit == "tls-of-plain"
}

// lessIsBetter: times, memory, and what is done for one of something.
func lessIsBetter(unit string) bool {
	return strings.HasSuffix(unit, "-us") || unit == "MB" ||
		slices.ContainsFunc([]string{"/op", "/tag", "/record", "/segment", "/align", "/entropy"}, func(per string) bool { return strings.HasSuffix(unit, per) })
}

// median of no values is 0.
func median(v []float64) float64 {
	if len(v) == 0 {
		return 0
	}
	v = slices.Sorted(slices.Values(v))
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}
