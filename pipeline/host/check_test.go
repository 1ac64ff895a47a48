package host

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tsrun/sdk"
)

// checker installs a script as a plugin whose description promises a check.
func checker(t *testing.T, script string) Component {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tc-script")
	description, err := json.Marshal(sdk.Description{Name: "tc-script", Protocol: sdk.ProtocolVersion,
		Drivers: []sdk.Offer{{Name: "other-name", Checks: true}}, Sinks: []sdk.Offer{{Name: "tc-script"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{path: "#!/bin/sh\n" + script + "\n", path + ".json": string(description)} {
		if err := os.WriteFile(name, []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c, err := Find([]string{filepath.Dir(path)}, "tc-script")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// The answer of a plugin is believed to be anything.
func TestCheckOfHostilePlugins(t *testing.T) {
	long := strings.Repeat("x", 2*maxWords)
	for name, test := range map[string]struct{ script, want string }{
		"nothing":              {`true`, "error cannot be read"},
		"no JSON":              {`echo hello`, "error cannot be read"},
		"fails":                {`echo "no such option" >&2; exit 1`, "error no such option"},
		"dies":                 {`kill -9 $$`, "error killed"},
		"hangs":                {`sleep 100`, "error in time"},
		"hangs in the dark":    {`exec >&- 2>&-; sleep 100`, "error in time"},
		"never ends":           {`yes`, "error longer than"},
		"leaves a child":       {`sleep 100 & echo '{}'`, "error"},
		"reads nothing":        {`exec <&-; echo '{"mistakes":[{"field":"a","message":"b"}]}'`, "a: b"},
		"asks by offer's name": {`grep -q '"driver":"other-name"' && echo '{"mistakes":[{"field":"a","message":"b"}]}'`, "a: b"},
		"long words":           {`echo '{"mistakes":[{"field":"a","message":"` + long + `"}]}'`, "a: " + long[:maxWords] + "…"},
		"no words":             {`echo '{"mistakes":[{}]}'`, ": the plugin does not say what is wrong"},
		"all is well":          {`echo '{"mistakes":[]}'`, ""},
		"null":                 {`echo null`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, context.DeadlineExceeded)
			if strings.HasSuffix(test.want, "in time") {
				ctx, cancel = context.WithTimeout(t.Context(), 200*time.Millisecond)
				test.want = "error deadline"
			}
			defer cancel()
			mistakes, err := checker(t, test.script).Check(ctx, sdk.CheckRequest{Driver: "tc-script", Config: []byte(`{}`)})
			if what, ok := strings.CutPrefix(test.want, "error"); ok {
				if err == nil || !strings.Contains(err.Error(), strings.TrimSpace(what)) {
					t.Errorf("error %v, want %q", err, what)
				}
				return
			}
			got := []string{}
			for _, m := range mistakes {
				got = append(got, m.Field+": "+m.Message)
			}
			if err != nil || strings.Join(got, "; ") != test.want {
				t.Errorf("%.200q, %v, want %.200q", got, err, test.want)
			}
		})
	}
}

// What promises no check is not started for one.
func TestCheckThatIsNotPromised(t *testing.T) {
	c := checker(t, `echo nonsense`)
	if mistakes, err := c.Check(t.Context(), sdk.CheckRequest{Sink: "tc-script"}); mistakes != nil || err != nil {
		t.Errorf("%v, %v", mistakes, err)
	}
	c.Description = nil
	if mistakes, err := c.Check(t.Context(), sdk.CheckRequest{Driver: "tc-script"}); mistakes != nil || err != nil {
		t.Errorf("%v, %v", mistakes, err)
	}
}
