package run

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// Git is where a recipe stands in its repository.
type Git struct {
	Commit string `json:"commit,omitempty"`
	Dirty  bool   `json:"dirty"`          // a tracked file differs from the commit, or the recipe is not in it
	Path   string `json:"path,omitempty"` // of the recipe in the repository; empty: not in it
	Note   string `json:"note,omitempty"` // why there is no commit
}

// gitDeadline is how long all questions to git may take together: a repository
// on a share that hangs must not keep an experiment waiting.
const gitDeadline = 5 * time.Second

// Provenance asks git for the commit a recipe file stands in. It never fails:
// what could not be found out is said in Note.
func Provenance(ctx context.Context, recipe string) Git {
	ctx, cancel := context.WithTimeout(ctx, gitDeadline)
	defer cancel()
	ask := func(args ...string) (string, error) { return git(ctx, filepath.Dir(recipe), args...) }

	commit, err := ask("rev-parse", "--verify", "HEAD")
	if err != nil {
		return Git{Note: gitNote(ctx, err)}
	}
	record := Git{Commit: commit}
	changes, err := ask("status", "--porcelain", "--untracked-files=no")
	if err != nil {
		record.Note = gitNote(ctx, err)
	}
	path, err := ask("ls-files", "--full-name", "--", filepath.Base(recipe))
	if err != nil {
		record.Note = gitNote(ctx, err)
	}
	record.Path = path
	record.Dirty = changes != "" || path == "" // untracked files beside the recipe change nothing
	return record
}

// git runs one question without taking locks, asking for passwords or starting
// helpers of the repository.
func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-c", "core.fsmonitor=false"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_OPTIONAL_LOCKS=0", "GIT_TERMINAL_PROMPT=0", "LC_ALL=C")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

func gitNote(ctx context.Context, err error) string {
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return "git did not answer in time"
	case errors.Is(err, exec.ErrNotFound):
		return "git is not installed"
	case errors.As(err, &exit) && strings.Contains(string(exit.Stderr), "not a git repository"):
		return "the recipe is in no git repository"
	case errors.As(err, &exit):
		first, _, _ := strings.Cut(strings.TrimSpace(string(exit.Stderr)), "\n")
		return "git: " + first
	}
	return "git: " + err.Error()
}
