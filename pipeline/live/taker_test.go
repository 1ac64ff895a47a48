package live

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/pipeline/recipe"
)

// TestPluginsThatTakeNothing: a program that is not there, says nothing of merged tags,
// dies or lies costs warnings, and its directory goes.
func TestPluginsThatTakeNothing(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	for name, c := range map[string]struct{ program, describes, says string }{
		"sink-none":   {"", "", "sink-none"},
		"sink-silent": {"exit 0", `{"name":"sink-silent","version":"1","protocol":1,"sinks":[{"name":"sink-silent"}]}`, "does not say that it takes merged tags"},
		"sink-dying":  {"echo it hurts >&2; exit 3", `{"name":"sink-dying","version":"1","protocol":1,"sinks":[{"name":"sink-dying","merged":{}}]}`, "it hurts"},
		"sink-lying":  {`echo '{"version":9,"messages":99}'`, `{"name":"sink-lying","version":"1","protocol":1,"sinks":[{"name":"sink-lying","merged":{}}]}`, "version 9"},
	} {
		dir := t.TempDir()
		if c.program != "" {
			for file, text := range map[string]string{name: "#!/bin/sh\n" + c.program + "\n", name + ".json": c.describes} {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o755); err != nil {
					t.Fatal(err)
				}
			}
		}
		warned := make(chan string, 1)
		s, err := ListenFor(recipe.Live{Name: "cloud", Sink: name, Config: recipe.LiveConfig{Queue: 1}}, "cafe",
			Plugins{Dirs: []string{dir}, Warn: func(message, _ string) { warned <- message }})
		if err != nil {
			t.Fatal(err)
		}
		if says := <-warned; !strings.Contains(says, c.says) || !strings.Contains(says, "sink cloud takes no merged tags any more") {
			t.Errorf("%s: %s", name, says)
		}
		if r := s.Close(wait).Taken; r == nil || r.Messages != 0 || r.Plugin != name || !strings.Contains(r.Failed, c.says) {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if left, err := os.ReadDir(temporary); err != nil || len(left) > 0 {
		t.Errorf("%v are left, %v", left, err)
	}
}
