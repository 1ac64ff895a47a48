package run

import (
	"fmt"
	"os"
	"path/filepath"
)

// openRun opens a run directory, of which nothing outside is reached.
func openRun(dir string) (*os.Root, error) {
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return nil, NoRun(dir)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open run directory: %w", err)
	}
	return root, nil
}

// deepest is how far below a run directory its deepest files are.
const deepest = 4

// NoRun says that a path is no run directory, and where one is: in it, or around it.
func NoRun(path string) error {
	hint := "give a directory that tsrun has made, such as those that tsrun runs lists"
	for at, n := filepath.Clean(path), 0; n < deepest; n++ {
		if at = filepath.Dir(at); IsRun(at) {
			hint = "the run is in " + at
			break
		}
	}
	if info, err := os.Stat(path); err == nil && !info.IsDir() {
		return fmt.Errorf("%s is a file and no run directory; %s", path, hint)
	}
	if runs, err := Runs(path); err == nil && len(runs) > 0 {
		hint = fmt.Sprintf("tsrun runs %s names those in it", path)
	}
	return fmt.Errorf("%s is no run directory: it has no %s; %s", path, ManifestFile, hint)
}
