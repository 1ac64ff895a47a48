// Package house checks the rules of the house that no compiler checks.
package house

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// floors are the packages of each floor, from the top; an import never points up.
var floors = [][]string{
	{"cmd/"},
	{"pipeline/web"},
	{"pipeline/report", "pipeline/drill", "pipeline/doctor", "pipeline/unit", "pipeline/calibrate", "pipeline/catalogue", "pipeline/series", "pipeline/follow"},
	{"pipeline/master", "pipeline/slave"},
	{"pipeline/watch", "pipeline/live", "pipeline/results"},
	{"pipeline/stage"},
	{"pipeline/event", "pipeline/scaffold", "pipeline/host", "pipeline/core", "pipeline/transfer", "pipeline/keys"},
	{"pipeline/run", "pipeline/align"},
	{"pipeline/track"},
	{"pipeline/wire", "pipeline/recipe", "pipeline/correlate", "pipeline/scatter", "pipeline/mesh"},
	{"pipeline/plot"},
	{"pipeline/text", "pipeline/fact", "pipeline/journal", "pipeline/confine", "pipeline/clock"},
	{"pipeline/datagram", "pipeline/xdp"},
	{"examples/"},
	{"plugins/"},
	{"sim/idq", "sim/tdc1", "sim/ticc", "sim/tdc2"},
	{"sim/pty"},
	{"sim/fault"},
	{"sim/sky"},
	{"sdk/sdktest", "sdk/following"},
	{"sdk"},
	{"sdk/blockio"},
	{"sdk/tagfile"},
	{"sdk/tag", "sdk/realtime", "sdk/fifteen", "sdk/zmtp", "sdk/tagfile/pack"},
	{"sdk/quantity"},
}

func floorOf(path string) int {
	path = strings.TrimPrefix(path, "tsrun/")
	found, longest := -1, 0
	for i, floor := range floors {
		for _, p := range floor {
			p = strings.TrimSuffix(p, "/")
			if (path == p || strings.HasPrefix(path, p+"/")) && len(p) > longest {
				found, longest = i, len(p)
			}
		}
	}
	return found
}

func TestImportsNeverPointUp(t *testing.T) {
	for _, p := range packages(t) {
		if strings.HasPrefix(p.ImportPath, "tsrun/internal/") || strings.HasPrefix(p.ImportPath, "tsrun/e2e") {
			continue
		}
		here := floorOf(p.ImportPath)
		if here < 0 {
			t.Errorf("%s stands on no floor: give it one in docs/architecture.md and here", p.ImportPath)
		}
		for _, i := range p.Imports {
			if strings.HasPrefix(i, "tsrun/") && floorOf(i) < here {
				t.Errorf("%s imports %s, which is above it", p.ImportPath, i)
			}
		}
	}
}

// TestRoomsAreNamed: docs/architecture.md says of each package what it does, and of each
// floor what stands on it.
func TestRoomsAreNamed(t *testing.T) {
	page := read(t, "../../docs/architecture.md")
	rooms := map[string]bool{}
	for _, row := range regexp.MustCompile(`(?m)^\| (`+"`"+`[^|]+) \|`).FindAllStringSubmatch(page, -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(row[1], -1) {
			rooms[name[1]] = true
		}
	}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, "tsrun/")
		if !rooms[name] && (strings.HasPrefix(name, "pipeline/") || strings.HasPrefix(name, "sdk")) {
			t.Errorf("docs/architecture.md does not say what %s does", name)
		}
	}
	_, stairs, _ := strings.Cut(page, "\nFloors, ")
	stairs, _, _ = strings.Cut(stairs, "\n\n")
	for _, floor := range floors {
		for _, name := range floor {
			if name = strings.TrimSuffix(strings.TrimPrefix(name, "pipeline/"), "/"); !strings.Contains(stairs, "`"+name+"`") {
				t.Errorf("docs/architecture.md does not say on which floor %s stands", name)
			}
		}
	}
}

// walls are between packages of which neither may need the other, however far
// below; their tests may not import it either.
var walls = []struct{ from, to, why string }{
	{"tsrun/pipeline/", "tsrun/sim/", "only a plugin knows what it simulates"},
	{"tsrun/plugins/", "tsrun/pipeline/", "a plugin stands on the SDK alone, as those outside this module do"},
	{"tsrun/sdk", "tsrun/pipeline/", "the SDK is whole"},
	{"tsrun/sdk", "tsrun/sim/", "an author's plugin has its own device"},
	{"tsrun/sim/", "tsrun/pipeline/", "plugins stand on it"},
}

func TestWallsHold(t *testing.T) {
	for _, p := range packages(t) {
		for _, w := range walls {
			if !strings.HasPrefix(p.ImportPath, w.from) {
				continue
			}
			for _, needed := range slices.Concat(p.Deps, p.TestImports, p.XTestImports) {
				if strings.HasPrefix(needed, w.to) {
					t.Errorf("%s needs %s: %s", p.ImportPath, needed, w.why)
				}
			}
		}
	}
}

// TestOtherSystemsNeedNoLinux keeps what only Linux has in files of Linux, so
// that the commands that read files can be built for macOS and Windows; whether
// those compile is tried by make lint.
func TestOtherSystemsNeedNoLinux(t *testing.T) {
	for _, system := range []string{"GOOS=darwin", "GOOS=windows"} {
		cmd := exec.Command("go", "list", "-deps", "-f", `{{.ImportPath}}{{range .Imports}} {{.}}{{end}}`, "./cmd/tsrun", "./plugins/...")
		cmd.Dir, cmd.Env = "../..", append(os.Environ(), system, "CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s go list: %v\n%s", system, err, out)
		}
		ours := 0
		for line := range strings.Lines(string(out)) {
			words := strings.Fields(line)
			if !strings.HasPrefix(words[0], "tsrun/") {
				continue
			}
			ours++
			if slices.Contains(words, "golang.org/x/sys/unix") {
				t.Errorf("%s: %s needs golang.org/x/sys/unix: move that into a file *_linux.go, with *_other.go beside it", system, words[0])
			}
		}
		if ours < 20 {
			t.Errorf("%s: only %d packages of tsrun were found", system, ours)
		}
	}
}

// listed is a package as go list tells of it.
type listed struct {
	ImportPath                               string
	Imports, Deps, TestImports, XTestImports []string
}

func packages(t *testing.T) (found []listed) {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps,TestImports,XTestImports", "tsrun/...")
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	decoder := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
}

// TestDependenciesAreExplained compares docs/dependencies.md with go.mod.
func TestDependenciesAreExplained(t *testing.T) {
	mod, doc := read(t, "../../go.mod"), read(t, "../../docs/dependencies.md")
	direct := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^\s+(\S+) v\S+$`).FindAllStringSubmatch(mod, -1) {
		direct[m[1]] = true
		if !strings.Contains(doc, "`"+m[1]+"`") {
			t.Errorf("docs/dependencies.md does not say why %s is needed", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`(?m)^\| ([^|]+) \|`).FindAllStringSubmatch(doc, -1) {
		for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(m[1], -1) {
			if !direct[name[1]] {
				t.Errorf("docs/dependencies.md explains %s, which go.mod does not require directly", name[1])
			}
		}
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
