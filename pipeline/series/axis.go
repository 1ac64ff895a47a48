package series

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tsrun/pipeline/plot"
)

// The first axis of a picture is in the unit of its first value where all have that one, and
// otherwise the place of a value among all.

// unit splits "40 mV".
func unit(value string) (n float64, of string, ok bool) {
	text, of, _ := strings.Cut(value, " ")
	n, err := strconv.ParseFloat(text, 64)
	return n, of, err == nil
}

func (s *Series) sameUnit() (of string, ok bool) {
	for i, v := range s.Scan.Axes[0].Values {
		_, u, number := unit(v)
		if i == 0 {
			of = u
		}
		if !number || u != of {
			return "", false
		}
	}
	return of, true
}

func (s *Series) axisLabel() string {
	path := s.Scan.Axes[0].Path
	switch of, ok := s.sameUnit(); {
	case !ok:
		return path + " (1: the first value)"
	case of != "":
		return path + " (" + of + ")"
	}
	return path
}

// place is where a value is on the axis.
func (s *Series) place(value string) float64 {
	if _, ok := s.sameUnit(); ok {
		n, _, _ := unit(value)
		return n
	}
	return float64(slices.Index(s.Scan.Axes[0].Values, value) + 1)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

func sortPoints(points []plot.Point) {
	slices.SortStableFunc(points, func(a, b plot.Point) int { return cmp.Compare(a.X, b.X) })
}
