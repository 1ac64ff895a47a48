package recipe

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// What a run keeps of its recipe beside the files as they were given.
const (
	KeptDir      = "recipe"        // below the run directory
	ResolvedFile = "resolved.json" // a Recipe, for programs
	RepeatsFile  = "resolved.yaml" // parents, overrides and variables folded in: it repeats the run
)

// repeatsBeside returns the recipe that repeats a run, where it lies beside a
// file, and otherwise "".
func repeatsBeside(file string) string {
	if file == "-" { // standard input lies nowhere
		return ""
	}
	path := filepath.Join(filepath.Dir(file), RepeatsFile)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	return path
}

// checkForm says so where a file is no recipe but a [Recipe] as programs read it:
// JSON in which nodes, each with its name and controllers, are a list.
func checkForm(f File, root *node) Problems {
	nodes := root.entry("nodes")
	if nodes == nil || nodes.value.kind != listNode || len(nodes.value.items) == 0 || !bytes.HasPrefix(bytes.TrimSpace(f.Bytes), []byte("{")) {
		return nil
	}
	for _, n := range nodes.value.items {
		if name, controllers := n.get("name"), n.get("controllers"); name == nil || controllers == nil || controllers.kind != listNode {
			return nil
		}
	}
	hint := "give " + RepeatsFile + ", which lies beside it in the directory of its run"
	if path := repeatsBeside(f.Name); path != "" {
		hint = "give " + path + ", which repeats the run"
	}
	return Problems{nodes.keyAt.problem("", codeType, "this is a recipe in the form for programs, as a run keeps it in "+ResolvedFile+", and is not read again", hint)}
}

// noFile says what a path is that is no regular file: a run directory, or
// something else.
func noFile(name string) error {
	again := filepath.Join(name, KeptDir, RepeatsFile)
	if info, err := os.Stat(again); err == nil && info.Mode().IsRegular() {
		return fmt.Errorf("read recipe %s: it is a run directory, not a regular file; %s repeats the run, and tsrun report %s shows what was found", name, again, name)
	}
	return fmt.Errorf("read recipe %s: not a regular file", name)
}

// parentHint says what to do about a parent that cannot be read. The copy of a
// recipe that a run keeps may name one where it is no more.
func parentHint(child File, err error) string {
	if path := repeatsBeside(child.Name); path != "" && errors.Is(err, fs.ErrNotExist) {
		return "this is the copy that a run keeps; give " + path + ", which has its parents folded in"
	}
	return "the name is relative to the file it stands in"
}
