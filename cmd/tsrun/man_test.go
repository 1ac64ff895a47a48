package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"tsrun/internal/need"
)

// Every command has a page with all its flags, and the exit codes are those of
// the program.
func TestManualPages(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "man1")
	if code := execute([]string{"man", dir}); code != exitGood {
		t.Fatalf("exit code %d", code)
	}
	root := newRootCommand()
	all := commandsBelow(root)
	if len(all) < len(root.Commands()) {
		t.Fatalf("%d pages of %d commands", len(all), len(root.Commands()))
	}
	for _, c := range all {
		text, err := os.ReadFile(filepath.Join(dir, pageName(c)+".1"))
		if err != nil {
			t.Error(err)
			continue
		}
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if !f.Hidden && !strings.Contains(string(text), roff("--"+f.Name)) {
				t.Errorf("the page of %s lacks --%s", c.CommandPath(), f.Name)
			}
		})
	}
	declared := rows(t, "main.go", `(?m)^\t(exit[A-Z]\w*)\s+= (\d+)$`, 2, 1)
	for _, e := range exitMeanings {
		delete(declared, strconv.Itoa(e.code))
	}
	if len(declared) > 0 {
		t.Errorf("no page says the exit codes %v", declared)
	}
}

func TestManualPagesRender(t *testing.T) {
	groff := need.Tool(t, "groff", "groff-base")
	for _, c := range commandsBelow(newRootCommand()) {
		show := exec.Command(groff, "-ww", "-man", "-Tutf8", "-P-cbou")
		show.Stdin = strings.NewReader(manPage(c))
		var wrong strings.Builder
		show.Stderr = &wrong
		shown, err := show.Output()
		if err != nil || wrong.Len() > 0 || !strings.Contains(string(shown), "EXIT STATUS") {
			t.Errorf("the page of %s: %v %s", c.CommandPath(), err, &wrong)
		}
	}
}

func TestRoffTakesNothingForItsOwn(t *testing.T) {
	for text, want := range map[string]string{
		".SH x":          `\&.SH x`,
		"a\n.br\n'x\n-5": "a\n\\&.br\n\\&'x\n\\-5",
		`C:\n`:           `C:\en`,
	} {
		if got := roff(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}
