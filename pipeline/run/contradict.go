package run

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"

	"tsrun/pipeline/recipe"
)

// contradicted compares what the manifest says with what else the directory says of the
// same: its own conclusions, the recipe, the results, the log. Sums prove bytes against the
// manifest and nothing against who writes both anew; such a one has to change all of these.
func (v *verifier) contradicted(m *Manifest) {
	v.conclusions(m)
	v.ends(m)
	for _, s := range m.Trigger.Skew {
		node, against := m.Nodes[s.Node], m.Nodes[s.Against]
		if node == nil || against == nil || node.Start == nil || against.Start == nil {
			continue
		}
		if want := Skew(s.Node, *node.Start, s.Against, *against.Start); want != s {
			v.contradiction(ManifestFile, "the skew of %s is %d ± %d ns, its nodes' starts give %d ± %d ns", s.Node, s.SkewNs, s.UncertaintyNs, want.SkewNs, want.UncertaintyNs)
		}
	}
	for _, r := range m.Results {
		v.asResult(m, r)
	}
	if len(m.Parts) == 0 { // one of several parts has the recipe and the log of its master
		v.asRecipe(m)
		v.asLog(m)
	}
}

func (v *verifier) contradiction(file, format string, args ...any) {
	v.found(file, "contradiction", format, args...)
}

// conclusions compares the condition of a run that has ended with its reasons, and with what
// no such run is GOOD with, by any release.
func (v *verifier) conclusions(m *Manifest) {
	if m.Ended.IsZero() {
		return
	}
	if want := conditionsOf(m.Reasons); !slices.Equal(want, m.Condition) {
		v.contradiction(ManifestFile, "the condition is %v, the reasons make it %v", m.Condition, want)
	}
	if IsGood(m.Condition) {
		for _, name := range slices.Sorted(maps.Keys(m.Nodes)) {
			for channel, c := range m.Nodes[name].Channels {
				if c.Lost > 0 {
					v.contradiction(ManifestFile, "the condition is %v, and %s.%s has lost %d tags", m.Condition, name, channel, c.Lost)
				}
			}
		}
		if i := slices.IndexFunc(m.Segments, func(s Segment) bool { return !s.Verified }); i >= 0 {
			v.contradiction(ManifestFile, "the condition is %v, and %s has not been proven", m.Condition, m.Segments[i].File)
		}
	}
	if m.Simulated() != m.Has(Simulated) && len(m.Parts) == 0 {
		v.contradiction(ManifestFile, "the condition is %v, and the devices are simulated: %t", m.Condition, m.Simulated())
	}
}

// ends compares the first and the last tag of a channel with those of its files, of one
// sink that has all: of shots and of parts after a restart each has times of its own, and
// of a node that was killed more was heard than files hold.
func (v *verifier) ends(m *Manifest) {
	if !IsGood(m.Condition) {
		return
	}
	tracks := map[series][]Segment{}
	for _, s := range m.Segments {
		if s.HoldsTags() && s.Tags > 0 {
			t := series{s.Node, s.Channel, s.Sink}
			tracks[t] = append(tracks[t], s)
		}
	}
	for t, list := range tracks {
		n := m.Nodes[t.node]
		if n == nil || n.Channels[t.channel] == nil || len(n.Takes) > 0 || len(n.Restarts) > 0 {
			continue
		}
		first, last, tags := list[0].FirstPs, list[0].LastPs, uint64(0)
		for _, s := range list {
			first, last, tags = min(first, s.FirstPs), max(last, s.LastPs), tags+s.Tags
		}
		if c := n.Channels[t.channel]; tags == c.Tags && (first != c.FirstPs || last != c.LastPs) {
			v.contradiction(RawDir+"/"+t.node, "%s.%s is said to have recorded from %d ps to %d ps, its files hold %d ps to %d ps", t.node, t.channel, c.FirstPs, c.LastPs, first, last)
		}
	}
}

// maxSummary bounds the file of a stage's summary that is read back, in bytes.
const maxSummary = 64 << 20

// asResult compares the summary of a stage with the file that the stage wrote of it, which
// says the same and may say more.
func (v *verifier) asResult(m *Manifest, r Result) {
	name := ResultsDir + "/" + r.Stage + ".json"
	if !slices.Contains(r.Files, name) || len(r.Summary) == 0 {
		return
	}
	text, err := readBounded(v.root, name, maxSummary)
	if err != nil {
		return // which its sum tells
	}
	said, err := decodeExactly(r.Summary)
	if err != nil {
		return
	}
	if s, ok := said.(map[string]any); ok && s["simulated"] == true && !m.Simulated() {
		v.contradiction(ManifestFile, "stage %q read simulated tags, and no device is said to be simulated", r.Stage)
	}
	wrote, err := decodeExactly(text)
	if err != nil {
		v.contradiction(name, "it is no JSON: %v", err)
		return
	}
	if at := differs(said, wrote, ""); at != "" {
		v.contradiction(name, "the manifest has another %s of stage %q", at, r.Stage)
	}
}

func decodeExactly(text []byte) (value any, err error) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	err = d.Decode(&value)
	return value, err
}

