package master

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestCommandAtTheEnd: what is executed when a run has ended gets its arguments, has
// an end, and can neither hold the master up nor fill its memory.
func TestCommandAtTheEnd(t *testing.T) {
	interrupted := make(chan struct{}, 1)
	interrupted <- struct{}{}
	for name, test := range map[string]struct {
		script     string
		timeout    time.Duration
		interrupts chan struct{}
		want       string // of the error; "" is none
	}{
		"ends well":             {script: `test "$1,$2,$#" = "/run,GOOD+SIMULATED,2"`},
		"reads":                 {script: `test -z "$(cat)"`},
		"fails":                 {script: `echo no log book >&2; exit 3`, want: "exit status 3; it said: no log book"},
		"says much, and fails":  {script: `i=0; while [ $i -lt 3000 ]; do echo 0123456789; i=$((i+1)); done; echo the last; exit 1`, want: "the last"},
		"moves the cursor":      {script: `printf '\033[2Jx'; exit 1`, want: "it said: \uFFFD[2Jx"},
		"never ends":            {script: `echo asleep; sleep 1000`, timeout: 300 * time.Millisecond, want: "did not end within 300ms; it said: asleep"},
		"ignores signals":       {script: `trap "" TERM INT; while :; do sleep 1; done`, timeout: 300 * time.Millisecond, want: "did not end within 300ms"},
		"is interrupted":        {script: `sleep 1000`, interrupts: interrupted, want: "it was interrupted"},
		"leaves a process":      {script: `sleep 3 & exit 0`},
		"is killed by a signal": {script: `kill -9 $$`, want: "signal: killed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.timeout == 0 {
				test.timeout = time.Minute
			}
			err := execute([]string{"sh", "-c", test.script, "on_end"}, []string{"/run", "GOOD+SIMULATED"}, test.timeout, test.interrupts)
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)):
				t.Errorf("%v, want %q", err, test.want)
			case err != nil && len(err.Error()) > 2*lastLinesSize:
				t.Errorf("%d bytes of words", len(err.Error()))
			}
		})
	}
	plain := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for _, program := range []string{plain, t.TempDir(), "no-such-program-anywhere", ""} {
		if err := execute([]string{program}, nil, time.Minute, nil); err == nil {
			t.Errorf("%q was executed", program)
		}
	}
}
