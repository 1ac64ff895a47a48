package catalogue

import (
	"encoding/json"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tsrun/pipeline/run"
	"tsrun/sdk/quantity"
)

// entry is one run directory that is read for a table.
type entry struct {
	directory string
	manifest  *run.Manifest // nil: it cannot be read
	err       error         // why not
	known     facts         // of the manifest, once a column asks for them
}

// column is one of those that have a name of their own. A value is nil where there is none.
type column struct {
	name  string
	value func(e *entry, m *run.Manifest) any
}

// columns are the named ones, in the order in which they stand where none are chosen.
var columns = []column{
	{"directory", func(e *entry, _ *run.Manifest) any { return e.directory }},
	{"name", func(_ *entry, m *run.Manifest) any { return word(m.Name) }},
	{"started", func(_ *entry, m *run.Manifest) any { return stamp(m.Started) }},
	{"ended", func(_ *entry, m *run.Manifest) any { return stamp(m.Ended) }},
	{"took_s", func(_ *entry, m *run.Manifest) any { return took(m) }},
	{"recipe", func(_ *entry, m *run.Manifest) any { return recipeName(m) }},
	{"commit", func(_ *entry, m *run.Manifest) any { return commit(m.Recipe.Git) }},
	{"tags", func(_ *entry, m *run.Manifest) any { return counted(m, m.TagsDelivered()) }},
	{"lost", func(_ *entry, m *run.Manifest) any { return counted(m, m.TagsLost()) }},
	{"rate_hz", func(_ *entry, m *run.Manifest) any { return rate(m) }},
	{"pairs", func(_ *entry, m *run.Manifest) any { return firstOf(m, "coincidences", "all") }},
	{"offset_ps", func(_ *entry, m *run.Manifest) any { return firstOf(m, "align", "offset_ps") }},
	{"offset_sd_ps", func(_ *entry, m *run.Manifest) any { return firstOf(m, "align", "offset_sd_ps") }},
	{"condition", func(_ *entry, m *run.Manifest) any { return Conditions(m) }},
	{"error", nil}, // of a run whose manifest cannot be read, which has nothing else
}

// Names are the columns that have a name of their own.
func Names() []string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return names
}

// value is what a run has in a column: one with a name, or a path of the manifest.
func (e *entry) value(name string) any {
	switch {
	case name == "directory":
		return e.directory
	case name == "error" && e.err != nil:
		return e.err.Error()
	case name == "error" || e.manifest == nil:
		return nil
	}
	if i := slices.IndexFunc(columns, func(c column) bool { return c.name == name }); i >= 0 {
		return columns[i].value(e, e.manifest)
	}
	return e.facts()[name]
}

// facts gives what the manifest says, by path.
func (e *entry) facts() facts {
	if e.known == nil && e.manifest != nil {
		e.known, e.err = factsOf(e.manifest)
	}
	return e.known
}

// knows says whether a run could have a value in a column.
func (e *entry) knows(name string) bool {
	return slices.Contains(Names(), name) || e.facts().has(name)
}

// Conditions are the words of how a run ended.
func Conditions(m *run.Manifest) []string {
	words := []string{}
	for _, c := range m.Condition {
		words = append(words, string(c))
	}
	if m.Ended.IsZero() {
		words = append(words, "not ended")
	}
	return words
}

func word(text string) any {
	if text == "" {
		return nil
	}
	return text
}

// counted is a number of the run's tags, none while the run has not said it.
func counted(m *run.Manifest, n uint64) any {
	if m.Pending() {
		return nil
	}
	return count(n)
}

func count(n uint64) any { return json.Number(strconv.FormatUint(n, 10)) }

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(time.RFC3339)
}

func took(m *run.Manifest) any {
	if m.Started.IsZero() || m.Ended.IsZero() {
		return nil
	}
	return json.Number(strconv.FormatFloat(float64(m.Ended.Sub(m.Started).Milliseconds())/1000, 'f', -1, 64))
}

func recipeName(m *run.Manifest) any {
	if m.Recipe.Git.Path != "" {
		return m.Recipe.Git.Path
	}
	if m.Recipe.File == "" {
		return nil
	}
	return path.Base(m.Recipe.File)
}

// commit is the commit of a recipe, with + behind it where files differed from it.
func commit(g run.Git) any {
	switch {
	case g.Commit == "":
		return nil
	case g.Dirty:
		return g.Commit[:min(12, len(g.Commit))] + "+"
	}
	return g.Commit[:min(12, len(g.Commit))]
}

// rate is the sum of the mean rates of all channels; nil where none recorded.
func rate(m *run.Manifest) any {
	sum, known := 0.0, false
	for _, n := range m.Nodes {
		for _, c := range n.Channels {
			if c.Rate != nil {
				sum, known = sum+float64(c.Rate.Millihertz())/1000, true
			}
		}
	}
	if !known {
		return nil
	}
	return json.Number(strconv.FormatFloat(sum, 'f', 3, 64))
}

// firstOf is a number that the first stage of a kind found.
func firstOf(m *run.Manifest, kind, key string) any {
	for _, r := range m.Results {
		if r.Kind != kind {
			continue
		}
		var summary map[string]json.RawMessage
		var number quantity.Number
		if json.Unmarshal(r.Summary, &summary) != nil || json.Unmarshal(summary[key], &number) != nil || !number.Known() {
			return nil
		}
		return json.Number(strings.TrimSpace(string(summary[key])))
	}
	return nil
}
