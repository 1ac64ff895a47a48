package recipe

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// Marks are digests of all in a recipe that decides what is recorded, by section:
// recordings of recipes with the same marks belong together. Where the PCs are reached,
// which of them is the master's own and what is made of the tags is in none.
func (r *Recipe) Marks() map[string]string {
	sections := map[string]any{"name": r.Name, "trigger": r.Trigger, "acquire": r.Acquire, "sinks": r.Sinks}
	for _, n := range r.Nodes {
		n.Host = ""
		sections["nodes."+n.Name] = n
	}
	if r.Simulate != nil {
		sections["simulate"] = r.Simulate
	}
	marks := map[string]string{}
	for name, section := range sections {
		text, err := json.Marshal(section)
		if err != nil { // a recipe holds nothing that cannot be encoded
			panic(err)
		}
		sum := sha256.Sum256(text)
		marks[name] = hex.EncodeToString(sum[:])
	}
	return marks
}

// UnlikeMarks names the sections in which two recipes differ, by name.
func UnlikeMarks(a, b map[string]string) (sections []string) {
	for _, marks := range []map[string]string{a, b} {
		for name := range marks {
			if a[name] != b[name] {
				sections = append(sections, name)
			}
		}
	}
	slices.Sort(sections)
	return slices.Compact(sections)
}
