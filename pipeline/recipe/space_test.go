package recipe

import (
	"math"
	"testing"

	"tsrun/sdk/quantity"
)

func TestLeastTags(t *testing.T) {
	r := load(t, "testdata/good.yaml").Recipe
	var names []string
	for _, n := range r.Nodes {
		for _, c := range n.Channels {
			names = append(names, n.Name+"."+c.Name)
		}
	}
	all := func(string) bool { return true }
	r.Expect, r.Acquire.Duration = nil, 10_000_000_000_000
	if got := r.LeastTags("", all); got != 0 {
		t.Errorf("%d tags where nothing is expected", got)
	}
	rate := new(quantity.Frequency)
	*rate = 20 * quantity.Kilohertz
	r.Expect = []Expect{{Channel: names[0], RateMin: rate}, {Channel: "nobody.c", RateMin: rate}, {Channel: names[1], RateMax: rate}}
	for node, want := range map[string]int64{"": 200_000, r.Nodes[0].Name: 200_000, "nobody": 0} {
		if got := r.LeastTags(node, all); got != want*int64(len(r.Sinks)) {
			t.Errorf("%q: %d tags for %d sinks, want %d of each", node, got, len(r.Sinks), want)
		}
	}
	if got := r.LeastTags("", func(string) bool { return false }); got != 0 {
		t.Errorf("%d tags in sinks that keep none", got)
	}
	*rate, r.Acquire.Duration = math.MaxInt64, math.MaxInt64
	if got := r.LeastTags("", all); got != math.MaxInt64 {
		t.Errorf("%d tags of the greatest rate and time", got)
	}
	*rate = -1
	if got := r.LeastTags("", all); got != 0 {
		t.Errorf("%d tags of a rate below 0", got)
	}
}

func TestFiles(t *testing.T) {
	r := load(t, "testdata/good.yaml").Recipe
	series, each := r.Segments()
	if got := r.Files("", func(string) bool { return true }); got != series*each || got == 0 {
		t.Errorf("%d files, want %d of %d series", got, each, series)
	}
	if got := r.Files("", func(string) bool { return false }); got != 0 {
		t.Errorf("%d files of sinks that make none", got)
	}
	sum := int64(0)
	for _, n := range r.Nodes {
		sum += r.Files(n.Name, func(string) bool { return true })
	}
	if sum != series*each || r.Files("nobody", func(string) bool { return true }) != 0 {
		t.Errorf("%d files of all nodes, want %d", sum, series*each)
	}
}
