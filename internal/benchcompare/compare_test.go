package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		unit        string
		before, now float64
		want        string
	}{
		{"Mtags/s", 100, 94, "WORSE"},
		{"Mtags/s", 100, 96, ""},
		{"Mtags/s", 100, 200, "better"},
		{"Mtags/s-decode", 100, 50, "WORSE"},
		{"tls-GB/s", 1, 0.5, "WORSE"},
		{"of-plain-socket", 0.8, 0.7, "WORSE"},
		{"ratio", 0.8, 0.7, "WORSE"},
		{"ns/op", 100, 106, "WORSE"},
		{"ns/op", 100, 104, ""},
		{"allocs/op", 0, 1, "WORSE"},
		{"s/align", 1, 0.5, "better"},
		{"tls-p99-us", 10, 20, "WORSE"},
		{"size/entropy", 1, 1.2, "WORSE"},
		{"MB", 10, 20, "WORSE"},
		{"bounds-off", 1, 9, ""},
		{"CPU-s", 1, 9, ""},
	} {
		if got := judge(c.unit, c.before, c.now); got != c.want {
			t.Errorf("%s from %g to %g is %q, want %q", c.unit, c.before, c.now, got, c.want)
		}
	}
}

func TestRowsAreTheMediansOfWhatIsPrinted(t *testing.T) {
	rows := rowSet{}
	rows.add(false, "goos: linux\nBenchmarkA/2-8 \t 1 \t 0 ns/op \t 20 Mtags/s\nPASS\n")
	rows.add(false, "BenchmarkA/2   1   0 ns/op   1000 Mtags/s") // of one core, and once
	rows.add(false, "BenchmarkA/2-8   1   0 ns/op   30 Mtags/s")
	rows.add(true, "BenchmarkA/2-8   1   0 ns/op   15 Mtags/s\nBenchmarkB-8 1 7 ns/op\n--- BENCH: Benchmark")
	var out strings.Builder
	if worse := rows.print(&out); worse != 1 {
		t.Errorf("%d rows are worse", worse)
	}
	const want = "A/2 Mtags/s 30 15 0.500 WORSE B ns/op only now"
	if got := strings.Join(strings.Fields(out.String()), " "); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if median(nil) != 0 || median([]float64{4, 1, 3, 2}) != 2.5 {
		t.Error("medians of none, or of an even number")
	}
}

func TestMachineNamesItsProcessor(t *testing.T) {
	for info, want := range map[string]string{
		"processor\t: 0\nmodel name\t: A B\nflags\t\t: fpu sha_ni avx\n\nprocessor\t: 1\n": "A B, with instructions for SHA-256",
		"model name : A B\nflags : fpu\n\n":                                                "A B, without instructions for SHA-256",
	} {
		if got := processor(info); got != want {
			t.Errorf("%q is %q, want %q", info, got, want)
		}
	}
	if got := processor(""); !strings.HasPrefix(got, "unknown ") {
		t.Error(got)
	}
	if got := machine(); !strings.Contains(got, " cores; kernel: ") {
		t.Error(got)
	}
}

const module = "module lab\n\ngo 1.24\n"

// benchmarks of a package, which say what they are given.
func benchmarks(pkg, more, rate string) string {
	return "package " + pkg + "\n\nimport \"testing\"\n\nfunc BenchmarkPath(b *testing.B) {\n" +
		"\tfor b.Loop() {\n\t}\n\tb.ReportMetric(0, \"ns/op\")\n\tb.ReportMetric(" + rate + ", \"Mtags/s\")\n}\n" + more
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// TestCompareFindsWhatBecameSlower: in a checkout of another program, with changes
// that nobody has committed, and a package that was moved.
func TestCompareFindsWhatBecameSlower(t *testing.T) {
	t.Setenv("GOWORK", "off")
	dir := t.TempDir()
	write(t, dir, "go.mod", module)
	write(t, dir, "old/path/path_test.go", benchmarks("path", "", "100"))
	git(t, dir, "init", "-q")
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "Begin")
	base := git(t, dir, "rev-parse", "HEAD")
	git(t, dir, "mv", "old", "moved")
	write(t, dir, "moved/path/path_test.go", benchmarks("path", "\nfunc BenchmarkNew(b *testing.B) { b.Fatal() }\n", "90"))
	var out strings.Builder
	worse, err := compare(t.Context(), &out, dir, base, 2, regexp.MustCompile("."))
	if err != nil || worse != 1 {
		t.Errorf("%d rows are worse, %v", worse, err)
	}
	text := strings.Join(strings.Fields(out.String()), " ")
	for _, want := range []string{"processor: ", "Path Mtags/s 100 90 0.900 WORSE", "lab/moved/path.BenchmarkNew: not there before", "1 row worse by more than 5 %"} {
		if !strings.Contains(text, want) {
			t.Errorf("it prints no %q:\n%s", want, out.String())
		}
	}
	if trees := git(t, dir, "worktree", "list"); strings.Contains(trees, "\n") {
		t.Errorf("checkouts stay:\n%s", trees)
	}
	write(t, dir, "broken/broken_test.go", "package broken\n\nfunc BenchmarkOther(b *testing.B) {}\n") // without its import
	git(t, dir, "add", ".")
	git(t, dir, "commit", "-qm", "Break what nobody asks for")
	if _, err := compare(t.Context(), &out, dir, "HEAD", 1, regexp.MustCompile("Path")); err != nil {
		t.Errorf("with another package that cannot be compiled: %v", err)
	}
	if _, err := compare(t.Context(), &out, dir, "HEAD", 1, regexp.MustCompile("Other")); err == nil {
		t.Error("a package that cannot be compiled was compared")
	}
	if _, err := compare(t.Context(), &out, dir, "no-such-commit", 1, regexp.MustCompile(".")); err == nil || !strings.Contains(err.Error(), "no-such-commit") {
		t.Errorf("of a commit that is not there: %v", err)
	}
}
