package run

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
)

// Runs gives the paths of the run directories in a directory. What in it is no run is
// passed over.
func Runs(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	paths := []string{}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if _, err := os.Lstat(filepath.Join(path, ManifestFile)); e.IsDir() && err == nil {
			paths = append(paths, path)
		}
	}
	return paths, nil
}

// Pending says whether the manifest does not say yet what was recorded: the run goes
// on, or its master was killed.
func (m *Manifest) Pending() bool { return m.Ended.IsZero() && !m.Recorded() }

// Known is the error of a [Manifest.Pending] run in dir, of which nothing can be counted.
func (m *Manifest) Known(dir string) error {
	if !m.Pending() {
		return nil
	}
	return fmt.Errorf("the run in %s has not ended, and its manifest does not say yet what was recorded; wait until it has ended, or, if its master was killed, let tsrun resume %s finish it", dir, dir)
}

// TagsDelivered counts what all channels delivered.
func (m *Manifest) TagsDelivered() (sum uint64) {
	for _, n := range m.Nodes {
		for _, c := range n.Channels {
			sum += min(c.Tags, math.MaxUint64-sum)
		}
	}
	return sum
}

// TagsLost counts what is known to be missing of all channels.
func (m *Manifest) TagsLost() (sum uint64) {
	for _, n := range m.Nodes {
		for _, c := range n.Channels {
			sum += min(c.Lost, math.MaxUint64-sum)
		}
	}
	return sum
}
