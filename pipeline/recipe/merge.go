package recipe

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxParents bounds a chain of extends.
const maxParents = 8

// gather reads a recipe and its parents and merges them. The files are the
// recipe first, then parent, grandparent and so on. A root beside problems is
// whole enough to be looked at for more.
func gather(first File, env Lookup) (root *node, files []File, problems Problems) {
	files = []File{first}
	var layers []*node
	var unversioned Problems
	for i := 0; i < len(files); i++ {
		layer, problems := parseFile(files[i], i)
		if problems == nil && layer.entry("version") == nil {
			unversioned = append(unversioned, layer.at.problem("version", codeVersion, "the recipe has no version", "start with: version: 1"))
			layer.put(scalarEntry("version", strconv.Itoa(Version))) // and the other mistakes are found, too
		} else if problems == nil {
			problems = checkVersion(layer)
		}
		if problems != nil {
			return nil, files, append(unversioned, problems...)
		}
		layers = append(layers, layer)
		parent := layer.entry("extends")
		if parent == nil {
			continue
		}
		file, problem := readParent(files, parent, env)
		if problem != nil {
			return nil, files, append(unversioned, *problem)
		}
		files = append(files, file)
	}
	for _, layer := range slices.Backward(layers) {
		layer.remove("extends")
		root = merge(root, layer)
	}
	return root, files, unversioned
}

// checkVersion asks that a file says first which format it is in, so that a
// recipe of a newer release gets one clear message instead of many odd ones.
func checkVersion(root *node) Problems {
	e := root.entry("version")
	if v, err := strconv.Atoi(e.value.text); err == nil && v > 1 {
		return Problems{e.value.at.problem("version", codeVersion,
			fmt.Sprintf("a recipe of version %d; this release of tsrun reads version 1", v), "use a newer release of tsrun")}
	}
	if root.entries[0].key != "version" {
		return Problems{e.keyAt.problem("version", codeVersion, "version does not come first", "move it to the top")}
	}
	return nil
}

// readParent reads the file that an extends names, relative to the file that
// names it.
func readParent(files []File, extends *entry, env Lookup) (File, *Problem) {
	fail := func(message, hint string) (File, *Problem) {
		p := extends.value.at.problem("extends", codeExtends, message, hint)
		return File{}, &p
	}
	if extends.value.kind != scalarNode || extends.value.text == "" {
		return fail("one file name is due here", "a recipe has one parent: extends: lab.yaml")
	}
	if problems := expand(extends.value, "extends", env); problems != nil {
		return File{}, &problems[0]
	}
	if len(files) > maxParents {
		return fail(fmt.Sprintf("a chain of more than %d parents", maxParents), "shorten it")
	}
	child := files[len(files)-1]
	name := extends.value.text
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(child.Name), name)
	}
	file, err := readFile(name)
	if err != nil {
		return fail(strings.TrimPrefix(err.Error(), "read recipe: "), "the name is relative to the file it stands in")
	}
	for _, f := range files {
		if sameFile(f.Path, file.Path) {
			return fail(fmt.Sprintf("%s extends itself by way of this", f.Name), "remove one extends of the circle")
		}
	}
	return file, nil
}

func sameFile(a, b string) bool {
	resolve := func(path string) string {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			return real
		}
		return path
	}
	return resolve(a) == resolve(b)
}

// merge lays a child over its parent: sections merge, everything else of the
// child replaces, null deletes. A null that deletes nothing stays, to be
// reported. What remains of the parent keeps its place.
func merge(parent, child *node) *node {
	if parent == nil || parent.kind != mapNode || child.kind != mapNode {
		return child
	}
	for _, e := range child.entries {
		old := parent.get(e.key)
		if old != nil && e.value.kind == nullNode {
			parent.remove(e.key)
			continue
		}
		if old != nil {
			e.value = merge(old, e.value)
		}
		parent.put(e)
	}
	parent.at = child.at
	return parent
}
