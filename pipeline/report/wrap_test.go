package report

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"tsrun/pipeline/run"
)

// A summary fits the terminal, whatever names are; a word that is longer than a
// line is left whole, and numbers stay beside their deviations and units.
func TestReportFits(t *testing.T) {
	long := func(first string) string { return first + strings.Repeat("x", 62) }
	m := reportedManifest(t)
	named := reportedManifest(t)
	named.Nodes[long("c")] = named.Nodes["bob"]
	named.Nodes[long("c")].Channels[long("d")] = named.Nodes["bob"].Channels["idler"]
	named.Results[0].Stage = long("s")
	for _, c := range []struct {
		m     *run.Manifest
		width int
	}{{m, 40}, {m, 80}, {m, 200}, {named, 40}, {named, 80}, {named, 200}, {named, 0}} {
		var out bytes.Buffer
		if err := Report(&out, c.m, "runs/20260301T120000Z-coincidence", c.width); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			line = strings.TrimSuffix(line, "\n")
			if n := utf8.RuneCountInString(line); n > max(c.width, leastWidth) && strings.Contains(strings.TrimSpace(line)[min(11, len(strings.TrimSpace(line))):], " ") && !strings.Contains(line, "xxx") {
				t.Errorf("width %d: a line of %d: %q", c.width, n, line)
			}
			if strings.HasSuffix(line, "±") || strings.HasPrefix(strings.TrimSpace(line), "±") && !strings.Contains(line, "±500") && !strings.Contains(line, "±20") && !strings.Contains(line, "±400") {
				t.Errorf("width %d: a number is torn apart: %q", c.width, line)
			}
		}
		if !strings.Contains(out.String(), "400 030.2 ± 2.4 ps") || !strings.Contains(out.String(), "64 007") {
			t.Errorf("width %d:\n%s", c.width, &out)
		}
	}
}
