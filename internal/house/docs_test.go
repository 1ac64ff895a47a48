package house

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
)

// pages returns the Markdown files of the project, by their paths from its root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == ".git" || d.Name() == "bin" || d.Name() == "runs") {
			return fs.SkipDir
		}
		if filepath.Ext(path) == ".md" {
			name, err := filepath.Rel("../..", path)
			if err != nil {
				return err
			}
			found[filepath.ToSlash(name)] = read(t, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// fences are the blocks of code in a page, in which nothing is a link or a heading.
var fences = regexp.MustCompile("(?ms)^ *```.*?^ *```$")

// anchors returns what a link may name behind # in a page.
func anchors(page string) map[string]bool {
	found := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(fences.ReplaceAllString(page, ""), -1) {
		found[strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, m[1])] = true
	}
	return found
}

// TestLinksLeadSomewhere follows every link of the documentation that stays in
// the project, to a file and to a heading in it.
func TestLinksLeadSomewhere(t *testing.T) {
	all := pages(t)
	link, found := regexp.MustCompile(`\]\(([^)\s]+)\)`), 0
	for name, page := range all {
		for _, m := range link.FindAllStringSubmatch(fences.ReplaceAllString(page, ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			found++
			file, anchor, _ := strings.Cut(m[1], "#")
			target := name
			if file != "" {
				target = filepath.ToSlash(filepath.Join(filepath.Dir(name), filepath.FromSlash(file)))
			}
			if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
				t.Errorf("%s links to %s, which is not there", name, m[1])
				continue
			}
			if anchor != "" && !anchors(all[target])[anchor] {
				t.Errorf("%s links to %s, and %s has no such heading", name, m[1], target)
			}
		}
	}
	if found < 80 {
		t.Errorf("only %d links were found", found)
	}
}

// TestEveryPageIsOnAShelf: docs/README.md leads to each page of docs/, and the
// list of decisions to each of these.
func TestEveryPageIsOnAShelf(t *testing.T) {
	all := pages(t)
	for name := range all {
		shelf, page := "docs/README.md", strings.TrimPrefix(name, "docs/")
		if decision, ok := strings.CutPrefix(page, "adr/"); ok && decision != "README.md" {
			shelf, page = "docs/adr/README.md", decision
		}
		if strings.HasPrefix(name, "docs/") && name != "docs/README.md" && !strings.Contains(all[shelf], "]("+page+")") {
			t.Errorf("%s does not lead to %s", shelf, name)
		}
	}
}
