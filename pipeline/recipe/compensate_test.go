package recipe

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestWithCompensation(t *testing.T) {
	for name, c := range map[string]struct{ before, after, refused string }{
		"a value": {"version: 1\ntrigger:\n  compensation: {bob: 250 us}   # slow\n",
			"version: 1\ntrigger:\n  compensation: {bob: 12.3 us}   # slow\n", ""},
		"a value in quotes": {"version: 1\ntrigger:\n  compensation:\n    bob: '250 us' # slow\n    alice: 1 us\n",
			"version: 1\ntrigger:\n  compensation:\n    bob: 12.3 us # slow\n    alice: 1 us\n", ""},
		"another node, between braces": {"version: 1\ntrigger: {master: alice, compensation: {alice: 1 us}}\n",
			"version: 1\ntrigger: {master: alice, compensation: {bob: 12.3 us, alice: 1 us}}\n", ""},
		"another node, on lines": {"version: 1\ntrigger:\n  compensation:\n    # the first\n    alice: 1 us  # fast\n\n  lead: 1 s\n",
			"version: 1\ntrigger:\n  compensation:\n    # the first\n    alice: 1 us  # fast\n    bob: 12.3 us\n\n  lead: 1 s\n", ""},
		"no section": {"version: 1\ntrigger:\n  master: alice   # decides\n  lead: 1 s\nacquire: {duration: 1 s}\n",
			"version: 1\ntrigger:\n  master: alice   # decides\n  lead: 1 s\n  compensation: {bob: 12.3 us}\nacquire: {duration: 1 s}\n", ""},
		"no section, between braces": {"version: 1\ntrigger: {master: alice}\n",
			"version: 1\ntrigger: {compensation: {bob: 12.3 us}, master: alice}\n", ""},
		"no trigger":           {"version: 1\nname: x  # a name\n", "version: 1\nname: x  # a name\ntrigger: {compensation: {bob: 12.3 us}}\n", ""},
		"no line at the end":   {"version: 1\nname: x", "version: 1\nname: x\ntrigger: {compensation: {bob: 12.3 us}}", ""},
		"lines of Windows":     {"version: 1\r\ntrigger:\r\n  master: alice\r\n", "version: 1\r\ntrigger:\r\n  master: alice\r\n  compensation: {bob: 12.3 us}\r\n", ""},
		"behind other letters": {"version: 1\ntrigger: {description: 'öäü', compensation: {bob: 1 us}}\n", "version: 1\ntrigger: {description: 'öäü', compensation: {bob: 12.3 us}}\n", ""},
		"as it is":             {"version: 1\ntrigger: {compensation: {bob: 12.3 us}}\n", "version: 1\ntrigger: {compensation: {bob: 12.3 us}}\n", ""},
		"a variable":           {"version: 1\ntrigger: {compensation: {bob: '${env:BOB}'}}\n", "", "comes from a variable"},
		"an alias":             {"version: 1\nmeta: &late 1 us\ntrigger: {compensation: {bob: *late}}\n", "", "no plain value"},
		"a section elsewhere":  {"version: 1\nmeta: &all {alice: 1 us}\ntrigger: {compensation: *all}\n", "", "no section"},
		"an empty section":     {"version: 1\ntrigger:\n  compensation:\n", "", "no section"},
		"several lines":        {"version: 1\nname: >-\n  a\n  b\n", "", "laid out"},
		"no recipe":            {"[1, 2]\n", "", "section of keys"},
		"two documents":        {"version: 1\n---\nversion: 1\n", "", "second document"},
	} {
		got, err := WithCompensation(newFile("r.yaml", "/r.yaml", []byte(c.before)), map[string]string{"bob": "12.3 us"})
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			continue
		}
		if err != nil || string(got) != c.after {
			t.Errorf("%s: %v\n%s", name, err, got)
		}
	}
}

// Whatever the file, it says afterwards what was asked, or nothing is changed.
func TestWithCompensationChangesNothingElse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		entries := rapid.SliceOfDistinct(rapid.SampledFrom([]string{"master: alice", "lead: 1 s", "compensation: {alice: 1 us}", "compensation:\n    alice: 2 us\n    bob: 3 us", "method: scheduled"}),
			func(s string) string { return s[:4] }).Draw(t, "entries")
		text := "version: 1\n" + rapid.SampledFrom([]string{"", "# about\n", "name: x\n"}).Draw(t, "before")
		if len(entries) > 0 {
			text += "trigger:\n  " + strings.Join(entries, rapid.SampledFrom([]string{"\n  ", "  # why\n  ", "\n\n  # a line\n  "}).Draw(t, "between")) + "\n"
		}
		text += rapid.SampledFrom([]string{"", "acquire: {duration: 1 s}\n", "\n# the end"}).Draw(t, "after")
		values := map[string]string{"bob": "-1.5 us", "alice": "40 ms"}
		first, err := WithCompensation(newFile("r.yaml", "/r.yaml", []byte(text)), values)
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		f := newFile("r.yaml", "/r.yaml", first)
		if n, problems := parseFile(f, 0); problems != nil || n.get("trigger").get("compensation").get("bob").text != "-1.5 us" || HasCompensation(f, "alice") != 3 || HasCompensation(f, "carol") != 2 {
			t.Fatalf("%v\n%s", problems, first)
		}
		if again, err := WithCompensation(f, values); err != nil || string(again) != string(first) {
			t.Fatalf("the second time: %v\n%s", err, again)
		}
		if strings.Count(string(first), "#") != strings.Count(text, "#") {
			t.Fatalf("a comment is gone:\n%s", first)
		}
	})
}
