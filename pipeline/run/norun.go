package run

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// openRun opens a run directory, of which nothing outside is reached.
func openRun(dir string) (*os.Root, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, NoRun(dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, unreached(dir, err)
	}
	return root, nil
}

// unreached says that a run directory cannot be looked into, and what to do.
func unreached(dir string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "; tsrun runs DIR lists those in a directory, and latest beside them is the newest"
	case errors.Is(err, syscall.ELOOP):
		hint = "; a link there leads back to itself (ls -l shows it): name the directory itself"
	case errors.Is(err, fs.ErrPermission):
		hint = "; ask its owner, or whoever may, to let this user read it: chmod -R o+rX, or a copy"
	}
	return fmt.Errorf("open run directory %s: %w%s", dir, withoutPath(err), hint)
}

// deepest is how far below a run directory its deepest files are.
const deepest = 4

// NoRun says that a path is no run directory, and where one is: in it, or around it; or why
// it cannot be looked into.
func NoRun(path string) error {
	hint := "give a directory that tsrun has made, such as those that tsrun runs lists"
	for at, n := filepath.Clean(path), 0; n < deepest; n++ {
		if at = filepath.Dir(at); IsRun(at) {
			hint = "the run is in " + at
			break
		}
	}
	info, err := os.Stat(path)
	if err == nil {
		_, err = os.Stat(filepath.Join(path, ManifestFile))
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) {
			err = nil
		}
	}
	if err != nil {
		return unreached(path, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is a file and no run directory; %s", path, hint)
	}
	if runs, err := Runs(path); err == nil && len(runs) > 0 {
		hint = fmt.Sprintf("tsrun runs %s names those in it", path)
	}
	return fmt.Errorf("%s is no run directory: it has no %s; %s", path, ManifestFile, hint)
}
