package sdktest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Run does all checks of the plugin at path as parts of a Go test.
func Run(t *testing.T, path string, o Options) {
	t.Helper()
	suites, err := Suites(t.Context(), path, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range suites {
		t.Run(s.Offer.Name, func(t *testing.T) {
			t.Parallel()
			s.Run(t.Context(), func(r Result) {
				t.Run(r.Check, func(t *testing.T) {
					switch r.Status {
					case Failed:
						t.Error(r.Note)
					case Open:
						t.Skip(r.Note)
					default:
						t.Logf("%s (%.1f s)", r.Note, r.Seconds)
					}
				})
			})
		})
	}
}

// Build builds the main package in dir for a test and returns the program's
// path. It has the name of the directory, as a plugin has.
func Build(t *testing.T, dir string) string {
	t.Helper()
	whole, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), filepath.Base(whole))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-trimpath", "-o", path, ".")
	cmd.Dir, cmd.Env = whole, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v\n%s", whole, err, out)
	}
	return path
}

// Documented checks that a page of documentation is what the plugin at path says
// of itself today, as `tsrun plugin docs` writes it.
func Documented(t *testing.T, path, page string) {
	t.Helper()
	about, err := describe(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	want, err := about.Document()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(page); err != nil || string(got) != want {
		t.Errorf("%s is not what the plugin says of itself (%v); write it anew with tsrun plugin docs", page, err)
	}
}
