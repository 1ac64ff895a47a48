package recipe

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	// MaxScanRuns is how many runs a series has at most.
	MaxScanRuns = 10_000
	maxAxes     = 2
	// checkedValues is how many values of an axis are tried in the recipe before anything
	// starts, evenly spread; each is once more when its run begins.
	checkedValues = 100
)

// What a series does after a run that failed.
const (
	ScanGoesOn = "continue"
	ScanStops  = "stop"
)

// Scan is a series of runs of one recipe, in which one or two values vary.
type Scan struct {
	Axes      []Axis `json:"axes"`
	OnFailure string `json:"on_failure"`
}

// Axis is what varies, and its values, as a recipe would write them.
type Axis struct {
	Path   string   `json:"path"` // as of --set
	Values []string `json:"values"`
	at     place
}

// Runs is how many runs the series has.
func (s *Scan) Runs() int {
	runs := 1
	for _, a := range s.Axes {
		runs *= len(a.Values)
	}
	return runs
}

// Values are those of a run, from 0, one of each axis: the last varies fastest.
func (s *Scan) Values(number int) []string {
	values := make([]string, len(s.Axes))
	for i, a := range slices.Backward(s.Axes) {
		values[i] = a.Values[number%len(a.Values)]
		number /= len(a.Values)
	}
	return values
}

// Set is what a run of the series changes in the recipe, as overrides.
func (s *Scan) Set(number int) (texts []string) {
	for i, v := range s.Values(number) {
		texts = append(texts, s.Axes[i].Path+"="+v)
	}
	return texts
}

var scanTable = &Field{name: "scan", shape: shapeObject, encode: encodeNothing,
	doc: "A series of runs, one for each value of what varies, or for each pair of values; see [series](scan.md).",
	keys: []*Field{
		{name: "on_failure", shape: shapeChoice, initial: ScanGoesOn, choices: []string{ScanGoesOn, ScanStops},
			doc: "What happens after a run that is not GOOD: the next one, or the end of the series."},
	},
	others: &Field{name: "PATH", shape: shapeConfig, listed: true,
		doc: "What varies, as a path of --set, such as nodes.alice.channels.signal.threshold; one or two of them. A list of values, or a range: {from: 40 mV, to: 200 mV, step: 10 mV}."},
}

// takeScan takes the series out of a recipe: what is left is what one run executes.
func takeScan(c *checker, root *node) *Scan {
	e := root.entry("scan")
	if e == nil {
		return nil
	}
	section, at := e.value, e.keyAt
	root.remove("scan")
	if section.kind != mapNode {
		c.fail(at, "scan", codeType, "a section is due here, not "+section.kind.String(), "write {nodes.alice.channels.signal.threshold: {from: 40 mV, to: 200 mV, step: 10 mV}}")
		return nil
	}
	s := &Scan{OnFailure: ScanGoesOn}
	for _, e := range section.entries {
		if e.key == "on_failure" {
			if v := c.check(scanTable.find(e.key), e.value, e.key, "scan."+e.key, e.keyAt); v != nil {
				s.OnFailure = v.text
			}
			continue
		}
		axis := Axis{Path: e.key, at: e.keyAt}
		if top, _, _ := strings.Cut(e.key, "."); top == "scan" || top == "version" || top == "extends" || top == "name" {
			c.fail(e.keyAt, "scan."+e.key, codeUnknownKey, fmt.Sprintf("%q is nothing that can vary", e.key), "write the path of a value, as nodes.alice.channels.signal.threshold")
			continue
		}
		var problem *Problem
		if axis.Values, problem = valuesOf(e); problem != nil {
			c.problems = append(c.problems, *problem)
			continue
		}
		s.Axes = append(s.Axes, axis)
	}
	switch {
	case len(c.problems) > 0:
	case len(s.Axes) == 0 || len(s.Axes) > maxAxes:
		c.fail(at, "scan", codeValue, fmt.Sprintf("%d things vary", len(s.Axes)), "let one or two vary; write others into recipes of their own")
	case s.Runs() > MaxScanRuns:
		c.fail(at, "scan", codeValue, fmt.Sprintf("%d runs are more than the %d of a series", s.Runs(), MaxScanRuns), "take fewer values")
	default:
		return s
	}
	return nil
}

