package e2e

import (
	"strings"
	"testing"

	"tsrun/internal/schemas"
	"tsrun/pipeline/event"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// keepToSchema fails a test whose program has written an event that is none. The
// last line may be cut, where the program was killed.
func keepToSchema(t *testing.T, stdout string) {
	t.Helper()
	text, err := event.EventSchema()
	schema := schemas.Compile(t, text, err)
	for line := range strings.Lines(stdout) {
		if !strings.HasPrefix(line, `{"event":`) || !strings.HasSuffix(line, "\n") {
			continue // a mistake of a recipe
		}
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(line))
		if err == nil {
			err = schema.Validate(v)
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

// Events of runs that end well, that are refused, and that are stopped keep to
// the schema; wait looks at every line.
func TestEventsOfRealRuns(t *testing.T) {
	t.Parallel()
	good := runTsrun(t, t.TempDir(), shipped(t, "coincidence.yaml"), "--set", "acquire.duration=1 s", "--json")
	for _, kind := range []string{"state", "joined", "device", "armed", "fired", "progress", "verified", "stage", "summary"} {
		if !strings.Contains(good.stdout, `{"event":"`+kind+`",`) {
			t.Errorf("a good run has no event %s", kind)
		}
	}
	refused := runTsrun(t, t.TempDir(), shipped(t, "coincidence.yaml"), "--json", "--set", "nodes.alice.controllers.tc.config.address=127.0.0.9")
	if refused.code == 0 || !strings.Contains(refused.stdout, `{"event":"error",`) || !strings.Contains(refused.stdout, `{"event":"summary",`) {
		t.Errorf("exit code %d\n%s", refused.code, refused.stdout)
	}
}
