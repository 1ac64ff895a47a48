package main

import (
	"os"
	"strings"
	"testing"

	"tsrun/sdk/sdktest"
)

func TestConformance(t *testing.T) { sdktest.Run(t, sdktest.Build(t, "."), sdktest.Options{}) }

// TestDocsShowTheseDrivers: docs/writing-a-driver.md shows this program, and the
// driver in Python, as they are, and both are short.
func TestDocsShowTheseDrivers(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/writing-a-driver.md")
	if err != nil {
		t.Fatal(err)
	}
	for path, most := range map[string]int{"main.go": 60, "../../python/tc-noise-py": 80} {
		text, err := os.ReadFile(path)
		if lines := strings.Count(string(text), "\n"); err != nil || lines > most || !strings.Contains(string(doc), "\n"+string(text)+"```\n") {
			t.Errorf("%s has %d lines, at most %d, and docs/writing-a-driver.md should show it as it is: %v", path, lines, most, err)
		}
	}
}