// differs names the first key of what is said that is not so in what was written; "" where
// there is none. What was written may have more keys.
func differs(said, wrote any, at string) string {
	switch said := said.(type) {
	case map[string]any:
		other, ok := wrote.(map[string]any)
		if !ok {
			return at
		}
		for _, key := range slices.Sorted(maps.Keys(said)) {
			if where := differs(said[key], other[key], strings.TrimPrefix(at+"."+key, ".")); where != "" {
				return where
			}
		}
		return ""
	case []any:
		other, ok := wrote.([]any)
		if !ok || len(other) != len(said) {
			return at
		}
		for i := range said {
			if where := differs(said[i], other[i], fmt.Sprintf("%s.%d", at, i)); where != "" {
				return where
			}
		}
		return ""
	}
	if said == wrote || sameNumber(said, wrote) {
		return ""
	}
	return at
}

// sameNumber says whether two numbers of which one is no integer are the same, however many
// zeros they end with.
func sameNumber(a, b any) bool {
	x, isNumber := a.(json.Number)
	y, too := b.(json.Number)
	if !isNumber || !too || !strings.ContainsAny(string(x+y), ".eE") {
		return false
	}
	f, err := x.Float64()
	g, other := y.Float64()
	return err == nil && other == nil && f == g
}

// asRecipe compares the manifest with the recipe as it was resolved.
func (v *verifier) asRecipe(m *Manifest) {
	v.recipeSum(m)
	if m.Recipe.Resolved == "" || path.Dir(m.Recipe.Resolved) != RecipeDir {
		return
	}
	text, err := readBounded(v.root, m.Recipe.Resolved, maxManifest)
	r := new(recipe.Recipe)
	if err != nil || json.Unmarshal(text, r) != nil || len(r.Nodes) == 0 {
		return // its sum tells, and who reads the run
	}
	said := func(what string, manifest, resolved any) {
		if manifest != resolved {
			v.contradiction(m.Recipe.Resolved, "%s is %v, the manifest says %v", what, resolved, manifest)
		}
	}
	said("the name", m.Name, r.Name)
	said("acquire in ps", m.DurationPs, uint64(max(0, r.Acquire.Total())))
	said("trigger.method", m.Trigger.Method, r.Trigger.Method)
	said("trigger.master", m.Trigger.Master, r.Trigger.Master)
	said("clock.source", m.Trigger.ClockSource, r.Clock.Source)
	said("the number of nodes", len(m.Nodes), len(r.Nodes))
	for _, n := range r.Nodes {
		node := m.Nodes[n.Name]
		if node == nil {
			v.contradiction(m.Recipe.Resolved, "it has a node %s, the manifest has none", n.Name)
			continue
		}
		for _, c := range n.Controllers {
			if has := node.Controllers[c.Name]; has != nil {
				said("the driver of "+n.Name+"."+c.Name, has.Driver, c.Driver)
			}
		}
		for _, c := range n.Channels {
			if has := node.Channels[c.Name]; has != nil {
				said("the input of "+n.Name+"."+c.Name, fmt.Sprintf("%s/%d", has.Controller, has.Input), fmt.Sprintf("%s/%d", c.Controller, c.Input))
			}
		}
	}
}

// recipeSum proves the copies of the recipe by the sums that the manifest has of them.
func (v *verifier) recipeSum(m *Manifest) {
	files := append([]RecipeFile{{File: m.Recipe.File, SHA256: m.Recipe.SHA256}}, m.Recipe.Files...)
	seen := map[RecipeFile]bool{}
	for _, f := range files {
		f.Path = ""
		if f.File == "" || f.SHA256 == "" || path.Dir(f.File) != RecipeDir || seen[f] {
			continue
		}
		seen[f] = true
		if sum, _, err := v.hasher.file(v.root, f.File); err == nil && sum != f.SHA256 {
			v.contradiction(f.File, "SHA-256 is %s, the manifest says %s", sum, f.SHA256)
		}
	}
}

// maxFirstLines bounds what is read of a log, whose first lines say which run it is.
const maxFirstLines = 1 << 20

// asLog compares the manifest with the line that begins the log. No sum covers the log, as
// it takes lines to the very end.
func (v *verifier) asLog(m *Manifest) {
	file, _, err := openRegular(v.root, LogFile)
	if err != nil {
		return
	}
	defer file.Close()
	d := json.NewDecoder(io.LimitReader(file, maxFirstLines))
	for {
		var line struct{ Msg, Node, Recipe, Run, Version string }
		if d.Decode(&line) != nil {
			return
		}
		if line.Msg != "run begins" || line.Node != "" || line.Run == "" {
			continue
		}
		for _, is := range []struct{ what, log, manifest string }{{"run", line.Run, m.Run}, {"recipe", line.Recipe, m.Name}, {"version of tsrun", line.Version, m.Tsrun}} {
			if is.log != is.manifest {
				v.contradiction(LogFile, "it began with %s %s, the manifest says %s", is.what, is.log, is.manifest)
			}
		}
		return
	}
}
