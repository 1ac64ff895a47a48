package recipe

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The reference of keys in the documentation is the one that follows from the
// table of fields.
func TestReferenceIsFresh(t *testing.T) {
	const path = "../../docs/recipe.md"
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	region := regexp.MustCompile(`(?s)(<!-- keys: [^\n]*-->\n).*(<!-- end of keys -->)`)
	if !region.Match(text) {
		t.Fatalf("%s has no region of keys", path)
	}
	fresh := region.ReplaceAllLiteralString(string(text), string(region.FindSubmatch(text)[1])+reference()+"<!-- end of keys -->")
	golden(t, path, fresh)
}

// reference writes the table of fields as Markdown.
func reference() string {
	var keys, later strings.Builder
	describeFields(&keys, &later, "", tableWith(kindsOfStages).keys)
	return "\n| key | value | default | |\n| --- | --- | --- | --- |\n" + keys.String() +
		"\n## Not supported yet\n\n| key | instead |\n| --- | --- |\n" + later.String() + "\n"
}

func describeFields(keys, later *strings.Builder, path string, fields []*Field) {
	for _, f := range fields {
		describeField(keys, later, join(path, f.name), f)
	}
}

func describeField(keys, later *strings.Builder, path string, f *Field) {
	if why := f.later[""]; why != "" {
		fmt.Fprintf(later, "| `%s` | %s |\n", path, why)
		return
	}
	for _, value := range slices.Sorted(maps.Keys(f.later)) {
		name := value
		if value == anyOther {
			name = "…"
		}
		fmt.Fprintf(later, "| `%s: %s` | %s |\n", path, name, f.later[value])
	}
	initial := ""
	switch {
	case f.required:
		initial = "*needed*"
	case f.neededWhere != "":
		initial = "*needed* where " + f.neededWhere
	case f.initial != "":
		initial = "`" + f.initial + "`"
	}
	fmt.Fprintf(keys, "| `%s` | %s | %s | %s |\n", path, describeShape(f), initial, f.doc)
	describeFields(keys, later, path, f.keys)
	if f.others != nil {
		describeField(keys, later, join(path, f.others.name), f.others)
	}
	if f.each != nil && f.shape != shapeList {
		describeField(keys, later, join(path, f.each.name), f.each)
	} else if f.each != nil {
		describeFields(keys, later, path, f.each.keys)
	}
	for _, choice := range f.choicesOfVariant() {
		describeFields(keys, later, path+" ("+choice+")", f.variants[choice])
	}
}

// describeShape says what may be written.
func describeShape(f *Field) string {
	bounds := func(format func(int64) string) string {
		if f.limits == nil {
			return ""
		}
		return fmt.Sprintf(", %s to %s", format(f.limits.min), format(f.limits.max))
	}
	switch f.shape {
	case shapeInteger:
		return "number" + bounds(func(v int64) string { return fmt.Sprint(v) })
	case shapeQuantity:
		shape := strings.TrimPrefix(f.amount.schema.Format, "quantity-") + bounds(f.amount.format)
		if f.auto {
			shape = "`auto`, " + shape + ", or both"
		}
		return shape
	case shapeChoice:
		return "`" + strings.Join(f.choices, "`, `") + "`"
	case shapeList:
		entries := bounds(func(v int64) string { return fmt.Sprint(v) })
		if entries != "" {
			entries += " entries"
		}
		if f.lone {
			return describeShape(f.each) + ", or a list" + entries
		}
		return "list" + entries
	case shapeText:
		if f.form != nil {
			return strings.TrimPrefix(strings.TrimPrefix(f.form.what, "a "), "an ")
		}
		return "text"
	}
	return "section"
}

// docs returns the pages of the documentation.
func docs(t *testing.T) []string {
	t.Helper()
	paths, err := filepath.Glob("../../docs/*.md")
	why, err2 := filepath.Glob("../../docs/why/*.md")
	if err := errors.Join(err, err2); err != nil || len(why) == 0 {
		t.Fatal(len(why), err)
	}
	return slices.Concat(paths, why, []string{"../../README.md"})
}

// Every YAML block of the documentation is a right recipe. A block that is
// marked "yaml fragment" is one over testdata/good.yaml.
func TestRecipesInDocs(t *testing.T) {
	paths := docs(t)
	block := regexp.MustCompile("(?ms)^```(ya?ml[^\n]*)\n(.*?)^```$")
	found := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range block.FindAllStringSubmatchIndex(string(text), -1) {
			info, body := string(text[m[2]:m[3]]), string(text[m[4]:m[5]])
			found++
			where := fmt.Sprintf("%s:%d", path, 1+strings.Count(string(text[:m[2]]), "\n"))
			switch {
			case info == "yaml fragment":
				body = "version: 1\nextends: ../pipeline/recipe/testdata/good.yaml\n" + body
			case info != "yaml" || !strings.HasPrefix(body, "version:"):
				t.Errorf("%s: a block %q that is no whole recipe; begin it with version: or mark it yaml fragment", where, info)
				continue
			}
			if _, err := Parse("../../docs/block.yaml", []byte(body), Options{Stages: kindsOfStages, Env: noEnv}); err != nil {
				t.Errorf("%s:\n%v", where, err)
			}
		}
	}
	if found < 4 {
		t.Errorf("found %d blocks of YAML", found)
	}
}

// Every --set that the documentation shows in a command is right, over the recipe
// that is named, or the example where that is none of the project's.
func TestOverridesInDocs(t *testing.T) {
	paths := docs(t)
	command := regexp.MustCompile(`(?m)^ *(?:bin/)?tsrun (?:check |show )?(\S+\.yaml) (--set .*)$`)
	set := regexp.MustCompile(`--set (?:'([^']+)'|(\S+))`)
	found := 0
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range command.FindAllStringSubmatch(string(text), -1) {
			recipe, sets := filepath.Join("../..", m[1]), []string(nil)
			if _, err := os.Stat(recipe); err != nil {
				recipe = "../../recipes/coincidence.yaml"
			}
			for _, s := range set.FindAllStringSubmatch(m[2], -1) {
				sets = append(sets, s[1]+s[2])
			}
			found++
			if _, err := Load(recipe, Options{Stages: kindsOfStages, Set: sets, Env: noEnv}); err != nil {
				t.Errorf("%s: %s\n%v", path, m[0], err)
			}
		}
	}
	if found < 3 {
		t.Errorf("found %d commands with --set", found)
	}
}

// The sign of each delay is said where its key is described, and once more,
// in the same sense, in the documentation.
func TestSignsOfDelaysAreSaid(t *testing.T) {
	channels := nodesTable.each.find("channels").each
	variants := stagesTable(kindsOfStages).each.find("config").variants
	for _, said := range []struct{ doc, sense string }{
		{channels.find("delay").doc, "makes tags later"},
		{triggerTable.find("compensation").each.doc, "fired this much earlier"},
		{(&Field{keys: variants["align"]}).find("target").doc, "subtracted from the target's tags"},
		{(&Field{keys: variants["coincidences"]}).find("offsets").doc, "subtracted"},
	} {
		if !strings.Contains(said.doc, said.sense) {
			t.Errorf("%q does not say %q", said.doc, said.sense)
		}
		text, err := os.ReadFile("../../docs/recipe.md")
		if err != nil || !strings.Contains(string(text), said.doc) {
			t.Errorf("the documentation does not say %q, %v", said.doc, err)
		}
	}
}
