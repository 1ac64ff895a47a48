// Package recipe turns the YAML text of an experiment into a checked [Recipe].
//
//	bytes ── parse ──▶ nodes ── extends, --set, ${env:…} ──▶ one tree of nodes
//	      source.go    node.go  layers.go override.go
//
//	nodes ── table of fields ──▶ values ── references, plugins ──▶ Recipe
//	         fields.go check.go  value.go  judge*.go config.go     types.go
//
// [Load] does all of it and starts nothing. Every mistake is found in one pass
// and reported as [Problems], sorted by position, each with the line, a caret
// and what to do. Nodes and values know the file, line and column they come
// from, whatever was merged over them; [Resolved.YAML] prints them.
//
// The sign of a delay is defined here once: a channel's delay is added by its
// controller to each tag; a node with a compensation is fired that much
// earlier; the offset that align finds, target minus reference, is subtracted
// from the target.
package recipe

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
)

// Options are what a recipe depends on besides its files.
type Options struct {
	Set     []string // overrides, as "path=value"
	Shot    bool     // the recipe is one run of a series, whose other values are not tried
	Env     Lookup   // nil: the environment of the process
	Catalog Catalog  // nil: plugins and their configs are not checked

	Stages []StageKind // the kinds of stages that there are, in the order of the documentation
}

// Resolved is a checked recipe and how it came about.
type Resolved struct {
	Recipe    *Recipe
	Files     []File    // the recipe, its parent, its parent's parent …
	Overrides []string  // as given
	Scan      *Scan     // a series of runs of the recipe; nil: it is one
	Notes     []Problem // worth saying, but no mistakes
	root      *value
}

// Load reads and checks the recipe in a file. Mistakes in it are [Problems];
// any other error means that the file could not be read.
func Load(path string, o Options) (*Resolved, error) {
	file, err := readFile(path)
	if err != nil {
		return nil, err
	}
	return resolve(file, o)
}

// Parse is [Load] for a text that is not in a file. Its name stands in
// messages, and paths in the text are relative to the name's directory.
func Parse(name string, text []byte, o Options) (*Resolved, error) {
	path, err := filepath.Abs(name)
	if err != nil {
		return nil, fmt.Errorf("parse recipe %s: %w", name, err)
	}
	if len(text) > MaxFile {
		return nil, fmt.Errorf("parse recipe %s: larger than %d KiB", name, MaxFile>>10)
	}
	return resolve(newFile(name, path, text), o)
}

func resolve(file File, o Options) (*Resolved, error) {
	env := o.Env
	if env == nil {
		env = os.LookupEnv
	}
	root, files, problems := gather(file, env)
	if root == nil {
		return nil, problems.sorted()
	}
	c, table := newChecker(), tableWith(o.Stages)
	c.problems = append(append(problems, override(root, table, o.Set)...), expand(root, "", env)...)
	scan := takeScan(c, root)
	plugins := newPlugins(o.Catalog)
	derive(root, plugins)
	v := c.check(table, root, "", "", place{root.at.src, root.at.line, root.at.column})
	plugins.resolveFiles(v)
	recipe, err := decode(v)
	if err != nil {
		return nil, fmt.Errorf("resolve recipe %s: %w", file.Name, err)
	}
	stages, err := readStages(recipe, o.Stages)
	if err != nil {
		return nil, fmt.Errorf("resolve recipe %s: %w", file.Name, err)
	}
	judge(c, recipe, stages, plugins)
	notes := checkPlugins(c, recipe, stages, plugins)
	if len(c.problems) == 0 && scan != nil && !o.Shot {
		tryScan(c, scan, func(set []string) error {
			o := o
			o.Set, o.Shot = slices.Concat(o.Set, set), true
			_, err := resolve(file, o)
			return err
		})
	}
	if len(c.problems) > 0 {
		return nil, c.problems.sorted()
	}
	return &Resolved{Scan: scan, Recipe: recipe, Files: files, Overrides: o.Set, Notes: notes.sorted(), root: v}, nil
}

// decode fills the types that the program works with. The table and the types
// must agree, so an error here is a defect of this package and not a mistake
// in a recipe.
func decode(v *value) (*Recipe, error) {
	text, err := json.Marshal(v.json())
	if err != nil {
		return nil, err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	recipe := new(Recipe)
	if err := decoder.Decode(recipe); err != nil {
		return nil, err
	}
	return recipe, nil
}
