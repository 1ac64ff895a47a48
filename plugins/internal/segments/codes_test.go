package segments

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestCodesAreExplained: each way in which files are not written has its line where
// a user looks for it.
func TestCodesAreExplained(t *testing.T) {
	page, err := os.ReadFile("../../../docs/troubleshooting.md")
	if err != nil {
		t.Fatal(err)
	}
	sources, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	codes := 0
	for _, file := range sources {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`sdk\.Failure\{Code: "([a-z-]+)"`).FindAllStringSubmatch(string(text), -1) {
			if strings.HasSuffix(file, "_test.go") || m[1] == "bad-config" { // which is told before anything is written
				continue
			}
			codes++
			if !strings.Contains(string(page), "| `"+m[1]+"` |") {
				t.Errorf("docs/troubleshooting.md has no line for %s", m[1])
			}
		}
	}
	if codes < 6 {
		t.Errorf("found %d codes", codes)
	}
}
