package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

const (
	// runTimeout ends a benchmark that hangs.
	runTimeout = "15m"
	// benchTime is how long one runs that is over sooner: of microseconds, a single call would
	// tell how cold the processor's caches were. make bench does so, too.
	benchTime = "200ms"
)

// side is a checkout whose benchmarks are measured.
type side struct {
	name     string
	dir, bin string // of the checkout, and of its programs
	packages []pkg  // that have benchmarks
}

// pkg is a package with benchmarks, and their names.
type pkg struct {
	path, dir string
	names     []string
}

// benchmark is how one begins in the text of a program.
var benchmark = regexp.MustCompile(`(?m)^func (Benchmark\w*)\(`)

// checkOut makes a checkout of a commit beside that of dir; remove takes it away again.
func checkOut(ctx context.Context, dir, commit string) (s *side, remove func(), err error) {
	tmp, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, nil, err
	}
	tree := filepath.Join(tmp, "before")
	remove = func() { // also when ctx has ended
		_, _ = output(context.Background(), dir, "git", "worktree", "remove", "--force", tree)
		os.RemoveAll(tmp)
	}
	if _, err = output(ctx, dir, "git", "worktree", "add", "--detach", "--", tree, commit); err == nil {
		s, err = openSide(ctx, "before", tree, tmp)
	}
	if err != nil {
		remove()
		return nil, nil, err
	}
	return s, remove, nil
}

// openSide finds the packages of a checkout that have benchmarks.
func openSide(ctx context.Context, name, dir, bin string) (*side, error) {
	s := &side{name: name, dir: dir, bin: bin}
	const format = `{{.ImportPath}}|{{.Dir}}|{{join .TestGoFiles ","}},{{join .XTestGoFiles ","}}`
	list, err := output(ctx, dir, "go", "list", "-f", format, "./...")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(list) {
		fields := strings.SplitN(strings.TrimSpace(line), "|", 3)
		if len(fields) < 3 {
			continue
		}
		p := pkg{path: fields[0], dir: fields[1]}
		for _, file := range strings.Split(fields[2], ",") {
			text, _ := os.ReadFile(filepath.Join(p.dir, file)) // a package without tests has a file without a name
			for _, m := range benchmark.FindAllSubmatch(text, -1) {
				p.names = append(p.names, string(m[1]))
			}
		}
		if len(p.names) > 0 {
			s.packages = append(s.packages, p)
		}
	}
	return s, nil
}

// like finds the package that was p before: that of its path, or else the only one of
// its last name.
func (s *side) like(p pkg) (found pkg, ok bool) {
	for _, q := range s.packages {
		switch {
		case q.path == p.path:
			return q, true
		case path.Base(q.path) == path.Base(p.path) && ok:
			return pkg{}, false
		case path.Base(q.path) == path.Base(p.path):
			found, ok = q, true
		}
	}
	return found, ok
}

// program is the compiled tests of one package.
type program struct{ file, dir string }

func (s *side) build(ctx context.Context, p pkg) (*program, error) {
	file := filepath.Join(s.bin, s.name+"-"+strings.ReplaceAll(p.path, "/", "_")+".test")
	if _, err := output(ctx, s.dir, "go", "test", "-c", "-o", file, p.path); err != nil {
		return nil, err
	}
	return &program{file, p.dir}, nil
}

// list returns the names of its benchmarks.
func (p *program) list(ctx context.Context) ([]string, error) {
	text, err := output(ctx, p.dir, p.file, "-test.list", "^Benchmark")
	if err != nil {
		return nil, err
	}
	var names []string
	for _, name := range strings.Fields(text) {
		if strings.HasPrefix(name, "Benchmark") {
			names = append(names, name)
		}
	}
	return names, nil
}

// run runs one benchmark, and returns what it prints and how long processors worked
// for it and the processes it has started.
func (p *program) run(ctx context.Context, name string) (text string, cpu time.Duration, err error) {
	cmd := exec.CommandContext(ctx, p.file, "-test.run", "^$", "-test.bench", "^"+name+"$", "-test.benchtime", benchTime, "-test.timeout", runTimeout)
	cmd.Dir = p.dir
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", 0, fmt.Errorf("%s of %s: %w\n%s", name, p.dir, err, out)
	}
	return string(out), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// output runs a command and returns what it prints.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
		}
		return "", fmt.Errorf("%s %s: %w", filepath.Base(name), strings.Join(args, " "), err)
	}
	return string(out), nil
}
