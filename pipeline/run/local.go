package run

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tsrun/pipeline/clock"
	"tsrun/pipeline/journal"
)

// LocalPart says that a run is the part of one node alone, recorded without the others.
type LocalPart struct {
	Node   string   `json:"node"`
	Recipe string   `json:"recipe"`  // its name
	Others []string `json:"without"` // nodes of the recipe that were not asked
	// Marks tell recordings of one recipe from those of another, by section of the
	// whole recipe; see recipe.Marks.
	Marks map[string]string `json:"marks"`
	Clock OwnClock          `json:"clock"`
}

// OwnClock is what is known of a PC's clock that nobody compared with another's: what
// the services of this PC say that keep it.
type OwnClock struct {
	Start []clock.Standing `json:"start,omitempty"` // when the node was told to start
	End   []clock.Standing `json:"end,omitempty"`   // when the record was over
	Why   string           `json:"why,omitempty"`   // why nothing is known
}

// Known returns the newest standing that may be believed; ok is false where none is.
func (c OwnClock) Known() (s clock.Standing, ok bool) {
	for _, list := range [][]clock.Standing{c.End, c.Start} {
		for _, s := range list {
			if s.Lost == "" {
				return s, true
			}
		}
	}
	return s, false
}

// words say of whom a part is.
func (l *LocalPart) words() string {
	if len(l.Others) == 0 {
		return fmt.Sprintf("recorded without a master; it is the only node of recipe %s", l.Recipe)
	}
	return fmt.Sprintf("recorded without a master; of recipe %s not here: %s", l.Recipe, strings.Join(l.Others, ", "))
}

// CollectedFile lies in the directory of a local part of which a master has proven its
// own copy.
const CollectedFile = "collected.json"

// Collected says which master has a copy of a local part.
type Collected struct {
	By string    `json:"by"` // its address, as the slave was told
	At time.Time `json:"at"`
}

// Waiting is a local part of which no master has a copy.
type Waiting struct {
	Path     string // of its directory
	Manifest *Manifest
}

// WaitingIn lists the local parts of a node in a directory of runs that have ended and
// that no master has collected, the oldest first.
func WaitingIn(root, node string) (list []Waiting) {
	for path, m := range localParts(root, node) {
		if _, err := os.Lstat(filepath.Join(path, CollectedFile)); err == nil || m.Ended.IsZero() || !m.Recorded() {
			continue
		}
		list = append(list, Waiting{path, m})
	}
	slices.SortFunc(list, func(a, b Waiting) int {
		return cmp.Or(a.Manifest.Started.Compare(b.Manifest.Started), cmp.Compare(a.Path, b.Path))
	})
	return list
}

// BrokenOff lists the directories of local parts of a node whose tsrun was killed.
func BrokenOff(root, node string) (paths []string) {
	for path, m := range localParts(root, node) {
		if m.Ended.IsZero() && !journal.Locked(filepath.Join(path, JournalFile)) {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

// localParts are the directories of local parts of a node below root. What cannot be
// read is none.
func localParts(root, node string) func(yield func(string, *Manifest) bool) {
	return func(yield func(string, *Manifest) bool) {
		entries, _ := os.ReadDir(root) // a directory that is not there has none
		for _, e := range entries {
			path := filepath.Join(root, e.Name())
			if !e.IsDir() || strings.HasPrefix(e.Name(), ".") { // "latest" is one of them by another name
				continue
			}
			m, err := ReadManifest(path)
			if err == nil && m.Local != nil && (node == "" || m.Local.Node == node) && !yield(path, m) {
				return
			}
		}
	}
}

// KeepCollected takes a local part out of what waits for a master. With drop the files
// are deleted, once that is on the disk.
func (w Waiting) KeepCollected(by string, drop bool) error {
	text, err := json.Marshal(Collected{By: by, At: time.Now().UTC()})
	if err == nil {
		err = WriteAtomic(filepath.Join(w.Path, CollectedFile), append(text, '\n'))
	}
	if err != nil {
		return fmt.Errorf("note that a master has a copy of %s: %w", w.Path, err)
	}
	if !drop {
		return nil
	}
	for _, s := range w.Manifest.Segments {
		if !inRaw(s) || !s.Verified {
			continue
		}
		if err := os.Remove(filepath.Join(w.Path, filepath.FromSlash(s.File))); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("delete what a master has a copy of: %w", err)
		}
	}
	return nil
}

// SealedFile is a file of a run that has ended.
type SealedFile struct {
	Name   string // relative to the run directory, with slashes
	Size   int64
	SHA256 string
}

// SealedFiles lists the files that SHA256SUMS names, it and the log, by name.
func SealedFiles(dir string) (files []SealedFile, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	sums, err := readSums(root)
	if err != nil {
		return nil, err
	}
	for name, sum := range sums {
		info, err := root.Lstat(filepath.FromSlash(name))
		if err != nil {
			return nil, fmt.Errorf("%s names %s: %w", SumsFile, name, err)
		}
		files = append(files, SealedFile{name, info.Size(), sum})
	}
	for _, name := range []string{SumsFile, LogFile} {
		sum, size, err := newHasher().file(root, name)
		if err != nil {
			return nil, err
		}
		files = append(files, SealedFile{name, size, sum})
	}
	slices.SortFunc(files, func(a, b SealedFile) int { return cmp.Compare(a.Name, b.Name) })
	return files, nil
}