// valuesOf are the values of a list or a range.
func valuesOf(e entry) ([]string, *Problem) {
	fail := func(at place, message, hint string) ([]string, *Problem) {
		p := at.problem("scan."+e.key, codeValue, message, hint)
		return nil, &p
	}
	const how = "write a list as [40 mV, 60 mV], or {from: 40 mV, to: 200 mV, step: 10 mV}"
	switch e.value.kind {
	case listNode:
		var values []string
		for _, item := range e.value.items {
			if item.kind != scalarNode || item.text == "" {
				return fail(item.at, "a single value is due here, not "+item.kind.String(), how)
			}
			values = append(values, item.text)
		}
		if len(values) == 0 || len(values) > MaxScanRuns {
			return fail(e.value.at, fmt.Sprintf("a list of %d values", len(values)), how)
		}
		return values, nil
	case mapNode:
		ends := map[string]string{}
		for _, k := range e.value.entries {
			if !slices.Contains([]string{"from", "to", "step"}, k.key) || k.value.kind != scalarNode {
				return fail(k.keyAt, fmt.Sprintf("%q is no part of a range", k.key), how)
			}
			ends[k.key] = k.value.text
		}
		values, why := rangeOf(ends["from"], ends["to"], ends["step"])
		if why != "" {
			return fail(e.value.at, why, how)
		}
		return values, nil
	}
	return fail(e.value.at, "values are due here, not "+e.value.kind.String(), how)
}

// ranged are the kinds of quantities of which there are ranges; a text is of one at most,
// by its unit.
var ranged = []*amount{{parse: func(text string) (int64, error) { return strconv.ParseInt(text, 10, 64) },
	format: func(v int64) string { return strconv.FormatInt(v, 10) }}, voltages, times, frequencies, sizes, drifts, shares}

// rangeOf are the values from one to another, both included where the steps meet it, or
// why there are none.
func rangeOf(from, to, step string) (values []string, why string) {
	if from == "" || to == "" || step == "" {
		return nil, "from, to and step make a range"
	}
	for _, a := range ranged {
		first, errFirst := a.parse(from)
		last, errLast := a.parse(to)
		by, errBy := a.parse(step)
		if down, below := strings.CutPrefix(step, "-"); below && errBy != nil && !strings.HasPrefix(down, "-") {
			by, errBy = a.parse(down) // of what is never negative itself
			by = -by
		}
		if errFirst != nil || errLast != nil || errBy != nil {
			continue
		}
		if by == 0 || (last-first)/by < 0 || (last > first) != (last-first > 0) || last != first && (last > first) != (by > 0) {
			return nil, fmt.Sprintf("steps of %s do not lead from %s to %s", step, from, to)
		}
		n := (last-first)/by + 1
		if n > MaxScanRuns {
			return nil, fmt.Sprintf("%d values are more than the %d of a series", n, MaxScanRuns)
		}
		for i := range n {
			values = append(values, a.format(first+i*by))
		}
		return values, ""
	}
	return nil, fmt.Sprintf("from %q, to %q and step %q are not three numbers of one unit", from, to, step)
}

// tryScan tries values of each axis in the recipe, the others at their first.
func tryScan(c *checker, s *Scan, load func(set []string) error) {
	for i, a := range s.Axes {
		spread := max(1, (len(a.Values)+checkedValues-1)/checkedValues)
		for n, v := range a.Values {
			if n%spread != 0 && n != len(a.Values)-1 {
				continue
			}
			set := s.Set(0)
			set[i] = a.Path + "=" + v
			if err := load(set); err != nil {
				p := a.at.problem("scan."+a.Path, codeValue, fmt.Sprintf("the recipe cannot be run with %s: %v", v, err), "")
				if problems, ok := err.(Problems); ok && len(problems) > 0 {
					p.Message, p.Hint = fmt.Sprintf("%s = %s: %s", a.Path, v, problems[0].Message), problems[0].Hint
				}
				c.problems = append(c.problems, p)
				break
			}
		}
	}
}
