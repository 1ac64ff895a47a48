package tagfile

import (
	"os"
	"strings"
	"testing"
)

// TestFormatsAreDescribed compares the tables of docs/files.md with the table
// of formats.
func TestFormatsAreDescribed(t *testing.T) {
	text, err := os.ReadFile("../../docs/files.md")
	if err != nil {
		t.Fatal(err)
	}
	named := map[string]string{} // format → its row of the first table
	for line := range strings.Lines(string(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != 8 {
			continue
		}
		for name := range strings.FieldsSeq(cells[1]) {
			named[strings.Trim(name, "`")] = cells[2]
		}
	}
	for _, ft := range Table() {
		suffixes, there := named[ft.Name]
		if !there {
			t.Errorf("docs/files.md has no row for %s", ft.Name)
		}
		for _, suffix := range ft.Suffixes {
			if !strings.Contains(suffixes+" ", suffix+" ") {
				t.Errorf("docs/files.md does not say that %s may be named %s", ft.Name, suffix)
			}
		}
	}
	for _, kind := range []FactKind{Wraps, Markers, Dummies, Overflows, Missed, Faults, Unknown, Beyond, References, Remarks} {
		if !strings.Contains(string(text), "| `"+string(kind)+"` |") {
			t.Errorf("docs/files.md does not explain %s", kind)
		}
	}
}
