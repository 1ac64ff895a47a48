package master

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
)

// combine makes one run directory of each group of recordings that overlap, and returns
// what was made by this call: those, and the recordings that overlap with none.
func (c *collector) combine(cause error) ([]string, error) {
	made := slices.Clone(c.taken)
	errs := []error{cause}
	r := c.options.Recipe
	var order []string
	for _, n := range r.Recipe.Nodes {
		order = append(order, n.Name)
	}
	var sources []run.RecipeSource
	for _, f := range r.Files {
		sources = append(sources, run.RecipeSource{Path: f.Path, Bytes: f.Bytes})
	}
	for _, group := range run.Overlapping(c.options.Runs, c.marks, order) {
		dir, err := run.Combine(c.options.Runs, group, run.CombinedFrom{ID: combinedID(group), Version: c.options.Version,
			Recipe: r.Recipe, Sources: sources, YAML: r.YAML(), Sets: r.Overrides})
		if err != nil {
			errs = append(errs, fmt.Errorf("%w; the recordings stay apart", err))
			continue
		}
		for _, part := range group {
			if i := slices.Index(made, part.Path); i >= 0 { // made by this call, and all of it is in the new one
				made = slices.Delete(made, i, i+1)
				errs = append(errs, os.RemoveAll(part.Path))
			}
		}
		made = append(made, dir)
	}
	slices.Sort(made)
	for _, dir := range made {
		c.tellAlone(dir)
	}
	return made, errors.Join(errs...)
}

// tellAlone says of a recording that is in a run directory of its own why.
func (c *collector) tellAlone(dir string) {
	m, err := run.ReadManifest(dir)
	if err != nil || m.Local == nil || len(m.Local.Others) == 0 {
		return
	}
	c.options.Observer.Observe(event.Warning{Node: m.Local.Node, Message: fmt.Sprintf("%s is alone: no recording of %s overlaps with it in time", dir, strings.Join(m.Local.Others, " or "))})
}

// combinedID is the identifier of a run that is made of others: always the same.
func combinedID(group []run.Recording) string {
	var ids []string
	for _, r := range group {
		ids = append(ids, r.Manifest.Run)
	}
	slices.Sort(ids)
	sum := sha256.Sum256([]byte(strings.Join(ids, " ")))
	return hex.EncodeToString(sum[:16])
}
