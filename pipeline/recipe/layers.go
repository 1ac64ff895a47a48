package recipe

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
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
		if problems == nil {
			problems = checkForm(files[i], layer)
		}
		if problems == nil && layer.entry("version") == nil {
			unversioned = append(unversioned, layer.at.problem("version", codeVersion, "the recipe has no version", "start with: version: 1"))
			layer.put(scalarEntry("version", strconv.Itoa(Version))) // and the other mistakes are found, too
		} else if problems == nil {
			problems = checkVersion(layer)
			unversioned = append(unversioned, versionFirst(layer)...)
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
	return nil
}

// versionFirst asks for the place of the version. It hides no other mistake.
func versionFirst(root *node) Problems {
	e := root.entry("version")
	if e == nil || root.entries[0].key == "version" {
		return nil
	}
	return Problems{e.keyAt.problem("version", codeVersion, "version does not come first", "move it to the top")}
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
		return fail(strings.TrimPrefix(err.Error(), "read recipe: "), parentHint(child, err))
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

// Lookup finds an environment variable.
type Lookup func(name string) (value string, found bool)

var (
	variable    = regexp.MustCompile(`\$\{[^}]*\}?`)
	environment = regexp.MustCompile(`^\$\{env:([A-Za-z_][A-Za-z0-9_]*)(:-([^}]*))?\}$`)
)

// expand replaces ${env:NAME} and ${env:NAME:-default} in all single values of
// n. It works on parsed values, so a variable never adds keys or structure.
func expand(n *node, path string, env Lookup) (problems Problems) {
	for _, e := range n.entries {
		problems = append(problems, expand(e.value, join(path, e.key), env)...)
	}
	for i, item := range n.items {
		problems = append(problems, expand(item, index(path, i), env)...)
	}
	if n.kind != scalarNode || !strings.Contains(n.text, "${") {
		return problems
	}
	var names []string
	text := n.text
	var out strings.Builder
	last := 0
	for _, span := range variable.FindAllStringIndex(text, -1) {
		out.WriteString(text[last:span[0]])
		last = span[1]
		at := n.at
		at.column += utf8.RuneCountInString(text[:span[0]])
		if n.quoted {
			at.column++
		}
		m := environment.FindStringSubmatch(text[span[0]:span[1]])
		if m == nil {
			problems = append(problems, at.problem(path, codeVariable, fmt.Sprintf("%q is not a variable", text[span[0]:span[1]]), "write ${env:NAME} or ${env:NAME:-default}"))
			continue
		}
		replacement, found := env(m[1])
		switch {
		case found:
			out.WriteString(replacement)
		case m[2] != "":
			out.WriteString(m[3])
		default:
			problems = append(problems, at.problem(path, codeVariable, fmt.Sprintf("the variable %s is not set", m[1]), fmt.Sprintf("set it, or write ${env:%s:-default}", m[1])))
		}
		names = append(names, m[1])
	}
	out.WriteString(text[last:])
	if out.Len() > maxText {
		problems = append(problems, n.at.problem(path, codeTooLarge, fmt.Sprintf("a text of %d bytes with its variables", out.Len()), fmt.Sprintf("texts have up to %d", maxText)))
		return problems
	}
	n.text, n.env = out.String(), strings.Join(names, ", ")
	return problems
}

// derive writes the defaults that depend on the rest of a recipe into it, as
// if they stood there: the master of a single node, any free port where no
// other PC has to know it, the names of stages, and the simulation of
// controllers that their plugins simulate.
func derive(root *node, plugins *plugins) {
	if stages := root.get("pipeline"); stages != nil {
		for _, stage := range stages.items {
			if kind := stage.get("stage"); kind != nil && kind.kind == scalarNode && stage.entry("name") == nil {
				stage.put(scalarEntry("name", kind.text))
			}
		}
	}
	nodes := root.get("nodes")
	if nodes == nil || nodes.kind != mapNode {
		return
	}
	isName := func(key string) bool { // what is none is said where it stands
		message, _ := nodeForm.check(key)
		return message == ""
	}
	if len(nodes.entries) == 1 && isName(nodes.entries[0].key) {
		if trigger := section(root, "trigger"); trigger != nil && trigger.entry("master") == nil {
			trigger.put(scalarEntry("master", nodes.entries[0].key))
		}
	}
	if !slices.ContainsFunc(nodes.entries, remote) {
		freePorts(root)
	}
	for _, e := range nodes.entries {
		if isName(e.key) && plugins.simulate(e.key, e.value) {
			if simulate := section(root, "simulate"); simulate != nil {
				section(simulate, e.key)
			}
		}
	}
}

// remote reports whether a node is on another PC, or may be: its host is no
// known word.
func remote(e entry) bool {
	host := e.value.get("host")
	return host != nil && host.text != "local"
}

// freePorts lets the system choose the ports that the recipe does not name.
func freePorts(root *node) {
	network := section(root, "network")
	if network == nil {
		return
	}
	ports := section(network, "ports")
	if ports == nil {
		return
	}
	for _, name := range []string{"trigger", "status", "files", "clock"} {
		if ports.entry(name) == nil {
			ports.put(scalarEntry(name, "0"))
		}
	}
}

// section returns a section of n, made where it is missing, or nil where
// something else stands in its place.
func section(n *node, key string) *node {
	if n.entry(key) == nil {
		n.put(entry{key: key, value: &node{kind: mapNode}})
	}
	if found := n.get(key); found.kind == mapNode {
		return found
	}
	return nil
}

func scalarEntry(key, text string) entry {
	return entry{key: key, value: &node{kind: scalarNode, text: text}}
}
